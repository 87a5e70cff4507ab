"""An executor that looks trainings up: with it a study is searched by the very code that would train it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dcasearch.architecture import Architecture
from dcasearch.config.study import Fidelity, Study
from dcasearch.errors import UserError
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.metrics import is_cost
from dcasearch.replay.table import LOSS, VALUE, Row, Table
from dcasearch.search.work import Work
from dcasearch.training import Assignment, weights_path


@dataclass(frozen=True)
class Step:
    """What a search knew after one more training, complete or cut short."""

    seconds: float
    """Of all trainings so far, parents included."""
    recommended: str
    """Id of the architecture that it would return now."""


@dataclass
class Trace:
    """A search as it goes: its cost and, after each training, what it would recommend.

    That is the best by the mean over its seeds at the highest level at which a training was complete.
    """

    seconds: float = 0.0
    steps: list[Step] = field(default_factory=list)
    _values: dict[int, dict[str, list[float]]] = field(default_factory=dict)

    def spend(self, seconds: float) -> None:
        """Add a cost that tells nothing of an architecture: a parent's, or that of a training that was stopped."""
        self.seconds += seconds
        if self.steps:
            self.steps.append(Step(self.seconds, self.steps[-1].recommended))

    def add(self, architecture: str, level: int, value: float, seconds: float) -> None:
        """Add a complete training; the value is maximized."""
        self.seconds += seconds
        self._values.setdefault(level, {}).setdefault(architecture, []).append(value)
        top = self._values[max(self._values)]
        best = max(top, key=lambda id: sum(top[id]) / len(top[id]))
        self.steps.append(Step(self.seconds, best))


class TableExecutor:
    """See `dcasearch.executors.Executor`; one job at a time, each answered from the table."""

    def __init__(self, table: Table, study: Study) -> None:
        """Make an executor.

        Args:
            table: what is known.
            study: what is searched; in its artifacts an empty file stands for each parent's weights.
        """
        self.trace = Trace()
        self._table, self._artifacts = table, Path(study.artifacts)
        self._levels = [fidelity.name for fidelity in study.fidelities]
        self._led_by_loss = next(m for m in study.objectives if not is_cost(m)) == LOSS
        written = {str(f["name"]): Fidelity.model_validate(f) for f in table.head.study["fidelities"]}
        self._known = {name: _meaning(fidelity) for name, fidelity in written.items()}

    def run(self, work: Work) -> None:
        """Answer every job.

        Raises:
            UserError: the table does not have what is asked for.
        """
        while (job := work.ask()) is not None:
            work.started(job)
            row = self._row(job.assignment)
            history: list[Epoch] = []
            for epoch in epochs_of(row, scored=job.assignment.fidelity.kind == "zero_cost"):
                history.append(epoch)
                if not work.report(job, epoch):
                    break
            self._note(job.assignment, row, history)
            work.finish(job, self._evaluation(job.assignment, row, tuple(history)))

    def _row(self, assignment: Assignment) -> Row:
        name = assignment.fidelity.name
        if _is_parent(assignment, self._known):
            name += ".parent"
        elif name in self._known and self._known[name] != _meaning(assignment.fidelity):
            raise UserError(f"the table's fidelity '{name}' is another than the study's")
        return look_up(self._table, assignment.architecture, name, assignment.seed)

    def _note(self, assignment: Assignment, row: Row, history: list[Epoch]) -> None:
        seconds = sum(epoch.seconds for epoch in history)
        if _is_parent(assignment, self._known) or len(history) < len(row.values):
            self.trace.spend(seconds)
        else:
            value = -row.losses[-1] if self._led_by_loss and row.losses else row.values[-1]
            self.trace.add(assignment.architecture.id, self._levels.index(assignment.fidelity.name), value, seconds)

    def _evaluation(self, assignment: Assignment, row: Row, history: tuple[Epoch, ...]) -> Evaluation:
        weights = None
        if row.weights_sha256 is not None:
            place = weights_path(self._artifacts, assignment.key.id)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"")
            weights = f"weights/{assignment.key.id}.safetensors"
        seconds = sum(epoch.seconds for epoch in history)
        return Evaluation(
            key=assignment.key,
            history=history,
            seconds=seconds,
            images=0,
            device="replay",
            weights=weights,
            weights_sha256=row.weights_sha256,
        )


def look_up(table: Table, architecture: Architecture, fidelity: str, seed: int) -> Row:
    """Return a row that a search may see.

    Raises:
        UserError: the table has none, or it is the truth's.
    """
    if seed >= table.head.truth_from:
        raise UserError(f"seed {seed} is the truth's, which no search may see")
    row = table.rows.get((architecture.id, fidelity, seed))
    if row is None:
        raise UserError(f"table '{table.head.name}' has no {fidelity} of {architecture.id} with seed {seed}")
    return row


def epochs_of(row: Row, *, scored: bool) -> list[Epoch]:
    """Return a row's history, as a worker would report it; a table keeps the headline and the loss."""
    if scored:
        return [Epoch.of_score(row.values[0], row.seconds[0], "replay")]
    return [
        Epoch(epoch=n, train_loss=0.0, values={VALUE: value, LOSS: loss}, seconds=seconds, device="replay")
        for n, (value, loss, seconds) in enumerate(zip(row.values, row.losses, row.seconds, strict=True), start=1)
    ]


def _is_parent(assignment: Assignment, known: dict[str, dict[str, object]]) -> bool:
    written = known.get(assignment.fidelity.name, {}).get("initialize")
    return assignment.parent is None and isinstance(written, dict) and written.get("name") == "vanilla"


def _meaning(fidelity: Fidelity) -> dict[str, object]:
    return fidelity.model_dump(
        mode="json", include={"kind", "score", "resolution", "epochs", "train_fraction", "recipe", "initialize"}
    )
