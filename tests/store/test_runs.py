"""The runs of a study: who drove it, and what ended each."""

from __future__ import annotations

import os
import socket

import pytest

from dcasearch.errors import Interrupted
from dcasearch.store import Store
from tests.store.samples import STUDY
from tests.store.test_lease import start_driver


def outcome(store: Store) -> str:
    run = store.last_run(STUDY)
    assert run is not None
    return run.outcome


def test_a_study_that_was_never_run_has_no_last_run(store: Store) -> None:
    assert store.last_run(STUDY) is None


def test_a_run_that_ends_says_who_it_was_and_that_the_study_is_complete(store: Store) -> None:
    with store.lease(STUDY):
        assert store.last_run(STUDY) is None
    run = store.last_run(STUDY)
    assert run is not None
    assert (run.host, run.pid) == (socket.gethostname(), os.getpid())
    assert run.ended >= run.since
    begins = f"Not running. The last run ended: the study is complete (process {os.getpid()} on "
    assert run.in_words().startswith(begins)


def test_a_run_that_ends_early_says_why(store: Store) -> None:
    with store.lease(STUDY) as lease:
        lease.outcome = "2 hours of this run are over"
    assert outcome(store) == "2 hours of this run are over"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Interrupted("stopped by `dcasearch stop`"), "stopped by `dcasearch stop`"),
        (KeyError("x"), "KeyError: 'x'"),
        (MemoryError(), "MemoryError"),
        (ValueError("long\n" + "x" * 600), "ValueError: long"),
    ],
)
def test_an_error_that_ends_a_run_is_noted_in_one_line(store: Store, error: Exception, said: str) -> None:
    with pytest.raises(type(error)), store.lease(STUDY):
        raise error
    assert outcome(store) == said


def test_the_newest_of_several_runs_is_told(store: Store) -> None:
    for said in ("first", "second"):
        with store.lease(STUDY) as lease:
            lease.outcome = said
    assert outcome(store) == "second"


def test_a_run_that_was_killed_is_said_to_have_died_once_another_begins(store: Store) -> None:
    driver = start_driver(store.url)
    driver.kill()
    driver.wait()
    assert store.last_run(STUDY) is None
    with store.lease(STUDY):
        assert outcome(store) == "its process died"
