"""What ranks the architectures of a table as its truth does: proxies, scores and costs, beside the ceiling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dcasearch.analysis.trust import Correlation, correlate
from dcasearch.metrics import costs
from dcasearch.replay.comparison import cost_of_all
from dcasearch.replay.table import Member, Row, Table


@dataclass(frozen=True)
class Predictor:
    """One number that each architecture has, against the mean over the truth's seeds."""

    name: str
    cost: float
    """Of it for every architecture once, as a share of training them all at the truth's fidelity; parents included."""
    correlation: Correlation | None
    """Positive is right; of one training seed, the mean over the seeds; None: not estimable."""


def predictors(table: Table) -> tuple[Predictor, ...]:
    """Return every predictor that a table has: measured ones by accuracy and loss, scores, costs, and the ceiling."""
    found = list(_measured(table))
    for name in costs():
        if name not in Member.model_fields:
            continue
        column = [float(getattr(member, name)) for member in table.members]
        found.append(Predictor(name, 0.0, correlate([(column, _truth(table))])))
    return (*found, *_ceiling(table))


def _measured(table: Table) -> Iterator[Predictor]:
    """Yield what each fidelity and score says, and each epoch of the truth's fidelity before its last."""
    truth, every = table.head.truth, cost_of_all(table)
    written = [fidelity["name"] for fidelity in table.head.study["fidelities"]]
    others = [name for _, name, _ in table.rows if not name.endswith(".parent")]
    for name in filter(table.seeds, dict.fromkeys([*written, *others])):
        rows = [table.rows[table.members[0].architecture, name, seed] for seed in table.seeds(name)]
        epochs = len(rows[0].values)
        for end in range(1, epochs + 1) if name == truth else [epochs]:
            cost = _cost(table, name, end) / every
            label = f"{name}, epoch {end} of {epochs}" if end < epochs else name

            def value(row: Row, last: int = end) -> float:
                return row.values[last - 1]

            def loss(row: Row, last: int = end) -> float:
                return -row.losses[last - 1]

            yield Predictor(label, cost, _against_truth(table, name, value))
            if rows[0].losses:
                yield Predictor(f"{label}, by loss", cost, _against_truth(table, name, loss))


def _ceiling(table: Table) -> Iterator[Predictor]:
    """Yield what one training says of another of the same architecture: no training can be expected to say more."""
    judged = table.judged
    pairs = [(a.tolist(), b.tolist()) for a, b in combinations(judged.T, 2)]
    if pairs:
        yield Predictor("another seed against a seed", 1.0, correlate(pairs))


def _against_truth(table: Table, name: str, value: Callable[[Row], float]) -> Correlation | None:
    truth = _truth(table)
    return correlate([(_column(table, name, seed, value), truth) for seed in table.seeds(name)])


def _column(table: Table, name: str, seed: int, value: Callable[[Row], float]) -> Sequence[float]:
    return [value(table.rows[member.architecture, name, seed]) for member in table.members]


def _truth(table: Table) -> list[float]:
    return [table.truth[member.architecture] for member in table.members]


def _cost(table: Table, name: str, epochs: int) -> float:
    """Return the seconds of every architecture's first epochs, and of the parents that they start from, once each."""
    by_seed: dict[int, float] = {}
    seeds = table.seeds(name)
    for (_, fidelity, seed), row in table.rows.items():
        if fidelity in (name, f"{name}.parent") and seed in seeds:
            spent = row.seconds[:epochs] if fidelity == name else row.seconds
            by_seed[seed] = by_seed.get(seed, 0.0) + sum(spent)
    return float(np.mean(list(by_seed.values())))
