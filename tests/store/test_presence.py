"""A database that is deleted or replaced while it is open is an error, not results that nobody finds."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import ProgrammingError

from dcasearch.store import Store, lease
from dcasearch.store.outage import translated
from dcasearch.store.presence import DatabaseGone
from dcasearch.store.urls import parse
from tests.store.samples import STUDY, trial, with_study


@pytest.fixture
def file(sqlite_url: str) -> Path:
    return Path(str(parse(sqlite_url).database))


def test_neither_read_nor_write_goes_on_once_the_file_is_deleted(sqlite_store: Store, file: Path) -> None:
    with_study(sqlite_store).put_trial(trial(0))
    for left in file.parent.glob("study.db*"):
        left.unlink()
    with pytest.raises(DatabaseGone, match=r"study\.db: the database was deleted"):
        sqlite_store.trials(STUDY)
    with pytest.raises(DatabaseGone) as caught:
        sqlite_store.put_trial(trial(1))
    assert caught.value.exit_code == 1
    assert not file.exists()


def test_a_copy_in_its_place_is_another_database(sqlite_store: Store, file: Path) -> None:
    with_study(sqlite_store).put_trial(trial(0))
    shutil.copyfile(file, file.with_name("copy"))
    file.with_name("copy").replace(file)
    with pytest.raises(DatabaseGone, match="was replaced by another file"):
        sqlite_store.put_trial(trial(1))


def test_a_deleted_write_ahead_log_is_told_after_the_commit(sqlite_store: Store, file: Path) -> None:
    with_study(sqlite_store).put_trial(trial(0))
    file.with_name("study.db-wal").unlink()
    with pytest.raises(DatabaseGone, match="write-ahead log"):
        sqlite_store.put_trial(trial(1))


def test_a_heartbeat_notices_it_and_the_driver_is_told(
    sqlite_store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT", timedelta(seconds=0.01))
    held = with_study(sqlite_store).lease(STUDY)
    held.__enter__()
    file.unlink()
    held._thread.join()  # it ends once it has noticed
    with pytest.raises(DatabaseGone):
        held.check()
    with pytest.raises(DatabaseGone):
        held.__exit__(None, None, None)


def test_a_lease_that_cannot_be_given_back_to_its_file_is_an_error(sqlite_store: Store, file: Path) -> None:
    with pytest.raises(DatabaseGone), with_study(sqlite_store).lease(STUDY):
        file.unlink()


def test_dropped_tables_of_postgresql_are_told_without_the_password() -> None:
    with pytest.raises(DatabaseGone, match=r"ann:\*\*\*@db.*dropped"), translated("postgresql://ann:s3cret@db/search"):
        raise ProgrammingError("SELECT", {}, psycopg.errors.UndefinedTable('relation "dca_trials" does not exist'))
