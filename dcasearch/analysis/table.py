"""The table of a study whose space is a list of architectures: every row against the row that it is compared with.

Reads, never writes. Rows stand in the list's order. A difference is paired by seed and judged as everywhere
(`dcasearch.analysis.power`), corrected for all rows of the table; nobody is picked by these values, so no selection is
corrected for.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dcasearch.analysis.contrasts import BySeed
from dcasearch.analysis.costs import cost_of
from dcasearch.analysis.effects import Effect, effects_of
from dcasearch.analysis.paired import Error
from dcasearch.analysis.power import Difference, Power, difference
from dcasearch.config.study import Study
from dcasearch.evaluation import Evaluation
from dcasearch.metrics import METRICS, Metric
from dcasearch.space import ListedSpace, Row, read_space
from dcasearch.space.list_reading import LIST
from dcasearch.store import Store
from dcasearch.trial import Role, State, Trial


@dataclass(frozen=True)
class Reached:
    """After how many epochs the trainings of a row were as accurate as was asked for."""

    goal: float
    """Of the headline metric."""
    epochs: tuple[int, ...]
    """Of each seed that reached it the first such epoch, sorted."""
    seeds: int
    """Trainings in all."""

    def __str__(self) -> str:
        """Return e.g. `6 to 9`, `not reached`, or `8 (1 of 3 seeds, the others not)`."""
        if not self.epochs:
            return "not reached"
        low, high = self.epochs[0], self.epochs[-1]
        said = str(low) if low == high else f"{low} to {high}"
        if len(self.epochs) < self.seeds:
            said += f" ({len(self.epochs)} of {self.seeds} seeds, the others not)"
        return said


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One row: what the network costs, and what its trainings came to."""

    row: Row
    params: int
    macs: int
    """Multiply-adds of one image at the fidelity's resolution."""
    values: Mapping[str, BySeed]
    """By metric and seed, of the last epoch; empty where nothing is trained."""
    margin: float | None = None
    """Half-width of the 95% interval of the headline metric's mean, by seeds and images; None: noise not known."""
    against: str | None = None
    """Label of the row that it is compared with."""
    difference: Difference | None = None
    """This row minus that one; None where one of the two is not trained."""
    reached: Reached | None = None
    failure: str = ""
    """Why a training failed."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """All rows of a list at one fidelity, and what several of them say together."""

    fidelity: str
    headline: Metric
    rows: tuple[TableRow, ...]
    effects: tuple[Effect, ...]
    """The trend over depth, the interaction of two dimensions."""

    @property
    def others(self) -> tuple[Metric, ...]:
        """The metrics that are shown beside the headline metric: top-5 beside top-1."""
        names = dict.fromkeys(name for row in self.rows for name in row.values)
        return tuple(
            METRICS[name] for name in names if METRICS[name].beside_headline and METRICS[name] is not self.headline
        )


def listed_space_of(study: Study) -> ListedSpace | None:
    """Return a study's space where it is a list."""
    space = read_space(study.space) if LIST in study.space else None
    return space if isinstance(space, ListedSpace) else None


def table_of(study: Study, store: Store, power: Power | None, reach: float | None = None) -> Table | None:
    """Return the table of a study's last fidelity; None where its space is no list.

    Args:
        study: As it was last run.
        store: Its database.
        power: What can be told apart at the last fidelity (`dcasearch.analysis.measured.powers_of`).
        reach: A value of the headline metric; each row says after how many epochs it was reached. Default: the last
            mean of the plain row that a row goes back to.
    """
    space = listed_space_of(study)
    if space is None:
        return None
    headline = study.headline
    trained, failures = _trainings(study, store)
    rows = [_row(study, store, row, trained.get(row.architecture.id, {})) for row in space.rows]
    rows = [replace(r, failure=failures.get(r.row.architecture.id, "")) for r in rows]
    of_headline = {r.row.label: r.values.get(headline.name, {}) for r in rows}
    effects: tuple[Effect, ...] = ()
    if power is not None:
        power = replace(power, candidates=1)
        rows = _compared(space, rows, of_headline, power)
        effects = effects_of(space, of_headline, power)
    rows = [_with_epochs(space, r, trained, of_headline, headline, reach) for r in rows]
    return Table(fidelity=study.fidelities[-1].name, headline=headline, rows=tuple(rows), effects=effects)


def _trainings(study: Study, store: Store) -> tuple[dict[str, dict[int, Evaluation]], dict[str, str]]:
    """Return by architecture the records of the last fidelity by seed, and why trainings failed."""
    last = study.fidelities[-1].name
    trials = store.trials(study.name, last)
    ended = [t for t in trials if t.state is State.COMPLETE]
    roles = [r for r in store.roles(study.name) if (r.role, r.fidelity) == ("baseline", last)]
    failed: list[Trial | Role] = [*(t for t in trials if t.state is State.FAILED), *(r for r in roles if r.failure)]
    held: list[Trial | Role] = [*ended, *roles]
    records = store.evaluations(item.evaluation for item in held if item.evaluation is not None)
    found: dict[str, dict[int, Evaluation]] = {}
    for record in records.values():
        found.setdefault(record.key.architecture_id, {})[record.key.seed] = record
    failures = {item.architecture_id: f"{item.failure}: {item.message}" for item in failed}
    return found, failures


def _row(study: Study, store: Store, row: Row, records: Mapping[int, Evaluation]) -> TableRow:
    cost = cost_of(study, store, row.architecture)
    last = {seed: records[seed].last.values for seed in sorted(records)}
    names = [name for name in METRICS if last and all(name in values for values in last.values())]
    values = {name: {seed: by_metric[name] for seed, by_metric in last.items()} for name in names}
    return TableRow(row=row, params=cost.params, macs=cost.macs, values=values)


def _compared(
    space: ListedSpace, rows: Sequence[TableRow], known: Mapping[str, BySeed], power: Power
) -> list[TableRow]:
    """Return the rows with their intervals and differences; all differences of the table hold at once."""
    references = {r.row.label: space.reference(r.row) for r in rows}
    pairs = [label for label, other in references.items() if other and known[label] and known[other.label]]
    found = []
    for r in rows:
        other = references[r.row.label]
        told = None
        if other is not None and r.row.label in pairs:
            told = difference(power, known[r.row.label], known[other.label], len(pairs))
        margin = interval_of_mean(power, list(known[r.row.label].values()))
        found.append(replace(r, against=other.label if other else None, difference=told, margin=margin))
    return found


def interval_of_mean(power: Power, values: Sequence[float]) -> float | None:
    """Return the half-width of the 95% interval of a mean, by the pooled noise of seeds and by the images.

    None where no noise is known, or nothing is trained. The images' part is p(1 − p) / images for a share p.
    """
    noise = power.headline.noise
    if noise is None or not values:
        return None
    known = 0.0
    if power.images is not None and METRICS[power.metric].share:
        share = statistics.fmean(values) / 100
        known = 1e4 * share * (1 - share) / power.images
    return Error(noise.sd**2 / len(values), noise.df, known).margin()


def _with_epochs(
    space: ListedSpace,
    row: TableRow,
    trained: Mapping[str, Mapping[int, Evaluation]],
    known: Mapping[str, BySeed],
    headline: Metric,
    reach: float | None,
) -> TableRow:
    """Return a row that says after how many epochs it was as accurate as asked for, or as its plain row in the end."""
    base, passed = row.row, {row.row.label}
    while (other := space.reference(base)) is not None and other.label not in passed:  # two may name each other
        base = other
        passed.add(base.label)
    goal = reach
    if goal is None and known[base.label]:
        goal = statistics.fmean(known[base.label].values())
    records = trained.get(row.row.architecture.id, {})
    if goal is None or not records:
        return row
    curves = [[epoch.values[headline.name] for epoch in record.history] for record in records.values()]
    return replace(row, reached=reached(curves, goal, headline))


def reached(curves: Sequence[Sequence[float]], goal: float, metric: Metric) -> Reached:
    """Return the first epoch of each curve, from 1, at which the metric is at least as good as the goal."""
    first = (
        next((epoch for epoch, value in enumerate(curve, start=1) if metric.sign * (value - goal) >= 0), None)
        for curve in curves
    )
    return Reached(goal, tuple(sorted(epoch for epoch in first if epoch is not None)), len(curves))
