"""Non-Local networks (Wang et al., 2018, https://arxiv.org/abs/1711.07971), embedded Gaussian, GC's ancestor.

Eq. 1 and 3 of the paper: y_i = Σ_j a_ij g(x_j), with a = softmax over j of θ(x_i) · φ(x_j). Eq. 6: z_i = W_z y_i +
x_i. θ, φ and g are 1x1 convolutions C -> C/r, with r = 2 (section 3.3).

Since g is linear and each row of a sums to 1, y_i = g(m_i) with the attended map m_i = Σ_j a_ij x_j. Its mean over
the positions is G, a vector (B, C): a sum over the map with the weights mean_i a_ij, as GC's is a sum with one
softmax. What a message changes of G moves every y_i alike: y_i + g(f(G, αP) - G). Without a message that is y_i.

As in section 4.1 a BatchNorm follows W_z and starts at weight 0, so that the block starts as the identity. θ and φ
start at deviation 0.01, as in the released code: other starts saturate the softmax of wide blocks. That code also
divides the products by √(C/r); the printed equation does not, and neither does this. The printed
equations have no biases, and there are none: of the released code's, φ's is cancelled by the softmax, and those of
g and W_z by the BatchNorm.

Departs from the paper: it stands in every chosen block, without the subsampling of section 3.3. The weights are
(HW)² numbers an image: at 56 x 56 positions 39 MB in fp32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dcasearch.architecture.kinds.bottleneck import HIDDEN
from dcasearch.architecture.kinds.non_local import NAME
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


class Embedding(nn.Conv2d):
    """θ or φ: a 1x1 convolution whose products with another stay small at the start."""

    def draw(self, generator: torch.Generator) -> None:
        """Draw a normal distribution of deviation 0.01."""
        nn.init.normal_(self.weight, 0.0, 0.01, generator=generator)


class ZeroAffine(nn.Module):
    """The BatchNorm's weight and bias, which start at 0, so that the block starts as the identity.

    They are no part of the BatchNorm, since `torch.fx` keeps only torch's own classes whole.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def draw(self, generator: torch.Generator) -> None:
        """Set both to 0."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map (B, C, H, W)."""
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class AttendedMean(Branch[Tensor]):
    """G: mean of the attended map (B, C). T: W_z of the whole map y, BatchNorm (B, C, H, W). Fusion: add.

    The message is T's mean over the positions (B, C), as it is: T is added, so it has its scale already, as GC's.
    """

    # The attended map itself would be a message of HW vectors. GCNet found that they are nearly equal for all
    # positions.

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.theta = Embedding(channels, width, 1, bias=False)
        self.phi = Embedding(channels, width, 1, bias=False)
        self.value = nn.Conv2d(channels, width, 1, bias=False)
        self.out = nn.Conv2d(width, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.affine = ZeroAffine(channels)

    def weights(self, features: Tensor) -> Tensor:
        """Return a (B, N, N): how much each of the N positions takes of each other; a row sums to 1."""
        theta_BhN, phi_BhN = self.theta(features).flatten(2), self.phi(features).flatten(2)
        return torch.matmul(theta_BhN.transpose(1, 2), phi_BhN).softmax(2)

    def mean(self, features: Tensor, weights_BNN: Tensor) -> Tensor:
        """Return the mean of the attended map (B, C)."""
        return torch.matmul(features.flatten(2), weights_BNN.mean(1)[:, :, None])[:, :, 0]

    def attended(self, features: Tensor, weights_BNN: Tensor) -> Tensor:
        """Return y (B, C/r, H, W)."""
        y_BhN = torch.matmul(self.value(features).flatten(2), weights_BNN.transpose(1, 2))
        return torch.unflatten(y_BhN, 2, features.shape[-2:])

    def extract(self, features: Tensor) -> Extraction:
        """Return the mean of the attended map (B, C)."""
        return (self.mean(features, self.weights(features)),)

    def transform(self, extraction: Extraction) -> Tensor:
        """Return what is added (B, C, H, W); `extraction` is the change of G by messages, and y."""
        change_BC, y = extraction
        return self.affine(self.norm(self.out(y + self.value(change_BC[:, :, None, None]))))

    def fuse(self, features: Tensor, transformed: Tensor) -> Tensor:
        """Add to each value."""
        return features + transformed

    def message(self, extraction: Extraction, transformed: Tensor) -> Message:
        """Return T's mean over the positions (B, C)."""
        return (transformed.mean((2, 3)),)


class NonLocal(AttentionBlock):
    """Attends once: the weights give both G and the map that is transformed."""

    def attend(self, features: Any, receive: Receive, sends: Sends) -> tuple[Tensor, Messages]:
        """Return the map with what is added to it, and the message."""
        (dimension,) = self.dimensions
        part: Any = self.part(dimension)
        weights_BNN = part.weights(features)
        raw = (part.mean(features, weights_BNN),)
        (fused,) = receive(dimension, raw, part.extract)
        transformed = part((fused - raw[0], part.attended(features, weights_BNN)))
        gated = part.gated(features, transformed)
        return gated, {d: send(part, raw, transformed, gated) for d, send in sends.items() if d == dimension}


@ATTENTIONS.register(NAME)
def non_local(node: Node, host: Host) -> AttentionBlock:
    """Return Non-Local for a block."""
    return NonLocal(channel=AttendedMean(node.layout.channels, whole(node, HIDDEN)))
