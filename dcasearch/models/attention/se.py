"""SE: Squeeze-and-Excitation Networks (Hu et al., 2018, https://arxiv.org/abs/1709.01507).

Placed on the residual branch's output in every backbone, the light ones too (the paper's setting; torchvision's
and timm's light networks gate the expansion instead).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dcasearch.architecture.kinds.bottleneck import HIDDEN
from dcasearch.architecture.kinds.se import NAME
from dcasearch.architecture.network import Node
from dcasearch.models.attention.base import ATTENTIONS, AttentionBlock, Branch, Extraction, whole
from dcasearch.models.backbones.base import Host


class SqueezeExcite(Branch[Tensor]):
    """G: global average (B, C). T: C -> C/r, ReLU, -> C, sigmoid. Fusion: multiply."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, width)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Linear(width, channels)

    def extract(self, features: Tensor) -> Extraction:
        """Return the global average (B, C)."""
        return (features.mean((2, 3)),)

    def transform(self, extraction: Extraction) -> Tensor:
        """Return the gates (B, C)."""
        return torch.sigmoid(self.fc2(self.relu(self.fc1(extraction[0]))))

    def fuse(self, features: Tensor, transformed: Tensor) -> Tensor:
        """Gate each channel."""
        return features * transformed[:, :, None, None]


@ATTENTIONS.register(NAME)
def squeeze_excite(node: Node, host: Host) -> AttentionBlock:
    """Return SE for a block."""
    return AttentionBlock(channel=SqueezeExcite(node.layout.channels, whole(node, HIDDEN)))
