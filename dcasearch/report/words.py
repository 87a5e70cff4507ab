"""How attention blocks and connections are named in a drawing."""

from __future__ import annotations

from dataclasses import dataclass

from dcasearch.architecture import KINDS, Dimension, Edge, Network
from dcasearch.architecture.words import function_of, size_of


def colour_of(kind: str) -> str:
    """Return the colour of an attention block; white text is readable on it."""
    return KINDS[kind].colour


def count(network: Network, dimension: Dimension) -> str:
    """Return e.g. `15 channel connections`, or nothing where there are none."""
    number = sum(edge.dimension == dimension for edge in network.edges)
    return f"{number} {dimension} connection{'s' * (number > 1)}" if number else ""


def functions(network: Network, dimension: Dimension) -> list[str]:
    """Return how the connections of one dimension join what they bring, e.g. `direct`, `weighted (as printed)`."""
    return sorted({function_of(edge) for edge in network.edges if edge.dimension == dimension})


@dataclass(frozen=True)
class Signs:
    """What a connection does to match sizes."""

    layers: bool
    resize: bool

    @property
    def any(self) -> bool:
        """Whether the sizes differ at all."""
        return self.layers or self.resize


def signs(edge: Edge) -> Signs:
    """Return what a connection does to match sizes."""
    return Signs(edge.matching is not None, edge.resize is not None)


def sizes(network: Network) -> dict[tuple[Dimension, Signs], str]:
    """Return the ways in which connections match sizes, by dimension and sign, e.g. `fc + ln + relu`."""
    ways: dict[tuple[Dimension, Signs], set[str]] = {}
    for edge in network.edges:
        if signs(edge).any:
            ways.setdefault((edge.dimension, signs(edge)), set()).add(size_of(edge))
    return {key: " or ".join(sorted(words)) for key, words in ways.items()}
