"""Sees G, P, α and T of every attention block while a network computes, by forward hooks alone.

The network's code stays as it is: its modules `Branch`, `Incoming` and `Fusion` return T, P and the fused extraction,
and a hook reads what a module returns. The hooks are removed at the end of the block.

Names: G raw extraction, P_j matched message of sender j, α_j its coefficient, T transformation (Eq. 3 of the paper).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from dcasearch.models import DCANet
from dcasearch.models.attention import Extraction
from dcasearch.models.connections import Fusion, Incoming
from dcasearch.models.functions import Function
from dcasearch.models.sites import Site, edges_of, fusions, sites


@dataclass(frozen=True, eq=False)
class Arrived:
    """One message at one branch of a receiver."""

    source: str
    """The sender's name."""
    message: Extraction
    """P, matched and not yet multiplied: one tensor for each tensor of G, of its shape."""
    coefficient: Tensor
    """α, or the learned weight: one number, or one a channel."""


@dataclass(frozen=True, eq=False)
class Received:
    """What one branch of a receiver fused in one forward pass."""

    function: Function
    raw: Extraction
    """G before the messages: one tensor, or several of one shape."""
    arrived: tuple[Arrived, ...]
    """In the order of the edges."""
    fused: Extraction
    """f(G, αP)."""


@dataclass(eq=False)
class Observation:
    """What the last forward pass of an observed network computed; every tensor is detached."""

    transformed: dict[Site, Tensor]
    """T of each dimension of each node, in network order."""
    received: dict[Site, dict[int, Received]]
    """By the number of the branch, from 0; a site that receives nothing is not in it."""


@contextmanager
def observing(model: DCANet) -> Iterator[Observation]:
    """Give an observation that every forward pass of the model fills anew, until the block ends.

    Args:
        model: the network itself, not its compiled form, which may not call hooks.
    """
    seen = Observation({}, {})
    handles = [model.register_forward_pre_hook(lambda *_: _clear(seen))]
    try:
        for name, dimension in sites(model):
            block: Any = model.attention[name]
            handles.append(_on_branch(seen, (name, dimension), block.part(dimension)))
        for site, number, fusion in fusions(model):
            handles += _on_fusion(seen, site, number, fusion)
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _clear(seen: Observation) -> None:
    seen.transformed.clear()
    seen.received.clear()


def _on_branch(seen: Observation, site: Site, branch: nn.Module) -> Any:
    def hook(_module: nn.Module, _arguments: Any, transformed: Tensor) -> None:
        seen.transformed[site] = transformed.detach()

    return branch.register_forward_hook(hook)


def _on_fusion(seen: Observation, site: Site, number: int, fusion: Fusion) -> list[Any]:
    """Return the handles of the hooks on a fusion and on each of its edges, which run before it ends."""
    arrived: dict[str, Arrived] = {}

    def on_edge(source: str) -> Any:
        def hook(module: Incoming, _arguments: Any, message: Extraction) -> None:
            arrived[source] = Arrived(source, _detached(message), module.coefficient.detach())

        return hook

    def on_end(module: Fusion, arguments: tuple[Any, ...], fused: Extraction) -> None:
        received = Received(module.function, _detached(arguments[0]), tuple(arrived.values()), _detached(fused))
        seen.received.setdefault(site, {})[number] = received
        arrived.clear()

    edges = [edge.register_forward_hook(on_edge(source)) for source, edge in edges_of(fusion).items()]
    return [*edges, fusion.register_forward_hook(on_end)]


def _detached(tensors: Extraction) -> Extraction:
    return tuple(tensor.detach() for tensor in tensors)
