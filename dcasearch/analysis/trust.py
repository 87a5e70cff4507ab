"""How far a cheaper number can be trusted: its rank correlation with the dearer one that it stands for.

Reads, never writes. What each number means, and its limits: docs/trust.md.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from dcasearch.config.study import Fidelity, Study
from dcasearch.metrics import METRICS, costs, is_cost
from dcasearch.search.objectives import objectives_at
from dcasearch.search.pruning import rungs
from dcasearch.store import Store
from dcasearch.trial import State, Trial

Floats = NDArray[np.float64]

ESTIMABLE = 10
"""Architectures below which no correlation is told."""
RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Correlation:
    """Two rank correlations, each with a bootstrap interval."""

    tau: float
    """Kendall's τ-b."""
    tau_interval: tuple[float, float]
    rho: float
    """Spearman's ρ."""
    rho_interval: tuple[float, float]


@dataclass(frozen=True)
class Trust:
    """How well one number predicts another; positive is right, whatever the directions of the two."""

    fidelity: str
    """Where the predictor is measured."""
    against: str
    """The fidelity whose value is predicted."""
    predictor: str
    """`value`, `rung 3` (after so many epochs), `params`, `macs`, `another seed`."""
    n: int
    """Architectures that have both."""
    correlation: Correlation | None
    """None: not estimable, fewer than ten architectures or no spread among them."""
    drawn: int = 0
    """Of them those that were promoted at random; without any, only the best are compared."""


def correlate(
    pairs: Sequence[tuple[Sequence[float], Sequence[float]]], weights: Sequence[float] | None = None
) -> Correlation | None:
    """Return the rank correlations of paired columns, averaged over the pairs; None where they are not estimable.

    Args:
        pairs: Two columns each, one row an architecture.
        weights: One per row; 1 / the probability with which it was chosen.

    The interval is the percentile bootstrap over rows with their weights, from a fixed seed.
    """
    columns = np.asarray(pairs, float)
    n = columns.shape[-1] if columns.ndim == 3 else 0
    if n < ESTIMABLE:
        return None
    weight = np.ones(n) if weights is None else np.asarray(weights, float)
    rows = np.random.default_rng(0).integers(n, size=(RESAMPLES, n))
    tau, rho = _averages(columns, weight, np.arange(n)[None])
    if not (np.isfinite(tau).all() and np.isfinite(rho).all()):
        return None
    taus, rhos = _averages(columns, weight, rows)
    return Correlation(float(tau[0]), _interval(taus), float(rho[0]), _interval(rhos))


def _averages(columns: Floats, weights: Floats, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return per row of row numbers the two correlations, averaged over the pairs of columns."""
    drawn = weights[rows]
    found = [(kendall(x[rows], y[rows], drawn), spearman(x[rows], y[rows], drawn)) for x, y in columns]
    taus, rhos = (np.mean([pair[n] for pair in found], axis=0) for n in (0, 1))
    return taus, rhos


def _interval(values: Floats) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(values, (tail, 1 - tail))
    return float(low), float(high)


def kendall(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Return Kendall's τ-b along the last axis, each pair of rows with the product of its weights; nan without spread.

    scipy's `kendalltau` has no weights, and its `weightedtau` weighs ranks, not rows.
    """
    total, in_x, in_y = (np.zeros(x.shape[:-1]) for _ in range(3))
    for n in range(1, x.shape[-1]):  # every row against those before it: memory grows with n, not with its square
        dx, dy = (np.sign(v[..., n : n + 1] - v[..., :n]) for v in (x, y))
        w = weights[..., n : n + 1] * weights[..., :n]
        total += (w * dx * dy).sum(-1)
        in_x += (w * dx * dx).sum(-1)
        in_y += (w * dy * dy).sum(-1)
    return _ratio(total, np.sqrt(in_x * in_y))


def spearman(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Return Spearman's ρ along the last axis: the weighted correlation of weighted mid-ranks; nan without spread."""
    ranks = []
    for v in (x, y):
        rank = np.zeros(v.shape)
        for n in range(v.shape[-1]):
            rank += weights[..., n : n + 1] * (0.5 + 0.5 * np.sign(v - v[..., n : n + 1]))
        ranks.append(rank - (weights * rank).sum(-1, keepdims=True) / weights.sum(-1, keepdims=True))
    a, b = ranks
    return _ratio((weights * a * b).sum(-1), np.sqrt((weights * a * a).sum(-1) * (weights * b * b).sum(-1)))


def _ratio(a: Floats, b: Floats) -> Floats:
    ratio: Floats = np.divide(a, b, out=np.full(a.shape, np.nan), where=b > 0)
    return ratio


def trust_of(study: Study, store: Store) -> tuple[Trust, ...]:
    """Return what is known of each proxy, each rung and each cheap stand-in, beside the ceiling: seed against seed."""
    meter = _Meter(study, store)
    found: list[Trust] = []
    for n, fidelity in enumerate(study.fidelities):
        if n + 1 < len(study.fidelities):
            found += meter.promoted(fidelity, study.fidelities[n + 1])
        found += meter.rungs(fidelity)
        found += meter.ceiling(fidelity)
    return tuple(found)


class _Meter:
    """What is asked of one study, with its records read once."""

    def __init__(self, study: Study, store: Store) -> None:
        self._study, self._store = study, store
        self._led_by = {fidelity.name: _leading(study, fidelity) for fidelity in study.fidelities}
        self._trials = {f.name: store.trials(study.name, f.name) for f in study.fidelities}

    def promoted(self, fidelity: Fidelity, following: Fidelity) -> Iterator[Trust]:
        """Yield every predictor of a fidelity against the next one, over the promoted trials."""
        reached = self._promoted(following)
        sources = {t.number: t for t in self._trials[fidelity.name]}
        # The row of a source may be damaged and left out.
        reached = {n: trials for n, trials in reached.items() if n in sources and sources[n].values is not None}
        ends = [statistics.fmean(self._value(t) for t in trials) for trials in reached.values()]
        weights = [1 / float(str(trials[0].attributes["probability"])) for trials in reached.values()]
        drawn = sum(trials[0].origin == "promoted_random" for trials in reached.values())
        for predictor, values in self._predictors(fidelity, [sources[of] for of in reached]):
            # A cost, or a curve, may not be stored.
            rows = [n for n, value in enumerate(values) if value is not None]
            found = correlate([([values[n] or 0.0 for n in rows], [ends[n] for n in rows])], [weights[n] for n in rows])
            yield Trust(fidelity.name, following.name, predictor, len(rows), found, drawn)

    def _promoted(self, following: Fidelity) -> dict[int, list[Trial]]:
        """Return by the number of the trial before them those that ended, with the seeds that all of them have."""
        groups: dict[int, list[Trial]] = {}
        for trial in self._trials[following.name]:
            if trial.values is not None and trial.seed in following.seeds and "of" in trial.attributes:
                groups.setdefault(int(str(trial.attributes["of"])), []).append(trial)
        needed = max((len(trials) for trials in groups.values()), default=0)
        return {of: trials for of, trials in groups.items() if len(trials) == needed}

    def _predictors(self, fidelity: Fidelity, trials: Sequence[Trial]) -> Iterator[tuple[str, list[float | None]]]:
        yield "value", [self._value(trial) for trial in trials]
        metric = fidelity.pruner.metric
        for rung, values in self._at_rungs(fidelity, metric, trials).items():
            yield f"rung {rung}", values
        record = self._store.get_study(self._study.name)
        classes = 0 if record is None else int(record.meaning.get("data.classes", 0))
        resolution = self._study.fidelities[-1].resolution
        known = [self._store.get_costs(t.architecture_id, resolution, classes) for t in trials]
        for name in costs():
            if any(name in found for found in known):
                yield name, [found.get(name) for found in known]

    def _at_rungs(self, fidelity: Fidelity, metric: str, trials: Sequence[Trial]) -> Mapping[int, list[float | None]]:
        steps = rungs(fidelity.pruner, fidelity.epochs)
        if not steps:  # a score has none, and no curve of that metric
            return {}
        sign = METRICS[metric].sign
        curves = self._store.curves((t.evaluation for t in trials if t.evaluation is not None), metric)
        held = [curves.get(trial.evaluation or "", []) for trial in trials]
        return {rung: [sign * curve[rung - 1] if len(curve) >= rung else None for curve in held] for rung in steps}

    def rungs(self, fidelity: Fidelity) -> Iterator[Trust]:
        """Yield each rung against the end of its own fidelity, over the trials that ended before any was pruned.

        Whoever is pruned has no end, so later trials are a selection.
        """
        originals = [t for t in self._trials[fidelity.name] if t.state in (State.COMPLETE, State.PRUNED)]
        first = next((n for n, t in enumerate(originals) if t.state is State.PRUNED), len(originals))
        trials = list({t.architecture_id: t for t in reversed(originals[:first])}.values())
        ends = [self._value(trial) for trial in trials]
        for rung, values in self._at_rungs(fidelity, fidelity.pruner.metric, trials).items():
            rows = [n for n, value in enumerate(values) if value is not None]
            found = correlate([([values[n] or 0.0 for n in rows], [ends[n] for n in rows])])
            yield Trust(fidelity.name, fidelity.name, f"rung {rung}", len(rows), found)

    def ceiling(self, fidelity: Fidelity) -> Iterator[Trust]:
        """Yield seed against seed, over the architectures that share several, averaged over the pairs of seeds."""
        values: dict[str, dict[int, float]] = {}
        for trial in self._trials[fidelity.name]:
            if trial.state is State.COMPLETE:
                values.setdefault(trial.architecture_id, {})[trial.seed] = self._value(trial)
        several = [by_seed for by_seed in values.values() if len(by_seed) > 1]
        seeds = sorted(set.intersection(*map(set, several))) if several else []
        if len(seeds) > 1:
            pairs = [([v[a] for v in several], [v[b] for v in several]) for a, b in combinations(seeds, 2)]
            yield Trust(fidelity.name, fidelity.name, "another seed", len(several), correlate(pairs))

    def _value(self, trial: Trial) -> float:
        place, sign = self._led_by[trial.fidelity]
        return sign * (trial.values or ())[place]


def _leading(study: Study, fidelity: Fidelity) -> tuple[int, float]:
    """Return the place among a trial's values of the first measured one, and the sign that makes more better."""
    objectives = objectives_at(study, fidelity)
    place, metric = next((n, m) for n, m in enumerate(objectives) if not is_cost(m))
    return place, -1.0 if objectives[metric] == "minimize" else 1.0
