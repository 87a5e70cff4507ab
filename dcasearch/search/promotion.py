"""Which trials of one fidelity are trained at the next: the best, and some at random that check the proxy."""

from __future__ import annotations

import random
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from dcasearch.config.study import Promotion
from dcasearch.metrics import Direction
from dcasearch.search.objectives import ranking
from dcasearch.trial import Origin, State, Trial

_ENDED = (State.COMPLETE, State.PRUNED, State.FAILED)


@dataclass(frozen=True)
class Promoted:
    """One trial that goes on to the next fidelity, and why."""

    trial: Trial
    origin: Origin
    reason: str
    probability: float
    """With which it was chosen: 1 for the best; of use to whoever weighs the random ones."""


def promote(
    trials: Sequence[Trial],
    promotion: Promotion,
    objectives: Mapping[str, Direction],
    seed: int,
    tiers: Mapping[str, int] | None = None,
    early: Set[int] = frozenset(),
) -> list[Promoted]:
    """Return the promoted among complete, distinct trials: the `top` best, then one from each quantile of the rest.

    Deterministic in its arguments; more `top` only adds trials while `random` is 0.

    Args:
        trials: those of the fidelity before.
        promotion: how many, and by what.
        objectives: of the fidelity before.
        seed: of the random ones.
        tiers: by architecture, compared before any value, the lower ones first: who is still in a race goes before
            those that have left it.
        early: numbers of trials that `promote_early` has promoted. Each takes one of the `top` places for good, even
            if it was overtaken since.
    """
    complete = [trial for trial in reversed(trials) if trial.state is State.COMPLETE]
    distinct = {trial.architecture_id: trial for trial in complete}
    # A trial that was promoted stands for its network, even if one of a lower number has completed since.
    distinct |= {trial.architecture_id: trial for trial in complete if trial.number in early}
    candidates = sorted(distinct.values(), key=lambda trial: trial.number)
    order = ranking(objectives, [trial.values or () for trial in candidates], promotion.by)
    ranked = [candidates[n] for n in order]
    if tiers is not None:
        ranked.sort(key=lambda trial: tiers.get(trial.architecture_id, 0))
    late = [trial.number for trial in ranked if trial.number not in early]
    chosen = early | set(late[: max(0, promotion.top - len(early))])
    best = [
        Promoted(trial, "promoted", f"place {place} by {promotion.by}", 1.0)
        for place, trial in enumerate(ranked, start=1)
        if trial.number in chosen
    ]
    rest = [trial for trial in ranked if trial.number not in chosen]
    return best + _one_per_quantile(rest, promotion.random, seed)


def promote_early(
    trials: Sequence[Trial],
    promotion: Promotion,
    objectives: Mapping[str, Direction],
    planned: int,
    seeds: int = 1,
    early: Set[int] = frozenset(),
) -> list[Promoted]:
    """Return those that may go on while the others still run: of n ended trials out of N = `planned` the best top·n/N.

    A trial that leads early and is overtaken later was promoted all the same, as in asynchronous successive
    halving (Li et al., 2020). It keeps its place, so no more than `top` are promoted.

    Args:
        trials: those of the fidelity before.
        promotion: how many, and by what.
        objectives: of the fidelity before.
        planned: trials that the fidelity before will have, begun or not.
        seeds: trials of each architecture there. An architecture is compared once all of them have ended.
        early: numbers of the trials that this function has promoted already.
    """
    ended = Counter(trial.architecture_id for trial in trials if trial.state in _ENDED)
    whole = over_seeds([trial for trial in trials if ended[trial.architecture_id] >= seeds]) if seeds > 1 else trials
    places = min(promotion.top, promotion.top * ended.total() // planned)
    so_far = promotion.model_copy(update={"top": places, "random": 0})
    return promote(whole, so_far, objectives, seed=0, early=early)


def over_seeds(trials: Sequence[Trial]) -> list[Trial]:
    """Return the first complete trial of each architecture, with the mean over its seeds as its values."""
    groups: dict[str, list[Trial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.state is State.COMPLETE:
            groups.setdefault(trial.architecture_id, []).append(trial)
    return [replace(group[0], values=_means(group)) for group in groups.values()]


def _means(trials: Sequence[Trial]) -> tuple[float, ...]:
    return tuple(map(statistics.fmean, zip(*(trial.values or () for trial in trials), strict=True)))


def _one_per_quantile(ranked: Sequence[Trial], quantiles: int, seed: int) -> list[Promoted]:
    quantiles = min(quantiles, len(ranked))
    chosen = []
    for q in range(quantiles):
        members = ranked[q * len(ranked) // quantiles : (q + 1) * len(ranked) // quantiles]
        trial = random.Random(f"promotion {seed} {q}").choice(members)
        reason = f"random, quantile {q + 1} of {quantiles}"
        chosen.append(Promoted(trial, "promoted_random", reason, 1 / len(members)))
    return chosen
