"""How much of the objectives' space the networks of a search dominate, and how that share grew. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def hypervolume(points: Sequence[Sequence[float]], reference: Sequence[float]) -> float:
    """Return the volume that points dominate up to a reference, exactly; less is better in every place.

    Args:
        points: Tuples of losses. A point that is not better than the reference everywhere adds nothing.
        reference: The corner that no point of interest is worse than.

    The volume is cut into slices along the last place (so one place fewer each time): n log n for two objectives,
    n² for three. Optuna's own function is private.
    """
    inside = sorted({tuple(p) for p in points if all(v < r for v, r in zip(p, reference, strict=True))})
    if not inside:
        return 0.0
    if len(reference) == 1:
        return float(reference[0] - inside[0][0])
    if len(reference) == 2:
        volume, height = 0.0, float(reference[1])
        for x, y in inside:
            if y < height:
                volume += (reference[0] - x) * (height - y)
                height = y
        return float(volume)
    inside.sort(key=lambda point: point[-1])
    ends = [*(point[-1] for point in inside[1:]), reference[-1]]
    return sum(
        (end - point[-1]) * hypervolume([p[:-1] for p in inside[: n + 1]], reference[:-1])
        for n, (point, end) in enumerate(zip(inside, ends, strict=True))
        if end > point[-1]
    )


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
    """Return the hypervolume after each point up to 1; only a point that the front does not dominate changes it."""
    front: list[Sequence[float]] = []
    shares: list[float] = []
    for point in points:
        if any(all(a <= b for a, b in zip(old, point, strict=True)) for old in front):
            shares.append(shares[-1])
            continue
        front = [old for old in front if not all(a <= b for a, b in zip(point, old, strict=True))]
        front.append(point)
        shares.append(hypervolume(front, [1.0] * len(point)))
    return shares
