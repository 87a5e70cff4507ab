from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dcasearch.config.study import Resources
from dcasearch.errors import Interrupted, UserError
from dcasearch.search.requests import Requests, ask_cancel, ask_stop
from dcasearch.search.work import Event, Job
from dcasearch.store import Store
from dcasearch.trial import State, Trial
from tests.training.support import make_assignment

NAME = "asked"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/study.db", create=True) as store:
        store.put_study(NAME, {}, "{}")
        yield store


def make_job(number: int, trial: bool = True) -> Job:
    return Job(
        label=f"proxy trial {number}", number=number, assignment=make_assignment(), resources=Resources(), trial=trial
    )


def test_a_request_to_stop_interrupts_the_run_and_is_answered(store: Store) -> None:
    requests = Requests(store, NAME, lambda event: None)
    assert list(requests.attend([])) == []
    store.request(NAME, "stop")
    with pytest.raises(Interrupted, match="dcasearch stop"):
        requests.attend([])
    assert store.requests(NAME) == []


def test_work_of_many_seconds_within_the_driver_looks_once_a_second_whether_it_is_to_stop(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = Requests(store, NAME, lambda event: None)
    store.request(NAME, "cancel", "proxy", 9)
    store.request(NAME, "stop")
    requests.look()  # less than a second has gone by
    monkeypatch.setattr("dcasearch.search.requests.LOOK_SECONDS", 0.0)
    with pytest.raises(Interrupted, match="dcasearch stop"):
        requests.look()
    assert [request.kind for request in store.requests(NAME)] == ["cancel"]  # which waits for its trial to be known


def test_a_request_to_stop_that_was_made_before_the_run_is_void(store: Store) -> None:
    store.request(NAME, "stop")
    assert list(Requests(store, NAME, lambda event: None).attend([])) == []


def test_a_cancelled_trial_is_returned_until_it_runs_no_more(store: Store) -> None:
    requests, jobs = Requests(store, NAME, lambda event: None), [make_job(3), make_job(4)]
    store.request(NAME, "cancel", "proxy", 4)
    assert list(requests.attend(jobs)) == [jobs[1]]
    assert list(requests.attend(jobs)) == [jobs[1]]
    assert list(requests.attend(jobs[:1])) == []
    assert store.requests(NAME) == []


def test_cancelling_what_does_not_run_is_said_and_forgotten(store: Store) -> None:
    events: list[Event] = []
    store.request(NAME, "cancel", "proxy", 9)
    assert list(Requests(store, NAME, events.append).attend([make_job(3)])) == []
    assert [(event.label, event.message) for event in events] == [
        ("proxy trial 9", "does not run, so there is nothing to cancel")
    ]
    assert store.requests(NAME) == []


def test_a_baseline_of_the_same_number_is_not_meant(store: Store) -> None:
    store.request(NAME, "cancel", "proxy", 3)
    assert list(Requests(store, NAME, lambda event: None).attend([make_job(3, trial=False)])) == []


HOLDER = """
import sys
from dcasearch.store import Store
with Store.open(sys.argv[1]) as store, store.lease("asked"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(store: Store, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that drives the study until it reads a line."""
    command: Any = [sys.executable, "-c", HOLDER, f"sqlite:///{tmp_path}/study.db"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_stopping_waits_until_the_driver_has_ended(store: Store, holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    threading.Timer(0.7, lambda: holder.stdin and holder.stdin.close()).start()
    assert ask_stop(store, NAME)
    assert store.requests(NAME) == []


def test_stopping_what_nobody_runs_says_so_and_how_it_ended(store: Store) -> None:
    with pytest.raises(UserError, match=r"does not run, so there is nothing to stop\. It was never run"):
        ask_stop(store, NAME)
    with store.lease(NAME) as lease:
        lease.outcome = "the study is complete"
    with pytest.raises(UserError, match=r"nothing to stop\. The last run ended: the study is complete \(process"):
        ask_stop(store, NAME)


def test_asking_leaves_no_trace_among_the_runs(store: Store) -> None:
    with pytest.raises(UserError):
        ask_stop(store, NAME)
    assert store.last_run(NAME) is None


def test_a_study_that_is_not_there_is_answered_with_the_one_that_was_meant(store: Store) -> None:
    with pytest.raises(UserError, match=f"holds no study '{NAME}s'; did you mean '{NAME}'"):
        ask_stop(store, f"{NAME}s")


def put_running(store: Store, number: int, fidelity: str = "proxy") -> None:
    assignment = make_assignment()
    store.put_architecture(assignment.architecture)
    store.put_trial(
        Trial(
            study=NAME,
            fidelity=fidelity,
            number=number,
            state=State.RUNNING,
            origin="sampled",
            params={},
            architecture_id=assignment.architecture.id,
            seed=0,
        )
    )


@pytest.mark.usefixtures("holder")
def test_cancelling_asks_for_the_one_running_trial_of_that_number(store: Store) -> None:
    put_running(store, 5)
    assert ask_cancel(store, NAME, 5) == "proxy"
    ((kind, fidelity, number),) = ((r.kind, r.fidelity, r.number) for r in store.requests(NAME))
    assert (kind, fidelity, number) == ("cancel", "proxy", 5)


@pytest.mark.usefixtures("holder")
def test_cancelling_refuses_what_does_not_run_and_what_is_ambiguous(store: Store) -> None:
    put_running(store, 5, "proxy")
    put_running(store, 5, "full")
    with pytest.raises(UserError, match="trial 6 does not run"):
        ask_cancel(store, NAME, 6)
    with pytest.raises(UserError, match="say which with --fidelity"):
        ask_cancel(store, NAME, 5)
    assert ask_cancel(store, NAME, 5, "full") == "full"
