from __future__ import annotations

from collections.abc import Iterable

import pytest
from rich.cells import cell_len

from dcasearch.cli.live.view import LiveView
from dcasearch.search.work import Event
from tests.cli.live.support import PHASE, epoch, event

NETWORK = "resnet18: CBAM r=16 in all stages; channel chain into all stages, direct, fc; spatial dense in stage 2"
RUN = event("run", "study", backbone="resnet18", workers=4, limit_seconds=None, may_end_early=False)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def seen(told: Iterable[Event], clock: Clock, *, stopping: bool = False) -> LiveView:
    view = LiveView(clock=clock, stopping=lambda: stopping)
    for one in told:
        view.take(one, 119)
    return view


def shown(view: LiveView, width: int = 119, height: int = 30) -> list[str]:
    return [row.plain for row in view.rows(width, height)]


def complete(number: int, top1: float = 70.0) -> Event:
    return event("complete", f"proxy trial {number}", top1=top1, epochs=4, seconds=1.0, network=NETWORK)


def leads(number: int, metric: str, value: float, network: str = NETWORK) -> Event:
    return event("leader", f"proxy trial {number}", metric=metric, value=value, direction="minimize", network=network)


def started(number: int) -> Event:
    return event("started", f"proxy trial {number}", number=number, network=NETWORK)


def test_what_runs_is_shown_with_how_far_it_is_how_good_at_which_rung_and_what_it_is(clock: Clock) -> None:
    view = seen((RUN, PHASE, started(0), started(1), epoch("proxy trial 1", 3)), clock)
    _, _, first, second = shown(view)[:4]
    assert first.split()[:4] == ["proxy", "trial", "0", "─" * 20]
    assert "starts  CBAM r=16 in all stages" in first
    assert "━" * 15 + "─" * 5 + "  epoch 3/4  top-1 81.23%  rung 2/2  CBAM" in second
    assert second.endswith("…")


def test_states_are_counted_and_the_leader_of_each_objective_is_named_in_words(clock: Clock) -> None:
    told = [RUN, PHASE, started(0)]
    clock.now = 0.0
    view = seen(told, clock)
    clock.now = 36.0
    for one in (
        epoch("proxy trial 0", 4),
        complete(0),
        leads(0, "top1", 70.0, "resnet18: no attention"),
        leads(0, "macs", 1.2e6),
        event("pruned", "proxy trial 1", top1=9.0, epochs=1, seconds=1.0),
        event("duplicate", "proxy trial 4", "of trial 1"),
    ):
        view.take(one, 119)
    rows = shown(view)
    assert rows[0] == "proxy trials 2 of 8 · 36.0 s elapsed"
    assert "1 complete, 1 pruned, 1 duplicate · 100 trials an hour" in rows
    assert "best top-1 70.00%: proxy trial 0, no attention" in rows
    at = rows.index("least multiply-adds 1.2M: proxy trial 0")
    assert rows[at + 1].startswith(
        "  CBAM r=16 in all stages; channel chain into all stages, direct, fc; spatial dense"
    )


def test_the_time_left_is_a_range_or_it_is_said_that_there_is_none_yet(clock: Clock) -> None:
    view = seen((RUN, PHASE, started(0)), clock)
    assert "time left: no estimate yet" in shown(view)[1]
    for number in range(4):
        clock.now += 10
        view.take(epoch("proxy trial 0", number + 1), 119)
    view.take(complete(0), 119)
    assert shown(view)[1].endswith("left (8 of 10 times)")
    assert "% of the run" in shown(view)[1]


def test_what_overlaps_is_shown_as_two_phases(clock: Clock) -> None:
    full = event("phase", "full baselines", total=2, epochs=5, rungs="", metric="top1")
    view = seen((RUN, PHASE, started(0), full, event("started", "full baseline plain"), complete(1)), clock)
    assert shown(view)[0] == "proxy trials 1 of 8 · full baselines 0 of 2"


def test_a_race_that_plans_further_trainings_moves_the_end_of_its_phase(clock: Clock) -> None:
    told = "race, 2 seeds: nobody is told apart; 3 of 3 go on"
    view = seen((PHASE, complete(0), event("note", "proxy trials", told, total=16)), clock)
    assert shown(view)[0] == "proxy trials 1 of 16"


def test_lines_above_tell_what_ended_and_not_what_goes_on(clock: Clock) -> None:
    view = LiveView(clock=clock)
    lines = [view.take(one, 80) for one in (RUN, PHASE, started(0), epoch("proxy trial 0", 1), complete(0))]
    assert [line is not None for line in lines] == [False, True, False, False, True]
    assert lines[-1] is not None
    assert cell_len(lines[-1].plain) <= 80


@pytest.mark.parametrize("width", [119, 79, 39, 20, 5])
@pytest.mark.parametrize("height", [40, 23, 9, 5, 2, 1])
def test_the_view_never_has_more_columns_or_lines_than_the_terminal(width: int, height: int, clock: Clock) -> None:
    told = [RUN, PHASE, *map(started, range(12)), *(epoch(f"proxy trial {n}", 2) for n in range(9)), complete(0)]
    view = seen([*told, leads(0, "top1", 70.0), leads(0, "macs", 1.2e6), leads(0, "params", 3e6)], clock)
    for rows in (view.rows(width, height), seen(told, clock, stopping=True).rows(width, height)):
        assert 1 <= len(rows) <= height
        assert all(cell_len(row.plain) <= width and "\n" not in row.plain for row in rows)
    assert all(cell_len(row.plain) <= width for row in view.last_rows(width, height))


def test_workers_for_which_there_is_no_room_are_counted(clock: Clock) -> None:
    view = seen((RUN, PHASE, *map(started, range(40))), clock)
    rows = shown(view, height=12)
    running = [row for row in rows if row.startswith("  proxy trial")]
    assert f"  and {40 - len(running)} more that train" in rows
    assert len(running) >= 3


def test_a_narrow_terminal_keeps_the_label_and_the_epochs(clock: Clock) -> None:
    baseline = event("started", "proxy baseline vanilla cbam", network=NETWORK)
    view = seen((RUN, PHASE, baseline, epoch("proxy baseline vanilla cbam", 2)), clock)
    assert any("proxy baseline vanilla…  epoch 2/4" in row for row in shown(view, width=39))


def test_a_run_that_is_asked_to_stop_says_what_it_waits_for(clock: Clock) -> None:
    rows = shown(seen((RUN, PHASE, started(0)), clock, stopping=True))
    assert rows[0] == "stopping: checkpoints are written · Ctrl-C again ends at once"


def test_what_stays_says_how_far_the_run_came_what_ran_and_who_leads(clock: Clock) -> None:
    view = seen(
        (RUN, PHASE, started(0), started(1), complete(0), leads(0, "top1", 70.0, "resnet18: no attention")), clock
    )
    clock.now = 90.0
    rows = [row.plain for row in view.last_rows(119, 24)]
    assert rows[0] == "stopped after 0:01:30 · proxy trials 1 of 8"
    assert "proxy trial 1" in rows[1]
    assert rows[-1] == "best top-1 70.00%: proxy trial 0, no attention"
    view.take(complete(1), 119)
    assert view.last_rows(119, 24)[0].plain == "ended after 0:01:30 · proxy trials 2 of 8"


def test_nothing_stays_of_a_run_that_never_began_a_phase(clock: Clock) -> None:
    assert seen((RUN,), clock).last_rows(80, 24) == []
