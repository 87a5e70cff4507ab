"""What only a server does: a driver to install, a password, clocks and hosts of its own, and being away."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import make_url

from dcasearch.errors import StorageError, StudyLocked
from dcasearch.store import Lease, Store, exists
from dcasearch.trial import State
from tests.postgres import PASSWORD, Server, running_server
from tests.store import sql
from tests.store.samples import STUDY, evaluation, trial, with_study


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server for one test, which may stop it."""
    with running_server() as running:
        yield running


def test_a_missing_driver_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StorageError, match=r"pip install dcasearch\[postgres\]"):
        Store.open("postgresql://db/search")


@pytest.mark.parametrize("change", [{"database": "nowhere"}, {"query": {"host": "/tmp/no-such-server"}}])
def test_a_server_or_database_that_is_not_there_is_told_at_once_and_without_password(
    postgres_url: str, change: dict[str, object]
) -> None:
    url = make_url(postgres_url).set(**change).render_as_string(hide_password=False)  # type: ignore[arg-type]  # mixed
    began = time.monotonic()
    for attempt in (lambda: Store.open(url), lambda: Store.open(url, create=True), lambda: exists(url)):
        with pytest.raises(StorageError, match="postgresql") as error:
            attempt()
        assert PASSWORD not in "".join(traceback.format_exception(error.value))
    assert time.monotonic() - began < 30  # whoever tries again does so for minutes


def test_a_user_who_may_not_make_tables_is_told(postgres_url: str) -> None:
    sql.run(postgres_url, "DROP ROLE IF EXISTS reader")
    sql.run(postgres_url, "CREATE ROLE reader LOGIN")
    url = make_url(postgres_url).set(username="reader").render_as_string(hide_password=False)
    with pytest.raises(StorageError, match="permission denied"):
        Store.open(url, create=True)


def test_options_in_the_url_go_before_ours(postgres_url: str) -> None:
    url = make_url(postgres_url).update_query_dict({"application_name": "mine"}).render_as_string(hide_password=False)
    with Store.open(url, create=True) as store, store._engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW application_name").scalar() == "mine"


def test_of_many_that_take_a_dead_drivers_lease_at_once_one_drives(postgres_store: Store) -> None:
    barrier = threading.Barrier(6)

    def take(host: str) -> Lease | None:
        barrier.wait()
        try:
            return Lease(postgres_store.writing, STUDY, host=host).__enter__()
        except StudyLocked:
            return None

    drivers = []
    for dead in (False, True):
        if dead:
            with postgres_store.writing() as session:
                session.connection().exec_driver_sql("UPDATE dca_leases SET heartbeat = heartbeat - interval '1 hour'")
        with ThreadPoolExecutor() as pool:
            leases = [lease for lease in pool.map(take, "abcdef") if lease is not None]
        assert len(leases) == 1
        drivers += leases
    for lease in drivers:
        lease.__exit__(None, None, None)


def test_a_heartbeat_is_read_by_the_databases_clock(postgres_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with Lease(postgres_store.writing, STUDY, host="far"):
        monkeypatch.setattr("dcasearch.store.tables.now", lambda: pytest.fail("a host's clock was read"))
        with pytest.raises(StudyLocked), postgres_store.lease(STUDY):
            pass


def ask_and_tell(study: optuna.Study, number: int) -> None:
    asked = study.ask()
    assert asked.number == number
    asked.suggest_categorical("a", (0, 1, 2))
    asked.suggest_categorical("b", (0, 1))
    asked.set_user_attr("n", number)
    study._storage.set_trial_intermediate_value(asked._trial_id, 1, float(number))
    study.tell(asked, float(number))


def test_after_a_restart_of_the_server_every_call_goes_on(own_server: Server) -> None:
    with Store.open(own_server.new_database(), create=True) as store:
        with_study(store)
        study = optuna.create_study(storage=store.optuna)
        ask_and_tell(study, 0)
        for number in (1, 2):
            own_server.stop()
            waiting = threading.Timer(0.3, own_server.start)
            waiting.start()
            store.record_and_put(evaluation(50.0), trial(number, state=State.COMPLETE, values=(50.0,)))
            waiting.join()
            own_server.stop()
            waiting = threading.Timer(0.3, own_server.start)
            waiting.start()
            ask_and_tell(study, number)
            waiting.join()
        assert store.counts(STUDY) == {"proxy": {State.COMPLETE: 2}}
        assert [t.values for t in study.trials] == [[0.0], [1.0], [2.0]]


@pytest.mark.slow
def test_a_server_that_stays_away_is_a_storage_error_without_password(
    own_server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("dcasearch.store.outage.OUTAGE_SECONDS", 1.5)
    with Store.open(own_server.new_database(), create=True) as store:
        with_study(store)
        study = optuna.create_study(storage=store.optuna)
        own_server.stop()
        for attempt in (lambda: store.put_trial(trial(0)), study.ask, lambda: store.trials(STUDY)):
            with pytest.raises(StorageError, match="gave up after") as error:
                attempt()
            assert PASSWORD not in "".join(traceback.format_exception(error.value))
        own_server.start()
        store.put_trial(trial(0))
        assert study.ask().number == 0
    assert "trying again for up to" in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.slow
def test_a_run_outlasts_a_server_that_is_away_for_20_seconds(
    own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with Store.open(own_server.new_database(), create=True) as store, store.lease(STUDY) as lease:
        with_study(store)
        study = optuna.create_study(storage=store.optuna)
        away = threading.Timer(1.0, own_server.stop)
        back = threading.Timer(21.0, own_server.start)
        away.start()
        back.start()
        began, number = time.monotonic(), 0
        with caplog.at_level(logging.WARNING):
            while time.monotonic() - began < 25:
                ask_and_tell(study, number)
                store.record_and_put(
                    evaluation(50.0, seed=number), trial(number, state=State.COMPLETE, values=(50.0,), seed=number)
                )
                lease.check()
                number += 1
        away.join()
        back.join()
        assert [t.number for t in store.trials(STUDY)] == list(range(number))
        assert [(t.number, t.state) for t in study.trials] == [(n, TrialState.COMPLETE) for n in range(number)]
        with pytest.raises(StudyLocked), store.lease(STUDY):
            pass
    assert "trying again" in caplog.text
    assert PASSWORD not in caplog.text
