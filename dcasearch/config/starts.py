"""Weights that a training starts from: those of an exported spec. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from dcasearch.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Start:
    """The weights of an exported network."""

    architecture_id: str
    weights: str
    """Absolute path of the safetensors file."""
    sha256: str
    """Of that file, as the spec has it; who reads the file compares."""


@lru_cache(maxsize=256)  # every trial asks
def read_start(spec: str) -> Start:
    """Return the weights that an exported spec names.

    Raises:
        UserError: the spec cannot be read or is none, or its weights are not beside it.
    """
    path = Path(spec).expanduser()
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{spec} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{spec} is no YAML: {error}") from error
    try:
        id, file, sha256 = str(said["id"]), str(said["weights"]["file"]), str(said["weights"]["sha256"])
    except (KeyError, TypeError):
        raise UserError(
            f"{spec} is no exported model: it has no id or no weights. `dcasearch export` writes one."
        ) from None
    weights = path.parent / file
    if not weights.is_file():
        raise UserError(f"{weights} is missing: the weights lie beside {spec}")
    return Start(architecture_id=id, weights=str(weights.resolve()), sha256=sha256)


def start_of(specs: Iterable[str], architecture_id: str) -> Start:
    """Return the weights of an architecture among exported specs.

    Raises:
        UserError: none of them is of that architecture, or one cannot be read.
    """
    starts = {start.architecture_id: start for start in map(read_start, specs)}
    if architecture_id not in starts:
        raise UserError(f"no exported spec is of the network {architecture_id}; there are {', '.join(sorted(starts))}")
    return starts[architecture_id]
