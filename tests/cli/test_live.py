from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console

from dcasearch.cli import live
from dcasearch.cli.live import LiveView, observer, sentence
from dcasearch.search.work import Event, EventKind
from dcasearch.trial import Value

PHASE = Event("phase", "proxy trials", fields={"total": 8, "epochs": 4, "rungs": "1, 2", "metric": "top1"})


def event(kind: EventKind, label: str = "proxy trial 3", message: str = "", **fields: Value) -> Event:
    return Event(kind, label, message, fields)


def epoch(label: str, number: int, top1: float = 81.234) -> Event:
    return event("epoch", label, epoch=number, of=4, top1=top1)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (event("started"), "proxy trial 3 started"),
        (event("resumed"), "proxy trial 3 goes on from its checkpoint"),
        (epoch("proxy trial 3", 2), "proxy trial 3 epoch 2/4 top-1 81.23%"),
        (event("complete", top1=90.0, epochs=4, seconds=61.0), "proxy trial 3 complete: top-1 90.00% in 0:01:01"),
        (event("pruned", top1=9.0, epochs=2, seconds=2.5), "proxy trial 3 pruned after epoch 2: top-1 9.00% in 2.5 s"),
        (event("infeasible", message="params 9 > 5"), "proxy trial 3 infeasible (params 9 > 5)"),
        (event("duplicate", message="of trial 1"), "proxy trial 3 duplicate (of trial 1)"),
        (event("failed", message="nan: epoch 2"), "proxy trial 3 failed (nan: epoch 2)"),
        (event("lost", message="exit code -9"), "proxy trial 3 lost (exit code -9)"),
        (event("note", "proxy", "8 trials are done"), "proxy: 8 trials are done"),
        (event("complete", score=-3.25, epochs=1, seconds=0.5), "proxy trial 3 complete: score -3.25 in 0.5 s"),
        (
            event("phase", "zero trials", total=500, epochs=1, rungs="", score="synflow", metric="score"),
            "zero trials: 500, scored by synflow",
        ),
        (PHASE, "proxy trials: 8, 4 epochs each, pruned after epoch 1, 2"),
        (
            event("phase", "full trials", total=None, epochs=9, rungs="", metric="top1", complete=2, best=91.0),
            "full trials: as many as there are, 9 epochs each; so far 2 complete",
        ),
    ],
)
def test_every_event_is_one_sentence(told: Event, said: str) -> None:
    assert sentence(told) == said


class Clock:
    """Stands for the time module; the test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(live, "time", clock)
    return clock


def terminal(width: int = 120) -> Console:
    return Console(force_terminal=True, width=width, file=io.StringIO(), record=True, markup=False, highlight=False)


def shown(view: LiveView) -> str:
    console = terminal()
    console.print(view)
    return console.export_text()


def test_the_live_view_shows_what_runs_how_far_it_is_at_which_rung_and_how_good(clock: Clock) -> None:
    view = LiveView()
    for told in (
        PHASE,
        event("started", "proxy trial 0"),
        event("started", "proxy trial 1"),
        epoch("proxy trial 1", 3),
    ):
        view.observe(told, terminal())
    first, second, *_ = shown(view).splitlines()
    assert "proxy trial 0" in first
    assert "starts" in first
    assert "proxy trial 1" in second
    assert "epoch 3/4, rung 2/2" in second
    assert "top-1 81.23%" in second


def test_the_live_view_counts_states_and_keeps_the_best(clock: Clock) -> None:
    view, console = LiveView(), terminal()
    view.observe(PHASE, console)
    for number, top1 in enumerate((70.0, 90.0, 80.0)):
        view.observe(event("complete", f"proxy trial {number}", top1=top1, epochs=4, seconds=1.0), console)
    view.observe(event("pruned", "proxy trial 3", top1=99.0, epochs=1, seconds=1.0), console)
    view.observe(event("duplicate", "proxy trial 4", "of trial 1"), console)
    text = shown(view)
    assert "3 complete, 1 pruned, 1 duplicate" in text
    assert "leader top-1 90.00% (proxy trial 1)" in text
    assert "proxy trials 4/8" in text


def test_the_live_view_tells_the_time_that_is_left_from_the_pace_of_this_run(clock: Clock) -> None:
    view, console = LiveView(), terminal()
    view.observe(
        event("phase", "proxy trials", total=10, epochs=4, rungs="", metric="top1", complete=4, best=88.0), console
    )
    assert "left" not in shown(view)
    assert "leader top-1 88.00% (an earlier run)" in shown(view)
    clock.now = 30.0
    view.observe(event("complete", top1=70.0, epochs=4, seconds=1.0), console)
    view.observe(epoch("proxy trial 5", 2), console)
    text = shown(view)
    # One and a half trainings in 30 seconds; 6 - 1.5 are left.
    assert "about 0:01:30 left" in text
    assert "30.0 s elapsed" in text
    assert "proxy trials 5/10" in text


def test_what_ended_scrolls_above_the_live_view_and_what_goes_on_does_not(clock: Clock) -> None:
    view, console = LiveView(), terminal()
    for told in (PHASE, event("started"), epoch("proxy trial 3", 1), event("lost", message="killed")):
        view.observe(told, console)
    assert "proxy trial 3" not in shown(view)
    lines = console.export_text().splitlines()
    assert [line.strip() for line in lines] == [sentence(PHASE), "proxy trial 3 lost (killed)"]


def test_on_a_terminal_the_view_is_live_and_gone_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    console = terminal()
    with observer(console, as_json=False) as observe:
        for told in (PHASE, epoch("proxy trial 0", 1), event("complete", top1=70.0, epochs=4, seconds=1.0)):
            observe(told)
    file: Any = console.file
    written = file.getvalue()
    assert "\x1b[?25l" in written  # the cursor is hidden while the view moves
    assert written.endswith("\x1b[2K")
    assert "proxy trial 3 complete: top-1 70.00% in 1.0 s" in console.export_text()


def test_elsewhere_every_event_is_a_line_with_its_time_however_long_it_is() -> None:
    file = io.StringIO()
    with observer(Console(file=file, width=20, markup=False, soft_wrap=True), as_json=False) as observe:
        observe(event("failed", message="bug: [Errno 5] " + "x" * 100))
    (line,) = file.getvalue().splitlines()
    stamp, text = line.split(" ", 1)
    assert len(stamp.split(":")) == 3
    assert text == f"proxy trial 3 failed (bug: [Errno 5] {'x' * 100})"


def test_json_lines_hold_kind_label_message_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    with observer(terminal(), as_json=True) as observe:
        observe(epoch("proxy trial 0", 1))
    read: Mapping[str, Any] = json.loads(capsys.readouterr().out)
    assert read == {
        "event": "epoch", "label": "proxy trial 0", "message": "", "epoch": 1, "of": 4, "top1": 81.234,
    }  # fmt: skip


def test_what_overlaps_is_counted_in_its_own_phase() -> None:
    console = terminal()
    view = LiveView()
    proxies = {"total": 3, "epochs": 2, "rungs": "", "metric": "top1"}
    view.observe(Event("phase", "proxy trials", fields=proxies), console)
    view.observe(Event("started", "proxy trial 2", fields={"number": 2}), console)
    view.observe(
        Event("phase", "full baselines", fields={"total": 1, "epochs": 5, "rungs": "", "metric": "top1"}), console
    )
    view.observe(Event("started", "full baseline plain"), console)
    fields = {"top1": 50.0, "epochs": 2, "seconds": 1.0}
    view.observe(Event("complete", "proxy trial 1", fields=fields), console)
    assert "proxy trials 1/3" in shown(view)
    assert "full baselines 0/1" in shown(view)


def test_a_race_that_plans_further_trainings_moves_the_end_of_its_phase(clock: Clock) -> None:
    view, console = LiveView(), Console(file=io.StringIO(), width=120)
    view.observe(event("phase", "full trials", total=3, epochs=4, rungs="", metric="top1"), console)
    view.observe(event("complete", "full trial 0", top1=80.0, epochs=4, seconds=1.0), console)
    view.observe(event("note", "full trials", "race, 2 seeds: nobody is told apart; 3 of 3 go on", total=6), console)
    console.print(view)
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert "full trials: race, 2 seeds: nobody is told apart; 3 of 3 go on" in shown
    assert "full trials 1/6" in shown
