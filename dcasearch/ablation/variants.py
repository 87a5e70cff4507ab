"""The networks that differ from a chosen one in one part each.

A part is a connection, a dimension, all connections, all attention, or an axis of the search space such as the
connection function. Networks that are equal to the chosen one, or to an earlier variant, are left out, and so are those
that cannot be built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from dcasearch.architecture import Architecture, Network
from dcasearch.architecture.placement import place_of
from dcasearch.architecture.specification import ChannelMatching, ConnectionFunction, Connections
from dcasearch.architecture.topology import TOPOLOGIES
from dcasearch.errors import ArchitectureError

Toggle: TypeAlias = Literal[
    "connections", "dimensions", "attention", "function", "channel_matching", "spatial_matching", "topology", "alpha"
]
TOGGLES: tuple[Toggle, ...] = get_args(Toggle)
"""What may be toggled, in the order in which the variants stand."""
_NORMS = {"bias", "norm", "act", "norm_at", "norm_act"}
"""Options of a channel matching that `norm_act` stands for."""
CHOSEN = "chosen"
"""The label of the network itself."""


@dataclass(frozen=True)
class Variant:
    """A network that differs from the chosen one in one part."""

    label: str
    """What differs, e.g. `without channel 3 → 4`; unique among the variants."""
    toggle: Toggle | None
    """Which kind of part; None for the chosen network itself."""
    architecture: Architecture


def variants_of(architecture: Architecture, toggles: tuple[Toggle, ...] = TOGGLES) -> tuple[Variant, ...]:
    """Return the chosen network first, then one variant for each part that can be toggled.

    Args:
        architecture: the chosen network.
        toggles: the kinds of parts to toggle.
    """
    found = {architecture.id: Variant(CHOSEN, None, architecture)}
    for toggle in TOGGLES:
        if toggle not in toggles:
            continue
        for label, written in _WAYS[toggle](architecture):
            variant = _built(written)
            if variant is not None:
                found.setdefault(variant.id, Variant(label, toggle, variant))
    return tuple(found.values())


def _built(written: Mapping[str, Any]) -> Architecture | None:
    """Return the network of a specification; None where there is none, e.g. a form that its kinds do not have."""
    try:
        return Architecture.parse(written)
    except ArchitectureError:
        return None


_Written: TypeAlias = tuple[str, Mapping[str, Any]]
"""A variant's label, and its specification as plain data."""


def _changed(architecture: Architecture, **changes: object) -> dict[str, Any]:
    """Return a specification with other connections: `changes` stand beside or in place of what is written there."""
    written = architecture.to_dict()
    connections = {**written.get("connections", {}), **changes}
    return {**written, "connections": {key: value for key, value in connections.items() if value is not None}}


def _with_edges(architecture: Architecture, kept: Callable[[int], bool]) -> dict[str, Any]:
    """Return a specification with the edges of `Network.edges` whose place in it is kept, each written out."""
    network = architecture.network
    edges: dict[str, list[list[int]]] = {dimension: [] for dimension in network.dimensions}
    for place, edge in enumerate(network.edges):
        if kept(place):
            edges[edge.dimension].append([_number(network, edge.dimension, n) for n in (edge.source, edge.target)])
    existing = sorted({dimension for node in network.nodes for dimension in node.ports})
    listens = {dimension: bool(edges.get(dimension)) for dimension in existing}
    if not any(listens.values()):
        return _vanilla(architecture)
    return _changed(
        architecture, topology="custom", dimensions=listens, edges={d: pairs for d, pairs in edges.items() if pairs}
    )


def _number(network: Network, dimension: str, node: int) -> int:
    """Return a node's number from 1 among those that have a dimension, as `edges` of a specification count."""
    return sum(dimension in other.ports for other in network.nodes[: node + 1])


def _vanilla(architecture: Architecture) -> dict[str, Any]:
    written = architecture.to_dict()
    written.pop("connections", None)
    return written


# The parts, each with its ways: (label, specification) of every variant.


def _connections(architecture: Architecture) -> Iterator[_Written]:
    """Yield the network without each connection."""
    network = architecture.network
    for place, edge in enumerate(network.edges):
        ends = " → ".join(place_of(network.nodes, n).removeprefix("block ") for n in (edge.source, edge.target))
        kept = [other != place for other in range(len(network.edges))]
        yield f"without {edge.dimension} {ends}", _with_edges(architecture, kept.__getitem__)


def _dimensions(architecture: Architecture) -> Iterator[_Written]:
    """Yield the network without connections, and without those of each dimension."""
    edges = architecture.network.edges
    if edges:
        yield "without connections (vanilla)", _vanilla(architecture)
    for dimension in architecture.network.dimensions:
        kept = [edge.dimension != dimension for edge in edges]
        yield f"without {dimension} connections", _with_edges(architecture, kept.__getitem__)


def _attention(architecture: Architecture) -> Iterator[_Written]:
    """Yield the plain backbone."""
    yield "without attention (plain)", {"backbone": architecture.to_dict()["backbone"]}


def _function(architecture: Architecture) -> Iterator[_Written]:
    """Yield the network with each other connection function."""
    connections = _of(architecture)
    for name in get_args(ConnectionFunction.model_fields["name"].annotation) if connections else ():
        yield f"function {name}", _changed(architecture, function=name)


def _channel_matching(architecture: Architecture) -> Iterator[_Written]:
    """Yield the network with the other channel matching, and with or without its norms and activations."""
    connections = _of(architecture)
    if connections is None:
        return
    written = connections.channel_matching
    for name in get_args(ChannelMatching.model_fields["name"].annotation):
        other = {**written.model_dump(exclude_defaults=True), "name": name}
        yield f"channel matching {name}", _changed(architecture, channel_matching=other)
    bare = written.model_dump(exclude=_NORMS, exclude_none=True)
    yield "channel matching without norm", _changed(architecture, channel_matching=bare)
    yield "channel matching with norm", _changed(architecture, channel_matching={**bare, "norm_act": True})


def _spatial_matching(architecture: Architecture) -> Iterator[_Written]:
    """Yield the network with each other spatial matching."""
    for name in get_args(Connections.model_fields["spatial_matching"].annotation) if _of(architecture) else ():
        yield f"spatial matching {name}", _changed(architecture, spatial_matching=name)


def _topology(architecture: Architecture) -> Iterator[_Written]:
    """Yield the network with each topology: those who receive stay, or of written-out edges the dimensions."""
    connections = _of(architecture)
    if connections is None:
        return
    network, changes = architecture.network, dict[str, object]()
    if connections.topology == "custom":
        existing = sorted({dimension for node in network.nodes for dimension in node.ports})
        changes = {"dimensions": {dimension: dimension in network.dimensions for dimension in existing}, "edges": None}
    for name in sorted(TOPOLOGIES):
        yield f"topology {name}", _changed(architecture, topology=name, **changes)


def _alpha(architecture: Architecture) -> Iterator[_Written]:
    """Yield the network with the other shape of α."""
    connections = _of(architecture)
    if connections is not None:
        shape = "channel" if connections.alpha.shape == "scalar" else "scalar"
        yield f"alpha {shape}", _changed(architecture, alpha={**connections.alpha.model_dump(), "shape": shape})


def _of(architecture: Architecture) -> Connections | None:
    """Return what is written of the connections, None where the network has none."""
    return architecture.connections if architecture.network.edges else None


_WAYS: Mapping[Toggle, Callable[[Architecture], Iterator[_Written]]] = {
    "connections": _connections,
    "dimensions": _dimensions,
    "attention": _attention,
    "function": _function,
    "channel_matching": _channel_matching,
    "spatial_matching": _spatial_matching,
    "topology": _topology,
    "alpha": _alpha,
}
