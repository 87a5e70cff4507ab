"""Short ways to write architectures and to read what they resolve to."""

from __future__ import annotations

from typing import Any

from dcasearch.architecture import Architecture

SE: dict[str, Any] = {"name": "se", "reduction": 16}


def make(attention: Any = SE, connections: Any = None, backbone: Any = "resnet18") -> Architecture:
    """An architecture; `backbone` is a name or the whole part."""
    written = {"backbone": {"name": backbone} if isinstance(backbone, str) else backbone, "attention": attention}
    return Architecture.parse(written if connections is None else {**written, "connections": connections})


def edges(architecture: Architecture, dimension: str = "channel") -> list[tuple[int, int]]:
    """Source and target of every connection in a dimension, from 1."""
    return [(e.source + 1, e.target + 1) for e in architecture.network.edges if e.dimension == dimension]
