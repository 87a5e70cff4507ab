"""When a study ends before its trials are used up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime

from dcasearch.config.study import Stop
from dcasearch.metrics import Direction
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


def no_improvement(stop: Stop, trials: Sequence[Trial], objectives: Mapping[str, Direction]) -> str | None:
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


def target_reached(stop: Stop, trials: Sequence[Trial], objectives: Mapping[str, Direction]) -> str | None:
    """Return why sampling ends now: a complete trial has reached the target of the first objective."""
    if stop.target is None:
        return None
    metric, direction = next(iter(objectives.items()))
    wanted = losses({metric: direction}, [stop.target])[0]
    for trial in trials:
        complete = trial.state is State.COMPLETE and trial.values is not None
        if complete and losses(objectives, trial.values or ())[0] <= wanted:
            return f"trial {trial.number} has reached the target, {metric} {stop.target:g}"
    return None


def too_many_failures(stop: Stop, fidelity: str, trials: Iterable[Trial], again: Container[object]) -> str | None:
    """Return why the run ends as failed: as many trials of this fidelity have failed as the study allows.

    Args:
        stop: the rules.
        fidelity: its name.
        trials: its trials.
        again: numbers of the failed trials that were taken up again; they do not count.
    """
    if stop.failures is None:
        return None
    failed = Counter(t.failure for t in trials if t.state is State.FAILED and t.number not in again)
    if failed.total() < stop.failures:
        return None
    kinds = ", ".join(f"{count} {kind}" for kind, count in failed.most_common())
    return f"{fidelity}: {failed.total()} trials have failed ({kinds}), stop.failures is {stop.failures}"
