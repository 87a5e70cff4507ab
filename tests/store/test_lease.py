from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from dcasearch.errors import StorageError, StudyLocked
from dcasearch.store import Lease, Store
from dcasearch.store.tables import ClaimRow, LeaseRow, now
from tests.store.samples import STUDY

DRIVER = """
import sys, time
from dcasearch.store import Store
with Store.open(sys.argv[1]) as store, store.lease(sys.argv[2]):
    print("driving", flush=True)
    time.sleep(60)
"""


def start_driver(url: str) -> subprocess.Popen[str]:
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, url, STUDY], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "driving\n"
    driver.stdout.close()
    return driver


def lease_of_host(store: Store, host: str) -> Lease:
    return Lease(store.writing, STUDY, host=host)


def age_heartbeat(store: Store, seconds: float) -> None:
    with store.writing() as session:
        session.execute(update(LeaseRow).values(heartbeat=now() - timedelta(seconds=seconds)))


def until(happened: Callable[[], bool]) -> None:
    """Wait for what a heartbeat, a thread of its own, does; not longer than half a minute."""
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_fresh(store: Store) -> bool:
    with store.writing() as session:
        (heartbeat,) = session.scalars(select(LeaseRow.heartbeat)).all()
    return now() - heartbeat < timedelta(seconds=60)


def is_taken_over(lease: Lease) -> bool:
    try:
        lease.check()
    except StudyLocked:
        return True
    return False


def test_a_second_driver_is_told_who_drives_and_since_when(store: Store, url: str) -> None:
    driver = start_driver(url)
    try:
        expected = rf"Study '{STUDY}' is run by process {driver.pid} on {os.uname().nodename} since \d{{4}}-"
        with pytest.raises(StudyLocked, match=expected), store.lease(STUDY):
            pass
        with store.lease("another study"):
            pass
    finally:
        driver.kill()
        driver.wait()


def test_a_killed_drivers_lease_is_taken_over_at_once_even_before_it_is_reaped(store: Store, url: str) -> None:
    driver = start_driver(url)
    os.kill(driver.pid, signal.SIGKILL)
    os.waitid(os.P_PID, driver.pid, os.WEXITED | os.WNOWAIT)  # dead, and a zombie until wait()
    with store.lease(STUDY):
        pass
    driver.wait()
    with store.lease(STUDY):
        pass


def test_another_process_of_the_same_number_is_not_the_driver(store: Store) -> None:
    with store.lease(STUDY):
        with store.writing() as session:
            session.execute(update(LeaseRow).values(process_started=1.0))
        with store.lease(STUDY):
            pass


def test_a_lease_ends_with_its_context_also_after_an_error(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.lease(STUDY):
        _ = 1 / 0
    with store.lease(STUDY), pytest.raises(StudyLocked), store.lease(STUDY):
        pass


def test_a_driver_on_another_host_lives_while_its_heart_beats(store: Store) -> None:
    with lease_of_host(store, "far"):
        age_heartbeat(store, 50)
        with pytest.raises(StudyLocked, match="on far since"), store.lease(STUDY):
            pass
        age_heartbeat(store, 70)
        with store.lease(STUDY):
            pass


def test_the_heart_beats_while_the_driver_works(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcasearch.store.lease.HEARTBEAT", timedelta(seconds=0.01))
    with lease_of_host(store, "far"):
        age_heartbeat(store, 3600)
        until(lambda: is_fresh(store))
        with pytest.raises(StudyLocked), store.lease(STUDY):
            pass


def test_a_driver_that_was_taken_over_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcasearch.store.lease.HEARTBEAT", timedelta(seconds=0.05))
    with lease_of_host(store, "far") as first:
        first.check()
        age_heartbeat(store, 3600)
        with store.lease(STUDY) as second:
            until(lambda: is_taken_over(first))
            with pytest.raises(StudyLocked, match="taken over"):
                first.check()
            second.check()
            first.__exit__(None, None, None)
            with pytest.raises(StudyLocked), store.lease(STUDY):
                pass


def test_a_missed_heartbeat_is_a_warning_not_an_end(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("dcasearch.store.lease.HEARTBEAT", timedelta(seconds=0.01))
    down = threading.Event()

    def writing() -> AbstractContextManager[Session]:
        if down.is_set():
            raise StorageError("database is locked")
        return store.writing()

    with Lease(writing, STUDY) as lease:
        down.set()
        until(lambda: "was not renewed: database is locked" in caplog.text)
        down.clear()
        lease.check()


def test_a_training_is_claimed_by_one_driver_at_a_time(store: Store) -> None:
    with store.lease("one") as one, store.lease("other") as other:
        assert one.claim("e" * 16) is None
        assert one.claim("e" * 16) is None, "claiming again is safe"
        assert other.claim("e" * 16) == "one"
        assert other.claim("f" * 16) is None
        other.release("e" * 16)
        assert other.claim("e" * 16) == "one", "only the holder gives it back"
        one.release("e" * 16)
        assert other.claim("e" * 16) is None


def test_the_claims_of_a_driver_end_with_it(store: Store) -> None:
    with store.lease("one") as one:
        one.claim("e" * 16)
    with store.lease("other") as other:
        assert other.claim("e" * 16) is None


def test_a_killed_drivers_claims_hold_nobody_up(store: Store, url: str) -> None:
    driver = start_driver(url)
    try:
        with store.lease("another study") as mine:
            with store.writing() as session:
                token = session.scalars(select(LeaseRow.token).where(LeaseRow.study == STUDY)).one()
                session.add(ClaimRow(evaluation="e" * 16, token=token))
            assert mine.claim("e" * 16) == STUDY
            driver.kill()
            driver.wait()
            assert mine.claim("e" * 16) is None
    finally:
        driver.kill()
        driver.wait()


def test_who_drives_a_study_is_known_while_it_runs_and_after_it_was_killed(store: Store, url: str) -> None:
    assert store.driver(STUDY) is None
    driver = start_driver(url)
    found = store.driver(STUDY)
    assert found is not None
    assert (found.pid, found.lives) == (driver.pid, True)
    assert found.in_words().startswith(f"Run by process {driver.pid} on ")
    driver.kill()
    driver.wait()
    dead = store.driver(STUDY)
    assert dead is not None
    assert not dead.lives
    assert f"Its driver, process {driver.pid} on {found.host}, is gone; last heard of " in dead.in_words()


def test_a_driver_that_has_ended_is_nobody(store: Store) -> None:
    with store.lease(STUDY):
        driver = store.driver(STUDY)
        assert driver is not None
        assert driver.pid == os.getpid()
    assert store.driver(STUDY) is None
