"""How much of the objectives' space the networks of a search dominate, and how that share grew. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dcasearch.analysis.networks import complete_trials
from dcasearch.analysis.standing import FidelityStanding
from dcasearch.metrics import Direction
from dcasearch.search.objectives import losses


@dataclass(frozen=True, kw_only=True)
class Growth:
    """The hypervolume after each complete trial of one fidelity."""

    fidelity: str
    objectives: Mapping[str, Direction]
    numbers: tuple[int, ...]
    """Of the complete trials."""
    shares: tuple[float, ...]
    """After each of them: the dominated share of the box between `reference` and `ideal`, from 0 to 1."""
    reference: tuple[float, ...]
    """The worst value of each objective among all complete trials, in its own unit."""
    ideal: tuple[float, ...]
    """The best value of each objective."""


def hypervolume(points: Iterable[Sequence[float]], reference: Sequence[float]) -> float:
    """Return the volume that points dominate up to a reference, exactly; less is better in every place.

    Args:
        points: Tuples of losses. A point that is not better than the reference everywhere adds nothing.
        reference: The corner that no point of interest is worse than.

    Each point adds what no point that is better in the last place dominates, which is a problem of one place fewer
    (While, Bradstreet and Barone, 2012). Optuna's own function is private.
    """
    front = _front(p for p in points if all(v < r for v, r in zip(p, reference, strict=True)))
    if not front:
        return 0.0
    if len(reference) == 1:
        return reference[0] - front[0][0]
    if len(reference) == 2:
        heights = [reference[1], *(y for _, y in front)]
        return sum((reference[0] - x) * (above - y) for (x, y), above in zip(front, heights, strict=False))
    front.sort(key=lambda point: -point[-1])
    flat = [point[:-1] for point in front]
    return sum(
        (reference[-1] - point[-1]) * added_by(flat[n], flat[n + 1 :], reference[:-1]) for n, point in enumerate(front)
    )


def added_by(point: Sequence[float], others: Iterable[Sequence[float]], reference: Sequence[float]) -> float:
    """Return the volume that a point dominates up to a reference and no other point does."""
    both = (tuple(map(max, point, other)) for other in others)
    return math.prod(r - v for v, r in zip(point, reference, strict=True)) - hypervolume(both, reference)


def _front(points: Iterable[Sequence[float]]) -> list[tuple[float, ...]]:
    """Return the points that no other one dominates, each once, sorted."""
    front: list[tuple[float, ...]] = []
    for point in sorted(set(map(tuple, points))):  # who dominates a point stands before it
        if not any(all(a <= b for a, b in zip(better, point, strict=True)) for better in front):
            front.append(point)
    return front


def growth_of(fidelity: FidelityStanding) -> Growth | None:
    """Return how the hypervolume of a fidelity grew; None with one objective, or with fewer than two complete trials.

    Each objective is scaled to the range of the complete trials. An objective in which all are equal does not matter.
    """
    trials = complete_trials(fidelity)
    if len(fidelity.objectives) < 2 or len(trials) < 2:
        return None
    raw = np.array([trial.values for trial in trials], float)
    minimized = np.array([losses(fidelity.objectives, values) for values in raw])
    low, high = minimized.min(0), minimized.max(0)
    varies = high > low
    if not varies.any():
        return None
    scaled = (minimized[:, varies] - low[varies]) / (high - low)[varies]
    signs = np.array(losses(fidelity.objectives, [1.0] * raw.shape[1]))
    return Growth(
        fidelity=fidelity.name,
        objectives=fidelity.objectives,
        numbers=tuple(trial.number for trial in trials),
        shares=tuple(_growing(scaled.tolist())),
        reference=tuple((signs * high).tolist()),
        ideal=tuple((signs * low).tolist()),
    )


def _growing(points: Sequence[Sequence[float]]) -> list[float]:
    """Return the hypervolume after each point, up to 1 in every place."""
    front: list[tuple[float, ...]] = []
    volume, volumes = 0.0, []
    for point in points:
        if not any(all(a <= b for a, b in zip(old, point, strict=True)) for old in front):
            volume += added_by(point, front, [1.0] * len(point))
            front = _front([*front, point])
        volumes.append(volume)
    return volumes
