"""Statistics that several attention blocks take of a map or of a vector."""

from __future__ import annotations

import torch
from torch import Tensor

_EPSILON = 1e-24
"""Under the root, whose gradient at 0 is infinite. Far below any variance of features, so it changes no value."""


def wide(x: Tensor) -> Tensor:
    """Return x in fp32, or in its own type where that is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation over some axes, which stay with size 1.

    The variance is divided by the number of values, not by one less: it is 0 of a single value.
    """
    mean = x.mean(axes, keepdim=True)
    variance = (x - mean).square().mean(axes, keepdim=True)
    return mean, (variance + _EPSILON).sqrt()


def standardized(x: Tensor, axes: tuple[int, ...], epsilon: float) -> Tensor:
    """Return (x - μ) / (σ + ε) over some axes, of x's shape."""
    mean, deviation = moments(x, axes)
    return (x - mean) / (deviation + epsilon)
