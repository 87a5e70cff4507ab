"""What every executor does alike: the same states, curves, values, failure kinds, cancellation and resume."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from dcasearch import study as study_room
from dcasearch.analysis.wholeness import Rows, differences, ledger_of
from dcasearch.config.study import Executor as Settings
from dcasearch.errors import DataError, Interrupted, TimeOver
from dcasearch.evaluation import Epoch
from dcasearch.executors import Executor, LocalExecutor
from dcasearch.search.work import Job
from dcasearch.space import load_study
from dcasearch.store import Store
from dcasearch.training import Assignment, evaluate
from tests.executors.support import InProcess, Listed, Meeting, faulty, training_actors
from tests.training.support import curve, make_assignment


@dataclass
class Bench:
    """One kind of executor; its workers are kept from test to test, as they are from job to job."""

    name: str
    artifacts: Path
    local: LocalExecutor | None = None
    opened: list[Any] = field(default_factory=list)

    def make(self, artifacts: Path, concurrent: int = 1, interrupted: threading.Event | None = None) -> Executor:
        if self.name == "local":
            executor = LocalExecutor(artifacts, concurrent, interrupted)
            self.opened.append(executor.open())
            return self.opened[-1].__enter__()
        from dcasearch.executors.ray import RayExecutor

        return RayExecutor(str(artifacts), Settings(name="ray", max_concurrent=concurrent), interrupted)

    def run(self, work: Listed, artifacts: Path | None = None, **options: Any) -> None:
        if self.local is not None and artifacts is None and not options:
            self.local.run(work)
            return
        executor = self.make(artifacts or self.artifacts, **options)
        try:
            executor.run(work)
        finally:
            self.close()

    def close(self) -> None:
        while self.opened:
            self.opened.pop().__exit__(None, None, None)


@pytest.fixture(scope="module", params=["local", pytest.param("ray", marks=[pytest.mark.ray, pytest.mark.slow])])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(request.param, tmp_path_factory.mktemp("artifacts"))
    if bench.name == "local":
        main = sys.modules["__main__"]
        with pytest.MonkeyPatch.context() as patch:
            # A spawned process imports its parent's main module; pytest's own is no part of the test.
            patch.delattr(main, "__file__", raising=False)
            patch.setattr(main, "__spec__", None)
            with LocalExecutor(bench.artifacts, 1).open() as bench.local:
                yield bench
        return
    from dcasearch.executors.ray import connected

    with connected(None):
        yield bench


def test_every_epoch_is_reported_in_order_and_the_record_is_that_of_evaluate(bench: Bench, tmp_path: Path) -> None:
    assignments = [make_assignment(seed=seed) for seed in (0, 1)]
    work = Listed(assignments)
    bench.run(work)
    assert [(job, epoch) for job, epoch, _ in work.epochs] == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]
    for number, assignment in enumerate(assignments):
        alone = evaluate(assignment, artifacts=tmp_path, report=lambda epoch: True, threads=1, device="cpu")
        assert curve(work.finished[number]) == curve(alone)
        assert work.finished[number].weights_sha256 == alone.weights_sha256


def test_a_job_that_the_work_stops_ends_with_the_epochs_so_far(bench: Bench) -> None:
    work = Listed([make_assignment(epochs=6)], lambda job, epoch: epoch.epoch < 2)
    bench.run(work)
    assert len(work.finished[0].history) == 2
    assert work.finished[0].weights is None


def test_a_failing_training_is_reported_and_its_worker_goes_on_to_the_next_job(bench: Bench) -> None:
    work = Listed([make_assignment(recipe={"lr": 1e6}), make_assignment(seed=7)])
    bench.run(work)
    ((number, failure),) = work.failures
    assert (number, failure.kind) == (0, "nan")
    assert len(work.finished[1].history) == 3


@pytest.mark.parametrize(("fault", "kind", "words"), [("raise", "bug", "on purpose"), ("oom", "oom", "simulated")])
def test_what_a_training_raises_is_the_trials_failure(bench: Bench, fault: Any, kind: str, words: str) -> None:
    work = Listed([faulty(fault), make_assignment(seed=8)])
    bench.run(work)
    ((number, failure),) = work.failures
    assert (number, failure.kind) == (0, kind)
    assert words in str(failure)
    assert 1 in work.finished


@pytest.mark.slow
def test_a_training_that_hangs_times_out_after_the_limit_of_an_epoch_and_is_not_tried_again(bench: Bench) -> None:
    work = Listed([faulty("hang"), make_assignment(seed=9)], retries=1)
    work.limit(0, 3.0)
    bench.run(work)
    ((number, failure),) = work.failures
    assert (number, failure.kind) == (0, "timeout")
    assert 1 in work.finished


def test_data_that_changed_stops_the_run_and_fails_no_trial(bench: Bench) -> None:
    work = Listed([Assignment(**{**vars(make_assignment()), "data_fingerprint": "other"})])
    with pytest.raises(DataError, match="is not the data of this study"):
        bench.run(work)
    assert work.failures == []


@pytest.mark.slow
def test_an_error_of_the_work_itself_ends_the_run_and_is_raised_and_the_executor_can_run_again(bench: Bench) -> None:
    def break_down(job: Job, epoch: Epoch) -> bool:
        raise ZeroDivisionError("in the driver")

    with pytest.raises(ZeroDivisionError, match="in the driver"):
        bench.run(Listed([make_assignment(seed=10)], break_down))
    again = Listed([make_assignment(seed=10)])
    bench.run(again)
    assert 0 in again.finished


def workers(bench: Bench) -> list[psutil.Process]:
    """The processes that train for this one."""
    family = psutil.Process().children(recursive=True)
    if bench.name == "ray":
        return training_actors(family)
    return [process for process in family if "spawn_main" in " ".join(process.cmdline())]


@pytest.mark.slow
def test_a_worker_that_is_killed_is_lost_and_its_job_goes_on_from_the_checkpoint(bench: Bench, tmp_path: Path) -> None:
    assignment, killed = make_assignment(seed=11), list[int]()
    before = {p.pid for p in workers(bench)} if bench.name == "local" else set()

    def kill_once(job: Job, epoch: Epoch) -> bool:
        if epoch.epoch == 2 and not killed:
            killed.extend(p.pid for p in workers(bench) if p.pid not in before)
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
        return True

    work = Listed([assignment], kill_once)
    bench.run(work, tmp_path / "artifacts")
    assert killed
    ((number, failure),) = work.failures
    assert (number, failure.kind) == (0, "lost")
    # The second worker reports the epochs of the checkpoint again, then goes on.
    assert [epoch for _, epoch, _ in work.epochs] in ([1, 2, 1, 2, 3], [1, 2, 1, 2, 3, 3])
    alone = evaluate(assignment, artifacts=tmp_path, report=lambda epoch: True, threads=1, device="cpu")
    assert curve(work.finished[0]) == curve(alone)


def test_a_cancelled_job_ends_within_its_epoch_and_fails_as_cancelled(bench: Bench) -> None:
    endless = make_assignment(seed=12, epochs=10_000)
    work = Listed([endless, make_assignment(seed=13)])
    seen = threading.Event()

    def note(job: Job, epoch: Epoch) -> bool:
        seen.set()
        return True

    work.on_epoch = note
    work.cancel = lambda: [job for job in work.running if job.number == 0 and seen.is_set()]
    bench.run(work)
    ((number, failure),) = work.failures
    assert (number, failure.kind) == (0, "cancelled")
    assert 1 in work.finished


@pytest.mark.slow
def test_an_interruption_ends_the_run_and_the_next_one_goes_on_at_the_very_step(bench: Bench, tmp_path: Path) -> None:
    interrupted, assignment = threading.Event(), make_assignment(seed=14, epochs=4, train_fraction=0.15)

    def interrupt(job: Job, epoch: Epoch) -> bool:
        if epoch.epoch == 2:
            threading.Timer(0.1, interrupted.set).start()
        return True

    artifacts = tmp_path / "artifacts"
    first = Listed([assignment], interrupt)
    with pytest.raises(Interrupted):
        bench.run(first, artifacts, interrupted=interrupted)
    assert first.failures == []
    second = Listed([assignment])
    bench.run(second, artifacts)
    alone = evaluate(assignment, artifacts=tmp_path, report=lambda epoch: True, threads=1, device="cpu")
    assert curve(second.finished[0]) == curve(alone)
    assert second.finished[0].weights_sha256 == alone.weights_sha256


STUDY: dict[str, Any] = {
    "space": {
        "backbone": {"name": "mobilenet_v2", "width": 0.1, "stem": "small"},
        "attention": {"name": "se", "reduction": [4, 8]},
        "connections": {"granularity": "stage", "dimensions": {"channel": [True, False]}},
    },
    "sampler": {"name": "tpe", "seed": 2, "startup": 3},
    "fidelities": [
        {
            "name": "proxy",
            "trials": 6,
            "resolution": 16,
            "epochs": 3,
            "train_fraction": 0.05,
            "recipe": {"batch_size": 16, "lr": 0.05, "bn_momentum": 0.3},
            "pruner": {"name": "successive_halving", "startup": 2, "reduction_factor": 2},
        }
    ],
    "baselines": True,
}


@pytest.fixture(scope="module")
def simplest(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[..., Path]], Rows]:
    """The ledger of the same study with every training in this process."""
    known: list[Rows] = []

    def run(write_study: Callable[..., Path]) -> Rows:
        if not known:
            folder = tmp_path_factory.mktemp("simplest")
            with Store.open(f"sqlite:///{folder}/study.db", create=True) as store:
                study_room.run(load_study(write_study(**STUDY)), store, InProcess(folder))
                known.append(ledger_of(store, "tiny"))
        return known[0]

    return run


@pytest.mark.slow
def test_a_study_with_one_worker_has_the_same_ledger_everywhere_to_the_last_bit(
    bench: Bench, tmp_path: Path, write_study: Callable[..., Path], simplest: Callable[..., Rows]
) -> None:
    expected = simplest(write_study)
    assert {str(row.get("state")) for row in expected.values()} >= {"complete", "pruned"}
    with Store.open(f"sqlite:///{tmp_path}/study.db", create=True) as store:
        try:
            study_room.run(load_study(write_study(**STUDY)), store, bench.make(tmp_path / "artifacts"))
        finally:
            bench.close()
        assert differences(expected, ledger_of(store, "tiny")) == []


def test_a_work_that_waits_for_another_driver_is_asked_again_and_can_be_interrupted(bench: Bench) -> None:
    held_up = Listed([make_assignment(epochs=1)], later=time.monotonic() + 2)
    bench.run(held_up)
    assert set(held_up.finished) == {0}
    interrupted = threading.Event()
    threading.Timer(1, interrupted.set).start()
    with pytest.raises(Interrupted):
        bench.run(Listed([make_assignment()], later=time.monotonic() + 60), interrupted=interrupted)


def test_time_that_is_over_ends_a_run_at_once_and_its_job_goes_on_from_the_checkpoint(bench: Bench) -> None:
    assignment, before, after = make_assignment(seed=17, epochs=10_000), list[Epoch](), list[Epoch]()

    def until_over() -> list[Job]:
        if before:
            raise TimeOver("4 hours of this run are over")
        return []

    work = Listed([assignment], lambda job, epoch: not before.append(epoch), cancel=until_over)
    with pytest.raises(TimeOver, match="4 hours"):
        bench.run(work)
    assert (work.finished, work.failures) == ({}, [])
    bench.run(Listed([assignment], lambda job, epoch: after.append(epoch) or len(after) <= len(before)))
    assert after[: len(before)] == before, "with their seconds: they were not trained again"
    assert len(after) == len(before) + 1


@pytest.mark.slow
def test_two_jobs_run_at_once(bench: Bench, tmp_path: Path) -> None:
    meeting = Meeting(2)
    work = Listed([make_assignment(seed=seed, epochs=10_000) for seed in (15, 16)], meeting.on_epoch)
    bench.run(work, tmp_path, concurrent=2)
    assert set(work.finished) == {0, 1}
    assert meeting.alone == set()
