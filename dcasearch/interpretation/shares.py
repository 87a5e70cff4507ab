"""How much of what a block transforms comes from earlier blocks: shares of one connection function (Figure 5).

Two readings. From the weights alone, as the paper's figure: Σ|w_j| / (|w_0| + Σ|w_j|), where w_0 multiplies the
block's own G and w_j the message P_j. From images: Σ‖term_j‖ / (‖term_0‖ + Σ‖term_j‖) of the terms that a function
adds up, e.g. G and α_jP_j. The second reading counts how large G and P are; the first does not.

A share is between 0 and 1. The shares of several edges add up to the share of their connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch

import torch
from torch import Tensor

from dcasearch.interpretation.observing import Received
from dcasearch.models.connections import Fusion
from dcasearch.models.functions import ConcatChannel, ConcatPlanes, Direct, Function, Learned, Pairwise
from dcasearch.models.sites import edges_of


@dataclass(frozen=True)
class Share:
    """The share of earlier blocks in one branch, and of each of its edges."""

    value: float
    edges: tuple[float, ...]
    """In the order of the edges; they add up to `value`."""


@singledispatch
def weights_in(function: Function, coefficients: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]] | None:
    """Return |w_0| and each |w_j|, one number or one a channel; None where no weight says how much a message counts.

    `softmax` and `weighted` weigh G and A anew for each image, so they have no share from the weights.
    """
    return None


@weights_in.register
def _(function: Direct, coefficients: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """G has weight 1: |α| / (1 + |α|)."""
    return torch.ones(()), [alpha.abs() for alpha in coefficients]


@weights_in.register
def _(function: Learned, coefficients: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """The weights of the released code's 2 -> 1 convolution, or p1 and p2 of its planes."""
    return function.weight.abs(), [weight.abs() for weight in coefficients]


@weights_in.register
def _(function: ConcatChannel, coefficients: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Frobenius norms of both halves of the projection; the half of A times α, which scales its columns."""
    own, other = function.fc.weight.chunk(2, 1)
    return own.norm(), [(other * alpha.flatten()).norm() for alpha in coefficients]


@weights_in.register
def _(function: ConcatPlanes, coefficients: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Frobenius norms of the kernels on G and of the kernels on A, the latter times α."""
    own, other = function.conv.weight[:, 0], function.conv.weight[:, 1]
    return own.norm(), [(other * alpha.flatten()[:, None, None]).norm() for alpha in coefficients]


@torch.no_grad()
def share_of_weights(fusion: Fusion) -> Share | None:
    """Return the share from the weights, the mean over channels where α has one number a channel.

    None where the function has no such share, or where all of its weights are 0.
    """
    coefficients = [edge.coefficient for edge in edges_of(fusion).values()]
    weights = weights_in(fusion.function, coefficients)
    if weights is None:
        return None
    own, others = weights[0].double(), [other.double() for other in weights[1]]
    total = own + torch.stack([other.expand_as(others[0]) for other in others]).sum(0)
    edges = tuple(float((other / total).mean()) for other in others)
    return Share(sum(edges), edges) if bool((total > 0).all()) else None


@singledispatch
def terms_in(
    function: Function, g: Tensor, messages: Sequence[Tensor], coefficients: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Return what stands for G, and what stands for each message, in what a function adds up."""
    raise NotImplementedError(f"{type(function).__name__} does not say which terms it adds up")


@terms_in.register
def _(
    function: Pairwise, g: Tensor, messages: Sequence[Tensor], coefficients: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """G and each α_jP_j, as they enter f; `softmax` and `weighted` weigh them once more after that."""
    return g, [alpha * message for alpha, message in zip(coefficients, messages, strict=True)]


@terms_in.register
def _(
    function: Learned, g: Tensor, messages: Sequence[Tensor], coefficients: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """w_0G and each w_jP_j, before bias, norm and ReLU."""
    return function.weight * g, [weight * message for weight, message in zip(coefficients, messages, strict=True)]


def _projected(
    function: ConcatChannel | ConcatPlanes, g: Tensor, messages: Sequence[Tensor], coefficients: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """The projection of G alone and of each α_jP_j alone: it is linear and has no bias, so they add up to f."""
    zero = torch.zeros_like(g)
    arrived = zip(coefficients, messages, strict=True)
    return function.combine(g, zero), [function.combine(zero, alpha * message) for alpha, message in arrived]


terms_in.register(ConcatChannel, _projected)
terms_in.register(ConcatPlanes, _projected)


@torch.no_grad()
def shares_of_images(received: Received) -> Tensor:
    """Return the share of each edge for each image, shape (B, edges), fp64; nan where G and all messages are 0.

    A norm is over everything of one image: channels, positions, and the tensors of an extraction that has several.
    """
    coefficients = [arrived.coefficient for arrived in received.arrived]
    squares_BE: list[Tensor] = []
    for n, g in enumerate(received.raw):
        own, others = terms_in(received.function, g, [a.message[n] for a in received.arrived], coefficients)
        squares_BE.append(torch.stack([term.flatten(1).double().square().sum(1) for term in (own, *others)], 1))
    norms_BE = torch.stack(squares_BE).sum(0).sqrt()
    return norms_BE[:, 1:] / norms_BE.sum(1, keepdim=True)
