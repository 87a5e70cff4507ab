from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
from optuna.storages import RDBStorage
from sqlalchemy import text

from dcasearch.errors import StorageError
from dcasearch.store import Store
from tests.store import sql
from tests.store.samples import STUDY, with_study
from tests.store.sql import plain_optuna


def objective(trial: optuna.Trial) -> float:
    return trial.suggest_float("x", 0, 1)


def test_plain_optuna_opens_a_study_in_a_database_that_we_made(store: Store, url: str) -> None:
    with_study(store)
    optuna.create_study(storage=store.optuna, study_name="digits.proxy").optimize(objective, n_trials=3)
    with plain_optuna(url) as storage:
        assert len(optuna.load_study(study_name="digits.proxy", storage=storage).trials) == 3
    assert store.get_study(STUDY) is not None


def test_our_tables_are_added_to_a_database_that_optuna_made(url: str) -> None:
    with plain_optuna(url) as storage:
        optuna.create_study(storage=storage, study_name="theirs").optimize(objective, n_trials=2)
    with pytest.raises(StorageError, match="holds no study yet"):
        Store.open(url)
    with Store.open(url, create=True) as store:
        with_study(store)
        assert len(optuna.load_study(study_name="theirs", storage=store.optuna).trials) == 2
    with plain_optuna(url) as storage:
        assert len(optuna.load_study(study_name="theirs", storage=storage).trials) == 2


def test_optuna_speaks_with_the_same_pragmas_as_we_do(sqlite_store: Store) -> None:
    storage = sqlite_store.optuna._backend  # type: ignore[attr-defined]  # no public way from the cache to its engine
    assert isinstance(storage, RDBStorage)
    for engine in (sqlite_store._engine, storage.engine):
        with engine.connect() as connection:
            names = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
            assert [connection.execute(text(f"PRAGMA {n}")).scalar() for n in names] == ["wal", 1, 30000, 1]


def test_optunas_tables_of_another_version_are_a_storage_error(store: Store, url: str) -> None:
    assert store.optuna
    store.close()
    sql.run(url, "UPDATE alembic_version SET version_num = 'v99'")
    with Store.open(url) as opened, pytest.raises(StorageError, match="upgrade Optuna"):
        assert opened.optuna


def test_braces_in_a_path_are_only_braces(tmp_path: object) -> None:
    with Store.open(f"sqlite:///{tmp_path}/a {{b}} 100%.db", create=True) as store:
        optuna.create_study(storage=store.optuna, study_name="s")


def test_a_parameter_whose_choices_changed_is_refused_as_optuna_refuses_it(store: Store, url: str) -> None:
    study = optuna.create_study(storage=store.optuna, study_name="s")
    study.tell(study.ask(), 0.0)
    asked = study.ask()
    asked.suggest_categorical("a", (0, 1))
    study.tell(asked, 0.0)
    with Store.open(url) as other:  # which has not seen the parameter yet
        again = optuna.load_study(study_name="s", storage=other.optuna)
        with pytest.raises(ValueError, match="does not support dynamic value space"):
            again.ask().suggest_categorical("a", (0, 1, 2))
        assert again.ask().suggest_categorical("b", (0,)) == 0


def test_what_is_kept_of_a_trial_is_refused_once_it_has_ended(store: Store) -> None:
    study = optuna.create_study(storage=store.optuna)
    asked = study.ask()
    study.tell(asked, 0.0)
    asked.set_user_attr("late", 1)
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        study.get_trials()
    assert study.trials[0].user_attrs == {}


def test_threads_share_a_storage_and_lose_nothing(store: Store) -> None:
    """Each in a study of its own, as two drivers in one process would be."""
    barrier = threading.Barrier(4)

    def drive(name: str) -> None:
        barrier.wait()
        study = optuna.create_study(storage=store.optuna, study_name=name)
        for number in range(12):
            asked = study.ask()
            asked.set_user_attr("number", number)
            study.tell(asked, asked.suggest_float("x", 0, 1))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(drive, "abcd"))
    finally:
        sys.setswitchinterval(interval)
    for name in "abcd":
        trials = optuna.load_study(study_name=name, storage=store.optuna).trials
        assert [(t.number, t.user_attrs["number"], t.value) for t in trials] == [
            (number, number, t.params["x"]) for number, t in enumerate(trials)
        ]
        assert len(trials) == 12
