"""How attention blocks and connections are named in a drawing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dcasearch.architecture import KINDS, Dimension, Edge, Matching, Network
from dcasearch.architecture.specification import MessageSource

_RESIZES = {"nearest": "nearest", "conv": "convolution", "average": "average pool", "max": "max pool"}

_CONTROLS: Mapping[MessageSource, str] = {
    "own": "control: its own G",
    "shuffled": "control: message of another image",
    "constant": "control: constant message",
}
"""What stands beside the function where the message is not the sender's."""


def label_of(kind: str) -> str:
    """Return the short name of an attention block, as papers write it."""
    return KINDS[kind].label or kind.upper()


def colour_of(kind: str) -> str:
    """Return the colour of an attention block; white text is readable on it."""
    return KINDS[kind].colour


def count(network: Network, dimension: Dimension) -> str:
    """Return e.g. `15 channel connections`, or nothing where there are none."""
    number = sum(edge.dimension == dimension for edge in network.edges)
    return f"{number} {dimension} connection{'s' * (number > 1)}" if number else ""


def functions(network: Network, dimension: Dimension) -> list[str]:
    """Return how the connections of one dimension join what they bring, e.g. `direct`, `weighted (as printed)`."""
    return sorted({_function(edge) for edge in network.edges if edge.dimension == dimension})


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
            ways.setdefault((edge.dimension, signs(edge)), set()).add(_size(edge))
    return {key: " or ".join(sorted(words)) for key, words in ways.items()}


def _function(edge: Edge) -> str:
    notes = {
        "as printed": edge.form == "literal",
        "α per channel": edge.alpha == "channel",
        "whole gated map": edge.coupled,
    }
    said = [note for note, holds in notes.items() if holds]
    said += [_CONTROLS[edge.message]] if edge.message in _CONTROLS else []
    return edge.function + (f" ({', '.join(said)})" if said else "")


def _size(edge: Edge) -> str:
    layers = [] if edge.matching is None else _layers(edge.matching)
    return " + ".join(layers + ([] if edge.resize is None else [_RESIZES[edge.resize.mode]]))


def _layers(matching: Matching) -> list[str]:
    name = "fc" if matching.hidden is None else "fc2"
    return [name, *(extra for extra in (matching.norm, matching.act) if extra != "none")]
