from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from dcasearch.config.study import Stop
from dcasearch.search.stopping import no_improvement, out_of_time, target_reached, too_many_failures
from dcasearch.trial import State
from tests.search.test_promotion import TOP1, make_trial

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("hours", "over"), [(0.9, False), (1.0, True), (2.0, True)])
def test_a_run_ends_when_its_hours_are_over(hours: float, over: bool) -> None:
    assert (out_of_time(Stop(wall_hours=1), START, START + timedelta(hours=hours)) is not None) is over


def test_a_run_ends_at_its_deadline() -> None:
    stop = Stop(deadline="2026-01-01T10:00+00:00")
    assert out_of_time(stop, START, START + timedelta(hours=9)) is None
    assert out_of_time(stop, START, START + timedelta(hours=10)) is not None


def test_a_deadline_without_a_zone_is_local_time() -> None:
    now = datetime.now().astimezone()
    past = (now - timedelta(minutes=1)).replace(tzinfo=None).isoformat()
    future = (now + timedelta(minutes=1)).replace(tzinfo=None).isoformat()
    assert out_of_time(Stop(deadline=past), now, now) is not None
    assert out_of_time(Stop(deadline=future), now, now) is None


def test_without_rules_nothing_ends() -> None:
    assert out_of_time(Stop(), START, START + timedelta(days=999)) is None
    assert no_improvement(Stop(), [make_trial(0, 1.0)] * 99, TOP1) is None


def test_sampling_ends_after_so_many_trials_without_improvement() -> None:
    trials = [make_trial(0, 10.0), make_trial(1, 30.0), make_trial(2, 20.0), make_trial(3, state=State.PRUNED)]
    assert no_improvement(Stop(no_improvement=3), trials, TOP1) is None
    assert no_improvement(Stop(no_improvement=2), trials, TOP1) is not None


def test_infeasible_and_duplicate_trials_are_no_lack_of_improvement() -> None:
    trials = [make_trial(0, 10.0), *(make_trial(n, state=State.INFEASIBLE) for n in range(1, 9))]
    assert no_improvement(Stop(no_improvement=2), trials, TOP1) is None


def test_sampling_ends_once_a_complete_trial_has_reached_the_target_in_its_direction() -> None:
    trials = [make_trial(0, 90.0), make_trial(1, 94.0)]
    assert target_reached(Stop(), trials, TOP1) is None
    assert target_reached(Stop(target=94.5), trials, TOP1) is None
    assert target_reached(Stop(target=94), trials, TOP1) == "trial 1 has reached the target, top1 94"
    assert target_reached(Stop(target=0.5), [make_trial(0, 0.6)], {"loss": "minimize"}) is None
    assert target_reached(Stop(target=0.5), [make_trial(0, 0.4)], {"loss": "minimize"}) is not None


def test_a_run_ends_once_too_many_trials_have_failed_and_those_taken_up_again_do_not_count() -> None:
    trials = [dataclasses.replace(make_trial(n, state=State.FAILED), failure="oom") for n in range(2)]
    assert too_many_failures(Stop(), "proxy", trials, ()) is None
    assert too_many_failures(Stop(failures=3), "proxy", trials, ()) is None
    assert too_many_failures(Stop(failures=2), "proxy", trials, ()) == (
        "proxy: 2 trials have failed (2 oom), stop.failures is 2"
    )
    assert too_many_failures(Stop(failures=2), "proxy", trials, {0}) is None
