"""SK: Selective Kernel networks (Li et al., 2019, https://arxiv.org/abs/1903.06586), two branches.

Branch 1 is the backbone's own k x k convolution with its BatchNorm and activation; branch 2 is a 3x3 dilated by 2
of the same stride and groups, with a BatchNorm and the same activation.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from dcasearch.architecture.kinds.bottleneck import HIDDEN
from dcasearch.architecture.kinds.sk import NAME
from dcasearch.architecture.network import Node
from dcasearch.models.attention.base import (
    ATTENTIONS,
    AttentionBlock,
    Branch,
    Extraction,
    Message,
    Messages,
    Receive,
    Sends,
    whole,
)
from dcasearch.models.backbones.base import Host


class SelectBranches(Branch[tuple[Tensor, Tensor]]):
    """G: each branch's global average (B, d). T: d -> d/r of their sum, BatchNorm, ReLU, -> 2d, softmax (B, 2, d)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, width, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Linear(width, 2 * channels, bias=False)

    def extract(self, features: tuple[Tensor, Tensor]) -> Extraction:
        """Return both branches' global averages (B, d)."""
        return tuple(branch.mean((2, 3)) for branch in features)

    def transform(self, extraction: Extraction) -> Tensor:
        """Return both branches' weights (B, 2, d), which sum to 1."""
        first, second = extraction
        logits = self.fc2(self.relu(self.norm(self.fc1(first + second))))
        return logits.unflatten(1, (2, -1)).softmax(1)

    def fuse(self, features: tuple[Tensor, Tensor], transformed: Tensor) -> Tensor:
        """Return the weighted sum of the branches."""
        first, second = features
        weights = transformed.to(first.dtype)[:, :, :, None, None]
        return torch.addcmul(first * weights[:, 0], second, weights[:, 1])

    def unchanged(self, features: tuple[Tensor, Tensor]) -> Tensor:
        """Return branch 1, which is the backbone's own convolution."""
        return features[0]

    def message(self, extraction: Extraction, transformed: Tensor) -> Message:
        """Return T ⊙ G of each branch."""
        return tuple(transformed[:, n] * g for n, g in enumerate(extraction))


class SelectiveKernel(AttentionBlock):
    """SK in the place of a block's k x k convolution."""

    def __init__(self, host: Host, width: int) -> None:
        first = host.convolution
        super().__init__(channel=SelectBranches(first.out_channels, width))
        self.branch = nn.Sequential(
            nn.Conv2d(
                first.in_channels,
                first.out_channels,
                3,
                first.stride,  # type: ignore[arg-type]  # Conv2d keeps a pair as a plain tuple
                padding=2,
                dilation=2,
                groups=first.groups,
                bias=False,
            ),
            nn.BatchNorm2d(first.out_channels),
            copy.deepcopy(host.activation) or nn.Identity(),  # a shallow copy would share its hooks
        )

    def forward(self, host: Host, x: Tensor, receive: Receive, sends: Sends) -> tuple[Tensor, Messages]:
        """Run the block with the weighted sum of both branches in place of its convolution."""
        u = host.before(x)
        v, messages = self.attend((host.convolve(u), self.branch(u)), receive, sends)
        return host.join(x, host.after(v)), messages


@ATTENTIONS.register(NAME)
def selective_kernel(node: Node, host: Host) -> AttentionBlock:
    """Return SK for a block."""
    return SelectiveKernel(host, whole(node, HIDDEN))
