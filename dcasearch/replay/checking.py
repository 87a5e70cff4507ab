"""Does a table hang together? A file may be cut, edited, or a stranger's; replaying takes it at its word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import ValidationError

from dcasearch.bounds import STORED
from dcasearch.config.study import Study
from dcasearch.errors import UserError, mistakes_of
from dcasearch.space.reading import read_space

if TYPE_CHECKING:
    from dcasearch.replay.table import Row, Table


def faults_of(table: Table) -> Iterator[str]:
    """Yield what is wrong with a table, each as a sentence; the first one may bring about those after it."""
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
