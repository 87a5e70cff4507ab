"""No attention: the backbone's block as it is."""

from __future__ import annotations

from dcasearch.architecture.network import Block
from dcasearch.models.attention.base import ATTENTIONS, AttentionBlock
from dcasearch.models.backbones.base import Host


@ATTENTIONS.register("none")
def no_attention(block: Block, host: Host) -> AttentionBlock:
    """Return an attention block without any dimension."""
    return AttentionBlock()
