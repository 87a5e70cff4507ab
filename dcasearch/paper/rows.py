"""The rows of the paper's tables 1 to 6: what is printed, and the architecture that builds each row. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, Literal, TypeAlias

import yaml

from dcasearch.architecture import Architecture
from dcasearch.errors import UserError, nearest

Evidence: TypeAlias = Literal["released", "reconstruction", "count"]
"""What a row's architecture rests on.

`released`: the authors' released code builds it. `reconstruction`: no released code builds it, and it was fitted to the
printed figures. `count`: only the printed count says something of its form.
"""


@dataclass(frozen=True, kw_only=True)
class Printed:
    """What the paper prints of one network."""

    params: float
    """Parameters in millions, with two decimals; those of the first block's unused connection are counted."""
    gflops: float
    """In the authors' counting convention (`dcasearch.paper.gflops`), with three decimals."""
    top1: float
    """Percent of ImageNet-1k's validation images, one crop of 224 pixels, one training."""
    top5: float


@dataclass(frozen=True, kw_only=True)
class PaperRow:
    """One row of one table."""

    id: str
    """As in `t1_dca_se_resnet50`: the table, then the network."""
    table: int
    name: str
    printed: Printed
    evidence: Evidence
    notes: tuple[str, ...]
    """Sentences that a reader of the row needs."""
    written: Mapping[str, Any]
    """The architecture as YAML writes it."""

    @cached_property
    def architecture(self) -> Architecture:
        """The architecture."""
        return Architecture.parse(self.written)


@dataclass(frozen=True, kw_only=True)
class PaperTable:
    """One table of the paper."""

    number: int
    title: str
    rows: tuple[PaperRow, ...]


@cache
def paper_tables() -> tuple[PaperTable, ...]:
    """Return tables 1 to 6 in the paper's order."""
    content = yaml.safe_load((files("dcasearch.paper") / "rows.yaml").read_text(encoding="utf-8"))
    architectures = {
        row["id"]: row["architecture"] for table in content["tables"] for row in table["rows"] if "as" not in row
    }
    return tuple(
        PaperTable(
            number=table["number"],
            title=table["title"],
            rows=tuple(_row(row, table["number"], content["notes"], architectures) for row in table["rows"]),
        )
        for table in content["tables"]
    )


def row_of(id: str) -> PaperRow:
    """Return a row by its id.

    Raises:
        UserError: no table has a row of that id.
    """
    rows = {row.id: row for row in _rows()}
    if id not in rows:
        raise UserError(f"'{id}' is not a row of the paper's tables; {nearest(id, rows)}")
    return rows[id]


def _rows() -> Iterator[PaperRow]:
    return (row for table in paper_tables() for row in table.rows)


def _row(
    row: Mapping[str, Any], table: int, notes: Mapping[str, str], architectures: Mapping[str, Mapping[str, Any]]
) -> PaperRow:
    return PaperRow(
        id=row["id"],
        table=table,
        name=row["name"],
        printed=Printed(**row["printed"]),
        evidence=row["evidence"],
        notes=tuple(notes[note] for note in row.get("notes", ())),
        written=architectures[row.get("as", row["id"])],
    )
