from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from dcasearch.config.study import Resources
from dcasearch.evaluation import Epoch
from dcasearch.executors import worker
from dcasearch.search.work import Job
from tests.training.support import make_assignment


@contextmanager
def begun(artifacts: Path) -> Iterator[tuple[SpawnProcess, Connection]]:
    """A worker process with a job whose first epoch it has just sent."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=worker.main, args=(theirs, artifacts))
    process.start()
    theirs.close()
    ours.send(Job(label="trial 0", number=0, assignment=make_assignment(epochs=2), resources=Resources()))
    assert ours.poll(120)
    try:
        yield process, ours
    finally:
        process.kill()


@pytest.mark.slow
def test_a_worker_whose_driver_is_gone_with_words_unread_ends_without_a_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with begun(tmp_path) as (process, ours):
        ours.close()  # its epoch was not read, so the next word of the worker meets a reset connection
        process.join(60)
        assert process.exitcode == 0
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_a_worker_that_is_no_longer_needed_ends_by_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with begun(tmp_path) as (process, ours):
        assert isinstance(ours.recv(), Epoch)
        ours.close()
        process.join(60)
        assert process.exitcode == 0
    assert "Traceback" not in capfd.readouterr().err
