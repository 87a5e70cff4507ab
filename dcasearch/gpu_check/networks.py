"""The networks that are measured and trained; they stand in `networks.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import yaml

Spec: TypeAlias = Mapping[str, Any]
"""An architecture as `Architecture.parse` reads it."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One network whose speed is measured, and what it is compared with."""

    name: str
    ours: Spec
    vanilla: Spec | None = None
    """Ours too, without connections."""
    yardstick: Mapping[str, Any] | None = None
    """`library`, `name` and further arguments of another library's network."""


@dataclass(frozen=True, kw_only=True)
class Networks:
    """What `networks.yaml` holds."""

    rows: tuple[Row, ...]
    rated: tuple[Spec, ...]
    """Networks whose throughput is measured for `dcasearch check`."""
    resolutions: tuple[int, ...]
    vanilla: Spec
    connected: Spec
    small: Spec
    """A connected network that trains in seconds."""


@cache
def networks() -> Networks:
    """Return the networks."""
    content = yaml.safe_load(Path(__file__).with_name("networks.yaml").read_text())
    return Networks(
        rows=tuple(Row(**row) for row in content["rows"]),
        rated=tuple(content["rates"]["networks"]),
        resolutions=tuple(content["rates"]["resolutions"]),
        **content["trained"],
    )
