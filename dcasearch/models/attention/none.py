"""No attention: the backbone's block as it is."""

from __future__ import annotations

from dcasearch.architecture.network import Node
from dcasearch.models.attention.base import ATTENTIONS, AttentionBlock
from dcasearch.models.backbones.base import Host


@ATTENTIONS.register("none")
def no_attention(node: Node, host: Host) -> AttentionBlock:
    """Return an attention block without any dimension."""
    return AttentionBlock()
