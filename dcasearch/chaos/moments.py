"""When what is killed: drawn before the first kill, so that equal seeds mean equal plans."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, TypeAlias

Target: TypeAlias = Literal["driver", "worker"]
_EARLY = 0.2
"""Share of the kills that come while a run starts."""
_REACH = 0.9
"""Share of the undisturbed run's epochs over which kills are spread; pruning may make it fewer."""


@dataclass(frozen=True)
class Moment:
    """When a kill comes, and whom it hits."""

    epochs: int
    """So many have been reported of the study; 0: however many."""
    seconds: float
    """After that, or after the kill before."""
    target: Target
    which: float
    """Of the workers, as a share of their number."""


NEVER = Moment(0, float("inf"), "driver", 0.0)


def draw_moments(
    draw: random.Random, kills: int, *, workers: float, startup: float, seconds: float, epochs: int
) -> list[Moment]:
    """Spread kills over a whole study, in the middle of an epoch or between two; some come while a run starts.

    Args:
        draw: where everything is drawn from.
        kills: how many.
        workers: share of the kills that hit a worker.
        startup: seconds from the start of a run to its first epoch.
        seconds: of an undisturbed run.
        epochs: of an undisturbed run.
    """
    moments = []
    for n in range(kills):
        reached = int(epochs * _REACH * (n + draw.random()) / kills)
        within = draw.uniform(0, 2 * seconds / max(1, epochs))
        at_start = draw.uniform(0, startup)
        early = draw.random() < _EARLY
        target: Target = "worker" if draw.random() < workers else "driver"
        moments.append(Moment(0 if early else reached, at_start if early else within, target, draw.random()))
    return moments
