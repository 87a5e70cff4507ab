"""Which lines a drawing has: an arc for each connection, or one rail for many that follow one rule.

A dense network of 50 blocks has 667 connections a dimension. As arcs nobody can follow them. The rule can be read:
each block receives from every earlier one of its stage. So the rule is drawn, as a rail that blocks send to and
receive from. It leads from left to right: what a block receives are the messages of all blocks before it on the rail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dcasearch.architecture import Dimension, Edge, Network

LEAST_BUNDLED = 10
"""Connections of one rule from which on a dimension is drawn with rails; fewer can be followed as arcs."""
_LEAST_RAIL = 3
"""Connections of a rail in such a dimension."""


@dataclass(frozen=True)
class Arc:
    """One connection, by the names of its nodes, so that those of two networks compare."""

    dimension: Dimension
    source: str
    target: str


@dataclass(frozen=True)
class Rail:
    """All connections that one rule makes: each target receives from every node before it on the rail."""

    dimension: Dimension
    nodes: tuple[str, ...]
    """In network order, from the first sender to the last receiver; nodes without the dimension are not among them."""
    targets: tuple[str, ...]

    @property
    def arcs(self) -> Iterator[Arc]:
        """The connections that the rail stands for."""
        for target in self.targets:
            yield from self.into(target)

    def into(self, target: str) -> list[Arc]:
        """Return the connections into one of the targets."""
        return [Arc(self.dimension, source, target) for source in self.nodes[: self.nodes.index(target)]]

    @property
    def count(self) -> int:
        """The number of the connections."""
        return sum(map(self.nodes.index, self.targets))


def edges_of(network: Network) -> dict[Arc, Edge]:
    """Return a network's connections by where they are."""
    names = [node.name for node in network.nodes]
    return {Arc(edge.dimension, names[edge.source], names[edge.target]): edge for edge in network.edges}


def links_of(network: Network) -> tuple[list[Arc], list[Rail]]:
    """Return the lines that draw a network: each connection is one arc, or is on one rail."""
    rails = [rail for dimension in network.dimensions for rail in _rails(network, dimension)]
    bundled = {arc for rail in rails for arc in rail.arcs}
    return [arc for arc in edges_of(network) if arc not in bundled], rails


def _rails(network: Network, dimension: Dimension) -> list[Rail]:
    """Return the rails of one dimension; none where all rules are short."""
    numbered = [n for n, node in enumerate(network.nodes) if dimension in node.ports]
    targets: dict[int, list[int]] = {}
    for position, target in enumerate(numbered):
        sources = [edge.source for edge in network.incoming(target, dimension)]
        start = position - len(sources)
        if sources and numbered[start:position] == sources:
            targets.setdefault(start, []).append(position)
    rails = []
    for start, positions in targets.items():
        names = [network.nodes[n].name for n in numbered]
        received = tuple(names[position] for position in positions)
        rails.append(Rail(dimension, tuple(names[start : positions[-1] + 1]), received))
    if max((rail.count for rail in rails), default=0) < LEAST_BUNDLED:
        return []
    return [rail for rail in rails if rail.count >= _LEAST_RAIL]


def levels_of(rails: Iterable[Rail], order: Mapping[str, int]) -> dict[Rail, int]:
    """Return how far out each rail is drawn, from 0, so that rails of one dimension never lie on each other.

    Args:
        rails: Any, of any dimensions.
        order: Place of each node in the drawing.
    """
    levels: dict[Rail, int] = {}
    for rail in sorted(rails, key=lambda rail: (rail.dimension, len(rail.nodes), order[rail.nodes[0]])):
        taken = {levels[other] for other in levels if _meet(rail, other, order)}
        levels[rail] = next(level for level in range(len(taken) + 1) if level not in taken)
    return levels


def _meet(rail: Rail, other: Rail, order: Mapping[str, int]) -> bool:
    ends, others = _ends(rail.nodes, order), _ends(other.nodes, order)
    return rail.dimension == other.dimension and ends[0] < others[1] and others[0] < ends[1]


def _ends(nodes: Sequence[str], order: Mapping[str, int]) -> tuple[int, int]:
    return order[nodes[0]], order[nodes[-1]]
