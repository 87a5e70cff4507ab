"""Connection functions f(G, αP) of Eq. 3 (paper, section 3.2), for channels and for planes.

G and every message P have one shape: a vector (B, C), or a map (B, C, H, W) of which H or W may be 1.
A = Σ α_j P_j over the incoming edges. Where a function computes in fp32, its result has G's type again. How each
departs from the printed equations stands at its class.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.architecture.kinds import Port
from dcasearch.architecture.network import Edge
from dcasearch.models.matching import ChannelNorm
from dcasearch.registry import Registry

_EPSILON = 1e-12
"""Keeps 0/0 out of `weighted`; far below any descriptor, so that it changes no value."""


SUM = "A = Σ αⱼPⱼ"


class Function(nn.Module, ABC):
    """Fuses an extraction G with the messages P_j, each with its coefficient (α_j, or the learned weight)."""

    coefficient = "alpha"
    """The name that an edge gives its coefficient."""
    initial: float | None = None
    """Where the coefficient starts; None = the architecture's `alpha.init`."""
    released_deviation: ClassVar[float | None] = None
    """Of the normal distribution that the released code draws the coefficient from; None: it starts at `initial`."""
    title: ClassVar[str]
    steps: ClassVar[tuple[str, ...]]
    """What it computes, one step after another, for the docs."""

    @abstractmethod
    def forward(self, g: Tensor, messages: Sequence[Tensor], coefficients: Sequence[Tensor]) -> Tensor:
        """Return the fused extraction, of G's shape and type."""


class Pairwise(Function):
    """A function of G and of A = Σ α_j P_j."""

    def forward(self, g: Tensor, messages: Sequence[Tensor], coefficients: Sequence[Tensor]) -> Tensor:
        """Sum the messages, then combine them with G."""
        first, *others = (alpha * message for alpha, message in zip(coefficients, messages, strict=True))
        for other in others:
            first = first + other
        return self.combine(g, first)

    @abstractmethod
    def combine(self, g: Tensor, a: Tensor) -> Tensor:
        """Return f(G, A)."""


def _wide(x: Tensor) -> Tensor:
    """Return x in fp32, or in its own type where that is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Direct(Pairwise):
    """Eq. 4: G + A."""

    title, steps = "direct (Eq. 4)", (SUM, "G + A")

    def combine(self, g: Tensor, a: Tensor) -> Tensor:
        """Return G + A."""
        return g + a.to(g.dtype)


class Weighted(Pairwise):
    """Eq. 5 weighed by magnitude: w = |A| / (|G| + |A|), f = (1-w)G + wA, in fp32.

    Equals Eq. 5 where G and A agree in sign and Eq. 4 where they differ, where the printed denominator G + A
    passes through zero. The gradient with respect to α is 0 at α = 0, so α has to start off zero.
    """

    title, steps = "weighted (Eq. 5, by magnitude)", (SUM, "w = |A| / (|G| + |A|)", "(1 − w)G + wA")

    def combine(self, g: Tensor, a: Tensor) -> Tensor:
        """Return the mean of G and A, weighed by their magnitudes."""
        wide_g, wide_a = _wide(g), _wide(a)
        weight = wide_a.abs() / (wide_g.abs() + wide_a.abs() + _EPSILON)
        return ((1 - weight) * wide_g + weight * wide_a).to(g.dtype)


class LiteralWeighted(Pairwise):
    """Eq. 5 as printed: G·G/(G+A) + A·A/(G+A), in fp32, 0 where G + A is 0. Unstable; for comparison only."""

    title, steps = "weighted, literal (Eq. 5 as printed)", (SUM, "(G² + A²) / (G + A)")

    def combine(self, g: Tensor, a: Tensor) -> Tensor:
        """Return Eq. 5."""
        wide_g, wide_a = _wide(g), _wide(a)
        total = wide_g + wide_a
        empty = total == 0
        denominator = torch.where(empty, torch.ones_like(total), total)
        value = wide_g * (wide_g / denominator) + wide_a * (wide_a / denominator)
        return torch.where(empty, torch.zeros_like(value), value).to(g.dtype)


class Softmax(Pairwise):
    """Eq. 6: weights e^-G and e^-A, normalised: w = σ(A-G), f = wG + (1-w)A, in fp32.

    The sigmoid is the printed ratio of exponentials without its overflow. The larger term gets the smaller
    weight (the paper's sign), and at α = 0 f = Gσ(-G): not the vanilla network.
    """

    title, steps = "softmax (Eq. 6)", (SUM, "w = σ(A − G)", "wG + (1 − w)A")

    def combine(self, g: Tensor, a: Tensor) -> Tensor:
        """Return the soft minimum of G and A."""
        wide_g, wide_a = _wide(g), _wide(a)
        weight = torch.sigmoid(wide_a - wide_g)
        return (weight * wide_g + (1 - weight) * wide_a).to(g.dtype)


class ConcatChannel(Pairwise):
    """Section 3.2's concatenation: [G, A] projected back, 2C -> C."""

    title, steps = "concat of channels (section 3.2)", (SUM, "[G, A]", "2C → C, no bias")

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(2 * channels, channels, bias=False)

    def combine(self, g: Tensor, a: Tensor) -> Tensor:
        """Return the projection, at each position where G is a map."""
        both = torch.cat((g, a.to(g.dtype)), 1)
        return self.fc(both.movedim(1, -1)).movedim(-1, 1).to(g.dtype)  # of a vector movedim is the identity


class ConcatPlanes(Pairwise):
    """Section 3.2's concatenation: each plane of G with its plane of A, 2 -> 1 by a 3x3 convolution."""

    title, steps = (
        "concat of planes (section 3.2)",
        (SUM, "each plane of G with its plane of A", "3x3 convolution, 2 → 1"),
    )

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * planes, planes, 3, padding=1, groups=planes, bias=False)

    def combine(self, g: Tensor, a: Tensor) -> Tensor:
        """Return the convolution of the paired planes."""
        return self.conv(torch.stack((g, a.to(g.dtype)), 2).flatten(1, 2)).to(g.dtype)


class Learned(Function):
    """What the authors' released code does in place of Eq. 4: a learned sum, a norm and ReLU; it owns no α.

    It starts as G with every message's weight 0, and stays the released code's even then: norm and ReLU remain.
    """

    coefficient = "weight"
    initial = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def draw(self, generator: torch.Generator) -> None:
        """Set the weight of G to 1."""
        nn.init.ones_(self.weight)


class LearnedChannel(Learned):
    """1x1 convolution over G and the m messages (m+1 -> 1), LayerNorm over C, ReLU."""

    title, steps = "learned, of channels (released code)", ("w₀G + Σ wⱼPⱼ + b", "LayerNorm over C", "ReLU")
    released_deviation = math.sqrt(2)
    """Kaiming's, of a convolution of one output."""

    def __init__(self, channels: int, bias: bool) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1)) if bias else None
        self.norm = ChannelNorm(channels)

    def draw(self, generator: torch.Generator) -> None:
        """Set the weight of G to 1 and the bias to 0."""
        super().draw(generator)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def draw_as_released(self, generator: torch.Generator, *, zero_bias: bool) -> None:
        """Draw the weight of G and the bias as the released code does: those of a convolution of two inputs."""
        nn.init.normal_(self.weight, 0.0, self.released_deviation or 0.0, generator=generator)
        if self.bias is not None:
            bound = 0.0 if zero_bias else 1 / math.sqrt(2)
            nn.init.uniform_(self.bias, -bound, bound, generator=generator)

    def forward(self, g: Tensor, messages: Sequence[Tensor], coefficients: Sequence[Tensor]) -> Tensor:
        """Mix, normalise over the channels and rectify."""
        weight_1M = torch.stack((self.weight, *coefficients))[None]
        mixed = F.linear(torch.stack((g, *messages), -1), weight_1M, self.bias).squeeze(-1)
        return F.relu(self.norm(mixed)).to(g.dtype)


class LearnedPlanes(Learned):
    """p1·G + Σ p2_j·P_j, BatchNorm over the planes with weight 1, ReLU."""

    title, steps = "learned, of planes (released code)", ("p₁G + Σ pⱼPⱼ", "BatchNorm over the planes", "ReLU")

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(planes)

    def forward(self, g: Tensor, messages: Sequence[Tensor], coefficients: Sequence[Tensor]) -> Tensor:
        """Mix, normalise and rectify."""
        mixed = self.weight * g
        for weight, message in zip(coefficients, messages, strict=True):
            mixed = mixed + weight * message
        return F.relu(self.norm(mixed)).to(g.dtype)


Factory: TypeAlias = Callable[[Edge, Port], Function]
"""(one of the incoming edges: they share their function, the receiver's port) -> function."""

FUNCTIONS: Registry[Factory] = Registry("a connection function")


@FUNCTIONS.register("direct")
def direct(edge: Edge, port: Port) -> Function:
    """Return Eq. 4."""
    return Direct()


@FUNCTIONS.register("weighted")
def weighted(edge: Edge, port: Port) -> Function:
    """Return Eq. 5, in its safe form or as printed."""
    return LiteralWeighted() if edge.form == "literal" else Weighted()


@FUNCTIONS.register("softmax")
def softmax(edge: Edge, port: Port) -> Function:
    """Return Eq. 6."""
    return Softmax()


@FUNCTIONS.register("concat")
def concat(edge: Edge, port: Port) -> Function:
    """Return the concatenation of section 3.2."""
    return ConcatPlanes(port.channels) if port.planes else ConcatChannel(port.channels)


@FUNCTIONS.register("learned")
def learned(edge: Edge, port: Port) -> Function:
    """Return the released code's function."""
    if port.planes:
        return LearnedPlanes(port.channels)
    return LearnedChannel(port.channels, bool(edge.bias))
