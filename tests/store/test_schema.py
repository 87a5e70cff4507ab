from __future__ import annotations

import sqlite3
from pathlib import Path

import optuna
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from dcasearch.errors import StorageError
from dcasearch.store import Store, exists, schema, upgrade
from dcasearch.store.engine import make_engine
from dcasearch.store.tables import Base, is_ours
from dcasearch.store.urls import parse
from tests.store.samples import STUDY, with_study


def set_revision(url: str, revision: str) -> None:
    with sqlite3.connect(str(parse(url).database)) as connection:
        connection.execute(f"UPDATE {schema.VERSION_TABLE} SET version_num = ?", (revision,))
    connection.close()


def tables(url: str) -> set[str]:
    connection = sqlite3.connect(str(parse(url).database))
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    return names


def test_the_migrations_make_exactly_the_tables_of_the_models(store: Store, url: str) -> None:
    assert store.optuna
    engine = make_engine(parse(url))
    options = {
        "version_table": schema.VERSION_TABLE,
        "include_object": lambda item, name, kind, *_: kind != "table" or is_ours(name),
        "compare_type": True,
    }
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    engine.dispose()
    assert differences == []


def test_a_migration_that_fails_leaves_nothing_behind(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from dcasearch.store.migrations.versions import v0001_first

    engine = make_engine(parse(url))
    with monkeypatch.context() as patch:
        patch.setattr(v0001_first.sa, "UniqueConstraint", None)
        with pytest.raises(TypeError):
            schema.migrate(engine)
    assert tables(url) == set()
    schema.migrate(engine)
    assert "dca_trials" in tables(url)
    engine.dispose()


def test_a_database_of_an_older_version_says_how_to_upgrade(store: Store, url: str) -> None:
    with_study(store).close()
    set_revision(url, "0000")
    versions = schema.ScriptDirectory.walk_revisions
    older = type("Older", (), {"revision": "0000"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema.ScriptDirectory, "walk_revisions", lambda self: [*versions(self), older])
        with pytest.raises(StorageError, match=r"older dcasearch .*`dcasearch db upgrade --storage sqlite:"):
            Store.open(url, create=True)


def test_a_database_of_a_newer_version_says_to_upgrade_dcasearch(store: Store, url: str) -> None:
    store.close()
    set_revision(url, "9999")
    for attempt in (lambda: Store.open(url), lambda: Store.open(url, create=True), lambda: upgrade(url)):
        with pytest.raises(StorageError, match=r"newer dcasearch \(schema 9999.*pip install --upgrade dcasearch"):
            attempt()


def test_upgrade_keeps_everything_and_can_be_repeated(store: Store, url: str) -> None:
    with_study(store)
    optuna.create_study(storage=store.optuna, study_name="s").optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=2)
    store.close()
    upgrade(url)
    upgrade(url)
    with Store.open(url) as opened:
        assert opened.get_study(STUDY) is not None
        assert len(optuna.load_study(study_name="s", storage=opened.optuna).trials) == 2


def test_upgrade_brings_an_optuna_database_to_our_version(url: str) -> None:
    optuna.create_study(storage=url, study_name="theirs")
    upgrade(url)
    with Store.open(url) as opened:
        assert opened.studies() == []


def test_asking_whether_a_database_exists_does_not_make_it(url: str) -> None:
    assert not exists(url)
    assert not exists(url)
    Store.open(url, create=True).close()
    assert exists(url)


def test_upgrade_of_a_missing_database_makes_no_file(url: str) -> None:
    with pytest.raises(StorageError, match="There is no database"):
        upgrade(url)
    assert not Path(str(parse(url).database)).exists()
