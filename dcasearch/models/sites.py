"""Where the messages of a built network arrive: its sites, and the modules that fuse there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias, cast

from dcasearch.architecture.kinds import Dimension
from dcasearch.models.build import DCANet
from dcasearch.models.connections import Fusion, Incoming

Site: TypeAlias = tuple[str, Dimension]
"""A node by its name in parameter names (`layer1_0`), and one of its dimensions."""


def sites(model: DCANet) -> Iterator[Site]:
    """Yield every dimension of every node, in network order."""
    for name, node in zip(model.names, model.network.nodes, strict=True):
        for dimension in node.ports:
            yield name, dimension


def fusions(model: DCANet) -> Iterator[tuple[Site, int, Fusion]]:
    """Yield every branch of every receiver, in network order: its site, its number and its module."""
    for name, dimension in sites(model):
        receivers: Any = model.connections[name]
        if dimension in receivers:
            for number, fusion in enumerate(receivers[dimension].branches):
                yield (name, dimension), number, fusion


def edges_of(fusion: Fusion) -> dict[str, Incoming]:
    """Return a branch's edges by their senders."""
    return {source: cast(Incoming, edge) for source, edge in fusion.edges.items()}
