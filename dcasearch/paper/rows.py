"""The rows of the paper's tables 1 to 7: what is printed, and the architecture that builds each row. No torch."""

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
DetectorName: TypeAlias = Literal["retinanet", "cascade_rcnn"]
"""A detector, as a study calls it."""
PRECISIONS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
"""COCO's average precisions in the order of table 7, by the names of their metrics: over all IoU thresholds, at 0.5, at
0.75, and over small, medium and large objects."""


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
class _Row:
    """What a row of any table has."""

    id: str
    """As in `t1_dca_se_resnet50`: the table, then the network."""
    table: int
    name: str
    notes: tuple[str, ...]
    """Sentences that a reader of the row needs."""
    written: Mapping[str, Any]
    """The architecture as YAML writes it."""

    @cached_property
    def architecture(self) -> Architecture:
        """The architecture."""
        return Architecture.parse(self.written)


@dataclass(frozen=True, kw_only=True)
class PaperRow(_Row):
    """One row of one of the tables 1 to 6: a network that classifies ImageNet."""

    printed: Printed
    evidence: Evidence


@dataclass(frozen=True, kw_only=True)
class DetectionRow(_Row):
    """One row of table 7: a detector. The architecture is that of its backbone."""

    detector: DetectorName
    printed: Mapping[str, float]
    """Percent, by the names in `PRECISIONS`. COCO's validation images, one training."""


@dataclass(frozen=True, kw_only=True)
class PaperTable:
    """One of the tables 1 to 6."""

    number: int
    title: str
    rows: tuple[PaperRow, ...]


@dataclass(frozen=True, kw_only=True)
class DetectionTable:
    """Table 7."""

    number: int
    title: str
    rows: tuple[DetectionRow, ...]
    remarks: tuple[str, ...]
    """Sentences that concern every row."""


@cache
def paper_tables() -> tuple[PaperTable, ...]:
    """Return tables 1 to 6 in the paper's order."""
    return tuple(
        PaperTable(
            number=table["number"],
            title=table["title"],
            rows=tuple(
                PaperRow(**_common(row, table), printed=Printed(**row["printed"]), evidence=row["evidence"])
                for row in table["rows"]
            ),
        )
        for table in _content()["tables"]
    )


@cache
def detection_table() -> DetectionTable:
    """Return table 7."""
    table, notes = _content()["detection"], _content()["notes"]
    return DetectionTable(
        number=table["number"],
        title=table["title"],
        rows=tuple(
            DetectionRow(**_common(row, table), printed=row["printed"], detector=row["detector"])
            for row in table["rows"]
        ),
        remarks=tuple(notes[name] for name in table["remarks"]),
    )


def row_of(id: str) -> PaperRow:
    """Return a row of tables 1 to 6 by its id.

    Raises:
        UserError: none of these tables has a row of that id.
    """
    rows = {row.id: row for row in _rows()}
    if id not in rows:
        raise UserError(f"'{id}' is not a row of the paper's tables; {nearest(id, rows)}")
    return rows[id]


def _rows() -> Iterator[PaperRow]:
    return (row for table in paper_tables() for row in table.rows)


@cache
def _content() -> Mapping[str, Any]:
    content: Mapping[str, Any] = yaml.safe_load((files("dcasearch.paper") / "rows.yaml").read_text(encoding="utf-8"))
    return content


@cache
def _architectures() -> Mapping[str, Mapping[str, Any]]:
    """Return the written architectures by the ids of the rows that write them."""
    rows = (row for table in _content()["tables"] for row in table["rows"])
    return {row["id"]: row["architecture"] for row in rows if "as" not in row}


def _common(row: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a row of any table has."""
    return {
        "id": row["id"],
        "table": table["number"],
        "name": row["name"],
        "notes": tuple(_content()["notes"][note] for note in row.get("notes", ())),
        "written": _architectures()[row.get("as", row["id"])],
    }
