from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from dcasearch.errors import Interrupted, TrialFailure
from dcasearch.evaluation import Epoch
from dcasearch.executors import LocalExecutor
from dcasearch.search.work import Job
from dcasearch.training import evaluate
from dcasearch.training.checkpoint import checkpoint_path, parse_checkpoint, read_checkpoint
from tests.executors.support import ORPHAN, Listed, Meeting, faulty
from tests.training.support import curve, make_assignment

pytestmark = pytest.mark.usefixtures("_main_that_imports_nothing")


@pytest.fixture
def _main_that_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spawned process imports its parent's main module; pytest's own is no part of the test."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)


def workers() -> list[psutil.Process]:
    """The live worker processes of this process."""
    children = psutil.Process().children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline()) and child.is_running()]


def run(work: Listed, artifacts: Path, concurrent: int = 1, interrupted: threading.Event | None = None) -> None:
    executor = LocalExecutor(artifacts, concurrent, interrupted)
    with executor.open():
        executor.run(work)


@pytest.mark.slow  # test_conformance.py kills a worker too
def test_a_worker_that_is_killed_is_lost_and_its_job_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    assignment = make_assignment()
    before, killed = workers(), list[int]()

    def kill_once(job: Job, epoch: Epoch) -> bool:
        if epoch.epoch == 2 and not killed:
            killed.extend(worker.pid for worker in workers() if worker not in before)
            os.kill(killed[0], signal.SIGKILL)
        return True

    work = Listed([assignment], kill_once)
    run(work, tmp_path)
    assert len(killed) == 1
    ((number, failure),) = work.failures
    assert (number, failure.kind) == (0, "lost")
    assert "exit code -9" in str(failure)
    # The second worker reports the epochs of the checkpoint again, then goes on.
    assert [epoch for _, epoch, _ in work.epochs] == [1, 2, 1, 2, 3]
    undisturbed = evaluate(
        assignment, artifacts=tmp_path / "undisturbed", report=lambda epoch: True, threads=1, device="cpu"
    )
    assert curve(work.finished[0]) == curve(undisturbed)


def test_a_worker_that_dies_is_missed_although_a_process_that_it_forked_holds_its_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As those that load images do, until they see that they are alone.
    monkeypatch.setenv(ORPHAN, str(tmp_path / "orphan"))
    work = Listed([faulty("orphan")], retries=0)
    run(work, tmp_path)
    orphan = psutil.Process(int((tmp_path / "orphan").read_text()))
    assert orphan.is_running()
    orphan.kill()
    ((_, failure),) = work.failures
    assert failure.kind == "lost"
    assert "exit code 9" in str(failure)


@pytest.mark.slow  # both executors' interruptions are in test_conformance.py
def test_a_worker_that_is_told_to_end_leaves_a_checkpoint_within_its_epoch(tmp_path: Path) -> None:
    assignment = make_assignment(epochs=2, train_fraction=1.0)
    before, steps, ends = workers(), list[int](), list[float]()

    def end(job: Job, epoch: Epoch) -> bool:
        if not ends:
            (worker,) = (worker for worker in workers() if worker not in before)
            timer = threading.Timer(0.2, worker.terminate)
            timer.start()
            ends.append(time.monotonic())
        return True

    @dataclass
    class Looking(Listed):
        def fail(self, job: Job, failure: TrialFailure) -> None:
            ends.append(time.monotonic())
            content = read_checkpoint(checkpoint_path(job.assignment.key, tmp_path))
            assert content is not None
            middle = parse_checkpoint(content, torch.device("cpu")).middle
            assert middle is not None
            steps.append(middle.batches)
            super().fail(job, failure)

    work = Looking([assignment], end)
    run(work, tmp_path)
    assert "exit code 143" in str(work.failures[0][1])
    assert ends[1] - ends[0] < 30  # what it is given before it is killed
    assert steps[0] > 0
    undisturbed = evaluate(
        assignment, artifacts=tmp_path / "undisturbed", report=lambda epoch: True, threads=1, device="cpu"
    )
    assert curve(work.finished[0]) == curve(undisturbed)


@pytest.mark.slow  # so do two jobs in test_conformance.py
def test_two_workers_train_at_the_same_time(tmp_path: Path) -> None:
    before, seen, meeting = workers(), set[int](), Meeting(2)

    def look(job: Job, epoch: Epoch) -> bool:
        seen.update(worker.pid for worker in workers() if worker not in before)
        return meeting.on_epoch(job, epoch)

    work = Listed([make_assignment(seed=seed, epochs=10_000) for seed in range(2)], look)
    run(work, tmp_path, concurrent=2)
    assert set(work.finished) == meeting.met == {0, 1}
    assert meeting.alone == set()
    assert len(seen) == 2


@pytest.mark.slow  # as in test_conformance.py
def test_an_interruption_ends_the_workers_and_raises(tmp_path: Path) -> None:
    interrupted = threading.Event()

    def interrupt(job: Job, epoch: Epoch) -> bool:
        interrupted.set()
        return True

    before, work = workers(), Listed([make_assignment(epochs=500)], interrupt)
    with pytest.raises(Interrupted):
        run(work, tmp_path, interrupted=interrupted)
    assert workers() == before
    assert work.finished == {}
    assert list((tmp_path / "checkpoints").iterdir())


DRIVER = """
import sys
from pathlib import Path
from dcasearch.executors import LocalExecutor
from tests.executors.support import Listed
from tests.training.support import make_assignment

def say(job, epoch):
    print(job.number, flush=True)
    return True

if __name__ == "__main__":
    executor = LocalExecutor(Path(sys.argv[1]), 2)
    with executor.open():
        executor.run(Listed([make_assignment(seed=seed, epochs=10_000) for seed in range(2)], say))
"""


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that drives two trainings without end, both under way."""
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    started: Any = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    with started:
        seen: set[str] = set()
        while seen != {"0", "1"}:
            line = started.stdout.readline().strip()
            assert line, started.stderr.read()
            seen.add(line)
        yield started
        started.kill()


def gone(processes: list[psutil.Process], seconds: float) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return all(process.status() == psutil.STATUS_ZOMBIE for process in alive if process.is_running())


@pytest.mark.slow
def test_workers_end_with_a_driver_that_was_killed(driver: subprocess.Popen[str]) -> None:
    family = psutil.Process(driver.pid).children(recursive=True)
    assert len(family) >= 2
    driver.kill()
    assert gone(family, 3)


@pytest.mark.slow
def test_workers_take_no_notice_of_a_ctrl_c_that_reaches_the_whole_terminal(driver: subprocess.Popen[str]) -> None:
    family = psutil.Process(driver.pid).children(recursive=True)
    os.killpg(driver.pid, signal.SIGINT)
    _, errors = driver.communicate(timeout=20)
    assert gone(family, 3)
    # The driver's own, since this one does not catch it; none of a worker's.
    assert errors.count("Traceback") == 1
    assert "KeyboardInterrupt" in errors


LOOKS = """
import multiprocessing, signal
from dcasearch.executors.local import _without_ctrl_c

def look(pipe):
    pipe.send(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))

if __name__ == "__main__":
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=look, args=(theirs,))
    with _without_ctrl_c():
        process.start()
    theirs.close()
    print(ours.recv(), signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    process.join()
"""


@pytest.mark.slow
def test_a_process_starts_with_a_blocked_ctrl_c_the_very_first_one_too(tmp_path: Path) -> None:
    """The first start of a process starts multiprocessing's tracker of resources too, which unblocks it at its end."""
    script = tmp_path / "looks.py"
    script.write_text(LOOKS)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    assert done.stdout.split() == ["True", "False"]
