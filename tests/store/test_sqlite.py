"""What only a file does: missing, no database, locked by another client, on a full disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from dcasearch.errors import StorageError
from dcasearch.store import Store
from dcasearch.store.urls import parse
from tests.store.samples import STUDY, trial, with_study


def test_a_missing_database_is_named_with_what_makes_it(sqlite_url: str) -> None:
    with pytest.raises(StorageError, match=r"study\.db.*`dcasearch run STUDY.yaml` creates one"):
        Store.open(sqlite_url)
    assert not Path(str(parse(sqlite_url).database)).exists()


@pytest.mark.parametrize("create", [True, False])
def test_a_file_that_is_no_database_is_a_storage_error_and_stays_as_it_is(sqlite_url: str, create: bool) -> None:
    path = Path(str(parse(sqlite_url).database))
    path.write_text("name: a study, not a database\n" * 50)
    with pytest.raises(StorageError, match=r"study\.db: file is not a database"):
        Store.open(sqlite_url, create=create)
    assert path.read_text().startswith("name: a study")


def test_a_folder_that_does_not_exist_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"There is no folder .*nowhere for the database; make it"):
        Store.open(f"sqlite:///{tmp_path}/nowhere/study.db", create=True)


def test_a_store_shows_its_whole_path(
    sqlite_store: Store, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sqlite_store.url == sqlite_url
    monkeypatch.chdir(tmp_path)
    with Store.open("sqlite:///study.db") as relative:
        assert repr(relative) == f"Store('{sqlite_url}')"


def test_a_reader_sees_the_ledger_while_another_client_holds_the_write_lock(
    sqlite_store: Store, sqlite_url: str
) -> None:
    with_study(sqlite_store).put_trial(trial(0))
    other = sqlite3.connect(str(parse(sqlite_url).database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert sqlite_store.trials(STUDY) == [trial(0)]
    other.execute("ROLLBACK")
    other.close()


def test_a_database_that_stays_locked_is_a_storage_error(
    sqlite_store: Store, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_study(sqlite_store)
    sqlite_store.close()
    monkeypatch.setattr("dcasearch.store.outage.OUTAGE_SECONDS", 0.2)
    monkeypatch.setattr("dcasearch.store.engine._PRAGMAS", ("busy_timeout = 20", "foreign_keys = ON"))
    other = sqlite3.connect(str(parse(sqlite_url).database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Store.open(sqlite_url) as impatient, pytest.raises(StorageError, match="database is locked"):
        impatient.put_trial(trial(0))
    other.execute("ROLLBACK")
    other.close()


def test_a_full_disk_is_a_storage_error_and_loses_nothing(sqlite_store: Store) -> None:
    with_study(sqlite_store).put_trial(trial(0))
    with sqlite_store._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    with sqlite_store.writing() as session:
        session.connection().exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="database or disk is full; make room on its disk"):
        sqlite_store.put_study("big", {"text": "x" * 1_000_000}, "")
    assert sqlite_store.trials(STUDY) == [trial(0)]
