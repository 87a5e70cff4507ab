"""The learning rate as a function of the step alone, so that a resumed training needs no scheduler state."""

from __future__ import annotations

import math
from bisect import bisect_right

from dcasearch.config.recipe import Schedule


def learning_rate(step: int, *, steps_per_epoch: int, epochs: int, peak: float, schedule: Schedule) -> float:
    """Return the learning rate of one step.

    Warm-up is linear and reaches the peak at its last step; its first step is one increment above zero, since a
    step at zero would be lost. With a `warmup_start` its first step has that share of the peak, and its last one is an
    increment below it: mmdetection's linear warm-up. `cosine` falls from the peak, at the first step after the warm-up,
    to zero just after the last step. `step` multiplies by `factor` every `every` epochs, or after each of `drops`,
    counted from the start.

    Args:
        step: from 0, over the whole training.
        steps_per_epoch: optimiser steps of one epoch.
        epochs: of the whole training.
        peak: the recipe's `lr`.
        schedule: the recipe's.
    """
    warmup = schedule.warmup_steps or round(schedule.warmup_epochs * steps_per_epoch)
    if step < warmup and schedule.warmup_start == 0:
        return peak * (step + 1) / warmup
    if step < warmup:
        return peak * (schedule.warmup_start + (1 - schedule.warmup_start) * step / warmup)
    if schedule.name == "step":
        return peak * schedule.factor ** _drops(step // steps_per_epoch, schedule)
    progress = (step - warmup) / (steps_per_epoch * epochs - warmup)
    return peak * (1 + math.cos(math.pi * progress)) / 2


def _drops(epochs: int, schedule: Schedule) -> int:
    """Return how often the rate has dropped after so many whole epochs."""
    return bisect_right(schedule.drops, epochs) if schedule.drops else epochs // schedule.every
