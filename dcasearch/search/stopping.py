"""When a study ends before its trials are used up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from dcasearch.config.study import Direction, Metric, Stop
from dcasearch.search.objectives import losses
from dcasearch.trial import State, Trial


def out_of_time(stop: Stop, started: datetime, now: datetime) -> str | None:
    """Return why the run ends now: its hours or its deadline are over."""
    if stop.wall_hours is not None and (now - started).total_seconds() >= stop.wall_hours * 3600:
        return f"{stop.wall_hours:g} hours of this run are over"
    if stop.deadline is not None:
        deadline = datetime.fromisoformat(stop.deadline)
        if now.replace(tzinfo=deadline.tzinfo and now.tzinfo) >= deadline:
            return f"the deadline {stop.deadline} has passed"
    return None


def no_improvement(stop: Stop, trials: Sequence[Trial], objectives: Mapping[Metric, Direction]) -> str | None:
    """Return why sampling ends now: so many trained trials have not bettered the first objective."""
    if stop.no_improvement is None:
        return None
    best, since = float("inf"), 0
    for trial in trials:
        if trial.state is State.COMPLETE and trial.values is not None:
            value = losses(objectives, trial.values)[0]
            since = 0 if value < best else since + 1
            best = min(best, value)
        elif trial.state in (State.PRUNED, State.FAILED):
            since += 1
    return f"{since} trials without improvement" if since >= stop.no_improvement else None
