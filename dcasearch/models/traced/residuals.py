"""Residual additions in a graph: a branch with convolutions, added to what it forked from."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import fx, nn

from dcasearch.models.traced.shapes import Maps

_FUNCTIONS = {operator.add, operator.iadd, torch.add}
_METHODS = {"add", "add_"}


@dataclass(frozen=True, order=True, slots=True)
class Convolutions:
    """How many convolutions stand on a way."""

    spatial: int
    """Those with a kernel larger than 1."""
    every: int


@dataclass(frozen=True, eq=False, slots=True)
class Addition:
    """Two maps of one shape and of common origin that are added."""

    node: fx.Node
    branch: fx.Node
    """The summand with more convolutions on its way from the fork."""
    fork: fx.Node
    """The last value that both come from."""
    on_branch: Convolutions
    on_skip: Convolutions


class Ancestors:
    """Which values each value of a graph is computed from, as bits in network order."""

    def __init__(self, graph: fx.Graph) -> None:
        self.nodes = list(graph.nodes)
        self.order = {node: n for n, node in enumerate(self.nodes)}
        self._of: dict[fx.Node, int] = {}
        for node in self.nodes:
            bits = 0
            for source in node.all_input_nodes:
                bits |= self.itself_and(source)
            self._of[node] = bits

    def itself_and(self, node: fx.Node) -> int:
        """Return a value and its ancestors."""
        return self._of[node] | 1 << self.order[node]

    def between(self, fork: fx.Node, node: fx.Node) -> Iterator[fx.Node]:
        """Yield what stands on the ways from a fork to a value, the value included."""
        bits = self.itself_and(node) & ~self.itself_and(fork)
        start = self.order[fork] + 1
        return (self.nodes[n] for n in range(start, len(self.nodes)) if bits >> n & 1)

    def fork(self, one: fx.Node, other: fx.Node) -> fx.Node | None:
        """Return the last value that two come from, one of them included; None where they have nothing in common."""
        common = self.itself_and(one) & self.itself_and(other)
        return self.nodes[common.bit_length() - 1] if common else None

    def leads_to(self, source: fx.Node, target: fx.Node) -> bool:
        """Tell whether a value is computed from another one, or is it."""
        return bool(self.itself_and(target) >> self.order[source] & 1)


def is_addition(node: fx.Node) -> bool:
    """Tell whether a node adds two values."""
    adds = node.target in (_METHODS if node.op == "call_method" else _FUNCTIONS if node.op == "call_function" else ())
    return adds and len(node.args) == 2 and all(isinstance(value, fx.Node) for value in node.args)


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    """Return the convolutions in a module."""
    return [part for part in module.modules() if isinstance(part, nn.Conv2d)]


def is_spatial(convolution: nn.Conv2d) -> bool:
    """Tell whether a convolution sees neighbours."""
    return max(convolution.kernel_size) > 1


def additions_of(root: nn.Module, ancestors: Ancestors, maps: Maps) -> list[Addition]:
    """Return a graph's residual additions, in network order."""
    return [found for node in ancestors.nodes if (found := _addition(root, ancestors, maps, node)) is not None]


def _addition(root: nn.Module, ancestors: Ancestors, maps: Maps, node: fx.Node) -> Addition | None:
    if not is_addition(node) or not maps.is_map(node):
        return None
    one, other = node.all_input_nodes if len(node.all_input_nodes) == 2 else (None, None)
    if one is None or other is None or maps.shapes.get(one) != maps.shapes.get(other) or maps.side(node) == 1:
        return None
    fork = ancestors.fork(one, other)
    if fork is None:
        return None
    counts = {side: _count(root, ancestors.between(fork, side)) for side in (one, other)}
    branch, skip = (other, one) if counts[one] < counts[other] else (one, other)
    return Addition(node, branch, fork, counts[branch], counts[skip])


def _count(root: nn.Module, nodes: Iterator[fx.Node]) -> Convolutions:
    found = [
        c for node in nodes if node.op == "call_module" for c in convolutions(root.get_submodule(str(node.target)))
    ]
    return Convolutions(sum(map(is_spatial, found)), len(found))
