"""The learning rate as a function of the step alone, so that a resumed training needs no scheduler state."""

from __future__ import annotations

import math

from dcasearch.config.recipe import Schedule


def learning_rate(step: int, *, steps_per_epoch: int, epochs: int, peak: float, schedule: Schedule) -> float:
    """Return the learning rate of one step.

    Warm-up is linear and reaches the peak at its last step; its first step is one increment above zero, since a
    step at zero would be lost. `cosine` falls from the peak, at the first step after the warm-up, to zero just
    after the last step. `step` multiplies by `factor` every `every` epochs, counted from the start.

    Args:
        step: from 0, over the whole training.
        steps_per_epoch: optimiser steps of one epoch.
        epochs: of the whole training.
        peak: the recipe's `lr`.
        schedule: the recipe's.
    """
    warmup = round(schedule.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return peak * (step + 1) / warmup
    if schedule.name == "step":
        return peak * schedule.factor ** (step // (steps_per_epoch * schedule.every))
    progress = (step - warmup) / (steps_per_epoch * epochs - warmup)
    return peak * (1 + math.cos(math.pi * progress)) / 2
