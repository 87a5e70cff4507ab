"""A finished reading of networks as it is shown: title, sentences, table, figure, and the numbers behind them.

A reading that is kept beside a study's artifacts is shown by `dcasearch report`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dcasearch.artifacts import Place, read_bytes, write_atomically
from dcasearch.errors import UserError

FORMAT = 1
NAMES = ("contributions", "drift")
"""The readings that there are, in the order in which a report shows them."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one command found out about some networks."""

    name: str
    """One of `NAMES`; a later reading of that name replaces this one."""
    title: str
    says: tuple[str, ...]
    """Sentences: what was read, on which images, and what cannot be said."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    svg: str
    """The figure."""
    caption: str
    """How the figure is read."""
    provenance: dict[str, str]
    """Commit, versions, device."""
    numbers: dict[str, Any]
    """Every number, for programs: plain JSON, null where a number is not known."""


def to_json(reading: Reading) -> str:
    """Return a reading without its figure, for programs."""
    plain = asdict(reading)
    return json.dumps({"format": FORMAT, **{k: v for k, v in plain.items() if k != "svg"}}, indent=1, allow_nan=False)


def keep(reading: Reading, artifacts: Place, study: str) -> Place:
    """Write a reading beside a study's artifacts and return the file.

    Raises:
        StorageError: it cannot be written.
    """
    place = _place(artifacts, study, reading.name)
    content = json.dumps({"format": FORMAT, **asdict(reading)}, indent=1, allow_nan=False)

    def write(unfinished: Path) -> None:
        unfinished.write_text(content, encoding="utf-8")

    write_atomically(place, write)
    return place


def kept(artifacts: Place, study: str) -> list[Reading]:
    """Return the readings that lie beside a study's artifacts.

    Raises:
        UserError: one was written by another version.
        StorageError: one cannot be read.
    """
    found = []
    for name in NAMES:
        place = _place(artifacts, study, name)
        content = read_bytes(place)
        if content is None:
            continue
        plain = json.loads(content)
        if plain.pop("format") != FORMAT:
            raise UserError(f"{place} was written by another version; run `dcasearch {name} --study {study}` again")
        rows = tuple(tuple(row) for row in plain.pop("rows"))
        found.append(
            Reading(**{**plain, "rows": rows, "says": tuple(plain["says"]), "columns": tuple(plain["columns"])})
        )
    return found


def _place(artifacts: Place, study: str, name: str) -> Place:
    return artifacts / "interpretation" / study / f"{name}.json"


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: numbers that are not known (nan) are None."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and value != value else value
