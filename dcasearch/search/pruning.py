"""Which trials end before their last epoch: a pure function of the curves, for one or several objectives.

Optuna's own pruners are not used: they refuse studies with several objectives, and they write while they
decide, so that asking twice (as a resume must) can answer twice differently (docs/decisions.md).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from dcasearch.config.study import Pruner
from dcasearch.metrics import METRICS
from dcasearch.trial import Trial

RUNGS_PASSED = "rungs_passed"
"""Attribute of a trial: how many rungs have let it go on. A rung judges a trial once."""


def rungs_passed(trial: Trial) -> int:
    """Return how many rungs have let a trial go on; 0 in rows of older versions, which did not record it."""
    return int(trial.attributes.get(RUNGS_PASSED) or 0)


def rungs(pruner: Pruner, epochs: int) -> list[int]:
    """Return the epochs after which a trial of `epochs` epochs may be pruned; never the last one."""
    if pruner.name == "successive_halving":
        steps, epoch = [], pruner.min_epochs
        while epoch < epochs:
            steps.append(epoch)
            epoch *= pruner.reduction_factor
        return steps
    return list(range(pruner.min_epochs, epochs)) if pruner.name == "median" else []


def keeps(pruner: Pruner, epochs: int) -> float | None:
    """Return the share of trials that each rung lets go on, in the long run; None where there is no rung.

    The median of a rung drops half of those that reach it for the first time; few of those it keeps fall behind later.
    """
    steps = len(rungs(pruner, epochs))
    if steps == 0:
        return None
    return 1 / pruner.reduction_factor if pruner.name == "successive_halving" else 0.35 ** (1 / steps)


def goes_on(pruner: Pruner, epochs: int, curve: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Tell whether a trial goes on after the epoch that ends `curve`.

    Args:
        pruner: The rule; its metric is what the curves hold.
        epochs: Epochs of the fidelity.
        curve: The trial's values so far, one per epoch.
        others: The curves of the other distinct architectures, of any length.

    Successive halving (Jamieson & Talwalkar, 2016; asynchronous: Li et al., 2020) keeps the best 1/factor of
    all that reached the rung, this one included. Median keeps what is no worse than the median of the others'
    values at the same epoch.
    """
    step = len(curve)
    if step not in rungs(pruner, epochs):
        return True
    sign = -METRICS[pruner.metric].sign
    mine = sign * curve[-1]
    seen = [sign * other[step - 1] for other in others if len(other) >= step]
    if len(seen) < pruner.startup:
        return True
    if pruner.name == "median":
        return mine <= statistics.median(seen)
    keep = max(1, (len(seen) + 1) // pruner.reduction_factor)
    return sum(value < mine for value in seen) < keep
