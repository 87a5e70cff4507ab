"""A table of finished trainings, as a file: one JSON object a line, appended to as trainings end.

The first line is the `Head`; the others are a `Member` (an architecture) or a `Row` (a training or a score), in any
order. A line that a killed writer left unfinished is passed over, so that whoever resumes simply appends.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError, model_validator

from dcasearch.architecture.specification import Frozen
from dcasearch.bounds import STORED
from dcasearch.config.study import Study
from dcasearch.errors import UserError, mistakes_of, shortened
from dcasearch.files import read_regular
from dcasearch.space.reading import read_space
from dcasearch.wording import printable

FORMAT = 1
MAX_BYTES = 1_000_000_000
"""Of a table; one of ten thousand trainings has ten million."""
SHOWN = 500
"""Characters of a mistake."""
VALUE, LOSS = "top1", "loss"
"""The metrics that a table keeps of a training: tables are of classification."""


class Head(Frozen):
    """What every row has in common."""

    format: int = FORMAT
    name: str
    study: dict[str, Any]
    """The study whose space, data and fidelities these are, as its YAML is resolved; without paths."""
    classes: PositiveInt
    data: str
    """Fingerprint of the data set and of its split."""
    truth: str
    """The fidelity whose mean over the truth's seeds is what a search is judged by."""
    truth_from: NonNegativeInt
    """Trainings with this seed or a higher one are the truth's and are never replayed; the others never judge."""


class Member(Frozen):
    """One architecture of the table."""

    architecture: str
    """Its id."""
    spec: dict[str, Any]
    params: int
    macs: int
    parent: str
    """Id of the vanilla network that a warm start begins with."""


class Row(Frozen):
    """One training, or one score of an untrained network (then there is one entry)."""

    of: str
    """Id of the architecture."""
    fidelity: str
    """Name of the head's; that of a parent's training is followed by `.parent`, that of a score is the score's."""
    seed: NonNegativeInt
    values: tuple[float, ...] = Field(min_length=1)
    """Top-1 in percent after each epoch, on the held-out images; or the score."""
    losses: tuple[float, ...] = ()
    """Mean cross-entropy after each epoch, on the same images."""
    seconds: tuple[float, ...]
    """Of each epoch, its measurement and (in the first) the start included."""
    weights_sha256: str | None = None
    """Of a parent's weights, as its children were given them."""

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        epochs = len(self.values)
        if len(self.seconds) != epochs or len(self.losses) not in (0, epochs):
            raise ValueError("needs as many seconds, and losses if any, as values")
        return self


@dataclass(frozen=True)
class Table:
    """A table as read."""

    head: Head
    members: tuple[Member, ...]
    rows: Mapping[tuple[str, str, int], Row]
    """By architecture, fidelity and seed."""

    def seeds(self, fidelity: str) -> tuple[int, ...]:
        """Return the seeds with which a fidelity may be replayed: those that every member has."""
        every = {seed for _, name, seed in self.rows if name == fidelity and seed < self.head.truth_from}
        return tuple(s for s in sorted(every) if all((m.architecture, fidelity, s) in self.rows for m in self.members))

    @cached_property
    def judged(self) -> NDArray[np.float64]:
        """Last values at the truth's fidelity, shape (members, seeds), of the seeds that every member has."""
        seeds = {s for _, name, s in self.rows if name == self.head.truth and s >= self.head.truth_from}
        keys = [[(m.architecture, self.head.truth, seed) for m in self.members] for seed in sorted(seeds)]
        columns = [
            [self.rows[key].values[-1] for key in column] for column in keys if all(k in self.rows for k in column)
        ]
        return np.array(columns, float).reshape(len(columns), len(self.members)).T

    @cached_property
    def truth(self) -> Mapping[str, float]:
        """Mean over the truth's seeds, by architecture.

        Raises:
            UserError: no seed of the truth is complete yet.
        """
        if not self.judged.shape[1]:
            raise UserError(f"table '{self.head.name}': no seed of its truth is complete yet")
        return {m.architecture: float(v) for m, v in zip(self.members, self.judged.mean(1), strict=True)}

    def regret(self, architecture: str) -> float:
        """Return (best - chosen) / (best - median): 0 is the best architecture, 1 the median one."""
        values = list(self.truth.values())
        best, median = max(values), float(np.median(values))
        return (best - self.truth[architecture]) / (best - median) if best > median else 0.0


def reliability(values: NDArray[np.float64]) -> float | None:
    """Return how reliable the mean over seeds is, None with fewer than two seeds or members.

    1 - error variance of the mean / variance of the means: the intraclass correlation ICC(3,k), which is Cronbach's
    alpha; a seed's effect on all members alike is no error (Shrout & Fleiss, 1979).

    Args:
        values: shape (members, seeds).
    """
    members, seeds = values.shape
    if members < 2 or seeds < 2:
        return None
    residual = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    between = seeds * float(values.mean(1).var(ddof=1))
    error = float((residual**2).sum()) / ((members - 1) * (seeds - 1))
    return 1 - error / between if between > 0 else None


def read_table(path: Path) -> Table:
    """Read a table's file.

    Raises:
        UserError: it cannot be read, or it is no table.
    """
    try:
        lines = list(_finished(path))
        if not lines:
            raise UserError(f"{path} is no table of trainings: it holds no line of JSON")
        head = Head.model_validate_json(lines[0], strict=False)
        items = [_item(line) for line in lines[1:]]
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise UserError(f"{path} is no table of trainings: {mistakes_of(error, 'a line')[0]}") from None
    if head.format != FORMAT:
        raise UserError(f"{path} is of format {head.format}; this version reads {FORMAT}")
    members = {item.architecture: item for item in items if isinstance(item, Member)}
    rows = {(item.of, item.fidelity, item.seed): item for item in items if isinstance(item, Row)}
    table = Table(head, tuple(members.values()), rows)
    if mistake := next(_faults_of(table), None):
        raise UserError(printable(f"{path} cannot be replayed: {shortened(mistake, SHOWN)}"))
    return table


def _faults_of(table: Table) -> Iterator[str]:
    """Yield what does not hang together, each as a sentence: a file may be cut, edited, or a stranger's."""
    try:
        study = Study.model_validate(table.head.study, context=STORED)
        read_space(study.space)
    except ValidationError as error:
        yield from (f"study.{mistake}" for mistake in mistakes_of(error))
        return
    except UserError as error:
        yield f"study.space: {error}"
        return
    names = [fidelity.name for fidelity in study.fidelities]
    if table.head.truth not in names:
        yield f"truth: '{table.head.truth}' is none of its fidelities: {', '.join(names)}"
    if not table.members:
        yield "it has no architecture"
    known: dict[str, Row] = {}
    for row in table.rows.values():
        first = known.setdefault(row.fidelity, row)
        if (len(row.values), len(row.losses)) != (len(first.values), len(first.losses)):
            yield f"{row.of}, {row.fidelity}, seed {row.seed}: another number of epochs than that of {first.of}"


def _item(line: bytes) -> Member | Row:
    return (Row if b'"of":' in line else Member).model_validate_json(line, strict=False)


def _finished(path: Path) -> Iterator[bytes]:
    """Yield the lines that were written to their end: those a newline ends and that are whole objects."""
    for line in read_regular(path, MAX_BYTES).split(b"\n")[:-1]:
        if line.startswith(b"{") and line.endswith(b"}"):
            yield line


def append(path: Path, items: Sequence[Head | Member | Row]) -> None:
    """Add lines to a table's file, on disk when this returns; one after an unfinished line begins on its own."""
    data = b"".join(item.model_dump_json(exclude_defaults=False).encode() + b"\n" for item in items)
    with path.open("ab+") as file:
        if file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
            data = b"\n" + data
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
