"""GC: Global Context networks (Cao et al., 2019, https://arxiv.org/abs/1904.11492), attention pooling, channel add.

Its last layer starts at zero, as GCNet says; in the released DCANet code a later initialisation loses that.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dcasearch.architecture.kinds.bottleneck import HIDDEN
from dcasearch.architecture.kinds.gc import MASK_BIAS, NAME
from dcasearch.architecture.network import Node
from dcasearch.models.attention.base import ATTENTIONS, AttentionBlock, Branch, Extraction, Message, whole
from dcasearch.models.backbones.base import Host


class ZeroLinear(nn.Linear):
    """A linear layer that starts at zero, so that the block starts as the identity."""

    def draw(self, generator: torch.Generator) -> None:
        """Set every parameter to zero."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


class GlobalContext(Branch[Tensor]):
    """G: sum over the map, weighed by a softmax (B, C). T: C -> C/r, LayerNorm, ReLU, -> C. Fusion: add."""

    def __init__(self, channels: int, width: int, *, mask_bias: bool) -> None:
        super().__init__()
        self.mask = nn.Conv2d(channels, 1, 1, bias=mask_bias)
        self.fc1 = nn.Linear(channels, width)
        self.norm = nn.LayerNorm(width)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = ZeroLinear(width, channels)

    def extract(self, features: Tensor) -> Extraction:
        """Return the context vector (B, C)."""
        weights_B1N = self.mask(features).flatten(2).softmax(2)
        return (torch.matmul(features.flatten(2), weights_B1N.transpose(1, 2)).squeeze(2),)

    def transform(self, extraction: Extraction) -> Tensor:
        """Return what is added to each channel (B, C)."""
        return self.fc2(self.relu(self.norm(self.fc1(extraction[0]))))

    def fuse(self, features: Tensor, transformed: Tensor) -> Tensor:
        """Add to each channel."""
        return features + transformed[:, :, None, None]

    def message(self, extraction: Extraction, transformed: Tensor) -> Message:
        """Return T as it is: it is not squashed, so it has its scale already."""
        return (transformed,)


@ATTENTIONS.register(NAME)
def global_context(node: Node, host: Host) -> AttentionBlock:
    """Return GC for a block."""
    mask_bias = bool(node.option(MASK_BIAS))
    return AttentionBlock(channel=GlobalContext(node.layout.channels, whole(node, HIDDEN), mask_bias=mask_bias))
