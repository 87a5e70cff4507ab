"""Ranges of the time left: what they are made from, and that they are right as often as they say."""

from __future__ import annotations

import runpy
import statistics
from pathlib import Path
from typing import Any

import pytest

from dcasearch.analysis.eta import Estimate, estimate
from dcasearch.analysis.progress import Progress
from dcasearch.search.work import Event, EventKind
from tests.search.support import Bench

REPLAY: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "eta_replay.py"))


def fed(*told: tuple[float, EventKind, str, dict[str, Any]]) -> Progress:
    progress = Progress()
    for at, kind, label, fields in told:
        progress.take(Event(kind, label, fields=fields), at)
    return progress


def plan(total: int | None, epochs: int = 10, **fields: Any) -> dict[str, Any]:
    return {"total": total, "epochs": epochs, "rungs": "", "work": 1.0, **fields}


def training(label: str, begin: float, epochs: int, seconds: float = 1.0) -> list[tuple[float, EventKind, str, Any]]:
    passed: list[tuple[float, EventKind, str, Any]] = [
        (begin + n * seconds, "epoch", label, {"epoch": n, "of": 10, "seconds": seconds}) for n in range(1, epochs + 1)
    ]
    return [(begin, "started", label, {}), *passed]


def test_nobody_knows_before_an_epoch_is_measured() -> None:
    progress = fed((0, "plan", "proxy trials", plan(4)), (0, "started", "proxy trial 0", {}))
    assert estimate(progress, 5.0) is None


def test_nobody_knows_while_the_number_of_trainings_of_a_phase_is_unknown() -> None:
    progress = fed((0, "plan", "proxy trials", plan(None)), *training("proxy trial 0", 0, 3))
    assert estimate(progress, 3.0) is None


def test_steady_epochs_give_the_right_time_and_a_narrow_range() -> None:
    told = [
        t for n in range(20) for t in (*training(f"proxy trial {n}", 10 * n, 10), end(f"proxy trial {n}", 10 * n + 10))
    ]
    progress = fed((0, "plan", "proxy trials", plan(40)), (0, "phase", "proxy trials", plan(40)), *told)
    found = estimate(progress, 200.0)
    assert found is not None
    assert found.median == pytest.approx(200, rel=0.1)
    assert 140 < found.low < found.median < found.high < 260
    assert found.share == pytest.approx(0.5, abs=0.05)


def end(label: str, at: float, kind: EventKind = "complete") -> tuple[float, EventKind, str, Any]:
    return (at, kind, label, {})


def steady(**run: Any) -> Progress:
    told = [
        t for n in range(6) for t in (*training(f"proxy trial {n}", 10 * n, 10), end(f"proxy trial {n}", 10 * n + 10))
    ]
    return fed((0, "run", "study", {"workers": 1, **run}), (0, "phase", "proxy trials", plan(6, metric="top1")), *told)


def later(progress: Progress, **fields: Any) -> float:
    progress.take(Event("plan", "full trials", fields=plan(6, **fields)), 60.0)
    found = estimate(progress, 60.0)
    assert found is not None
    return found.median


def test_another_fidelity_takes_the_time_of_its_epochs_and_of_their_work() -> None:
    once = later(steady())
    assert once == pytest.approx(60, rel=0.2)
    assert later(steady(), epochs=30) == pytest.approx(3 * once, rel=0.1)
    assert later(steady(), work=4.0) == pytest.approx(4 * once, rel=0.2)


def test_earlier_runs_tell_a_fidelity_s_time_better_than_another_fidelity_does() -> None:
    assert later(steady(), work=4.0, epoch_seconds=0.5) == pytest.approx(30, rel=0.2)


def test_a_rung_shortens_what_is_to_come() -> None:
    assert later(steady(), rungs="1", keeps=0.1) < 0.5 * later(steady())


def test_the_time_of_the_run_ends_every_range() -> None:
    progress = steady(limit_seconds=70)
    progress.take(Event("plan", "full trials", fields=plan(6)), 60.0)
    found = estimate(progress, 60.0)
    assert found is not None
    assert (found.low, found.high) == (10.0, 10.0)


def test_epochs_that_a_resumed_training_repeats_are_not_measured() -> None:
    repeated = [(0.01 * n, "epoch", "proxy trial 0", {"epoch": n, "of": 10, "seconds": 10.0}) for n in range(1, 6)]
    progress = fed(
        (0, "phase", "proxy trials", plan(2)),
        (0, "resumed", "proxy trial 0", {}),
        *repeated,  # type: ignore[arg-type]  # a kind
    )
    assert estimate(progress, 0.1) is None
    progress.take(Event("epoch", "proxy trial 0", fields={"epoch": 6, "of": 10, "seconds": 10.0}), 10.05)
    found = estimate(progress, 10.05)
    assert found is not None
    assert found.median == pytest.approx(4 * 10 + 100, rel=0.3)


@pytest.mark.parametrize(
    ("low", "high", "rounded"),
    [(7.2, 11.9, (7, 12)), (43, 71, (40, 75)), (7900, 13000, (7800, 13200)), (0.4, 3.3, (0, 4))],
)
def test_a_range_is_rounded_outwards(low: float, high: float, rounded: tuple[float, float]) -> None:
    assert Estimate(low, (low + high) / 2, high, 0.5).rounded == rounded


def right(kind: Any, runs: range, count: int) -> list[bool]:
    found = [m for seed in runs for m in REPLAY["moments"](REPLAY["Simulated"](kind, seed).run(), count, seed)]
    return [moment.right for moment in found if moment.given is not None]


def test_ranges_are_right_as_often_as_they_say() -> None:
    told = [answer for kind in REPLAY["KINDS"] for answer in right(kind, range(1000, 1012), 2)]
    assert len(told) > 100
    assert 0.7 <= statistics.fmean(told) <= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("kind", REPLAY["KINDS"], ids=lambda kind: kind.name)
def test_ranges_of_every_kind_of_run_are_right_as_often_as_they_say(kind: Any) -> None:
    assert 0.7 <= statistics.fmean(right(kind, range(2000, 2150), 6)) <= 0.9


@pytest.mark.slow
def test_ranges_hold_for_trainings_that_were_really_done() -> None:
    found = []
    for table in REPLAY["TABLES"]:
        rows = REPLAY["rows_of"](table)
        found += [m for seed in range(150) for m in REPLAY["moments"](REPLAY["Measured"](rows, seed).run(), 6, seed)]
    assert 0.65 <= statistics.fmean(moment.right for moment in found if moment.given is not None) <= 0.9


def test_a_stored_study_is_replayed_from_its_records(finished: Bench) -> None:
    events = REPLAY["stored"](finished.url, "tiny")
    kinds = [event.kind for _, event in events]
    trained = [trial for trial in finished.ledger() if trial.duplicate_of is None and trial.evaluation is not None]
    assert kinds.count("started") == len(trained) == kinds.count("complete") + kinds.count("pruned")
    assert kinds.count("epoch") == sum(trial.epochs for trial in trained)
