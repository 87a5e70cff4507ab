from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from dcasearch.config.study import Sampler
from dcasearch.errors import StorageError
from dcasearch.store import Store, exists, table_versions, upgrade
from dcasearch.store.engine import make_engine
from dcasearch.store.tables import Base, is_ours
from dcasearch.store.urls import parse
from tests.store import sql
from tests.store.samples import STUDY, with_study
from tests.store.sql import plain_optuna


def set_revision(url: str, revision: str) -> None:
    sql.run(url, f"UPDATE {table_versions.VERSION_TABLE} SET version_num = :revision", revision=revision)


def test_the_migrations_make_exactly_the_tables_of_the_models(store: Store, url: str) -> None:
    assert store.optuna
    engine = make_engine(parse(url))
    options = {
        "version_table": table_versions.VERSION_TABLE,
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
            table_versions.migrate(engine)
    assert sql.tables(url) == set()
    table_versions.migrate(engine)
    assert "dca_trials" in sql.tables(url)
    engine.dispose()


def test_a_database_of_an_older_version_says_how_to_upgrade(store: Store, url: str) -> None:
    with_study(store).close()
    set_revision(url, "0000")
    versions = ScriptDirectory.walk_revisions
    older = type("Older", (), {"revision": "0000"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "walk_revisions", lambda self: [*versions(self), older])
        with pytest.raises(
            StorageError, match=r"older dcasearch .*`dcasearch db upgrade --storage (sqlite|postgresql)"
        ):
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
    with plain_optuna(url) as storage:
        optuna.create_study(storage=storage, study_name="theirs")
    upgrade(url)
    with Store.open(url) as opened:
        assert opened.studies() == []


def test_asking_whether_there_is_something_to_read_makes_nothing(url: str) -> None:
    assert not exists(url)
    assert not exists(url)
    Store.open(url, create=True).close()
    assert exists(url)


def test_upgrade_of_a_missing_database_makes_no_file(sqlite_url: str) -> None:
    with pytest.raises(StorageError, match="There is no database"):
        upgrade(sqlite_url)
    assert not Path(str(parse(sqlite_url).database)).exists()


def migrated_to(url: str, revision: str) -> None:
    """Make the tables of an older version."""
    engine = make_engine(parse(url))
    table_versions.migrate(engine, revision)
    engine.dispose()


def test_a_database_of_the_first_version_is_upgraded_with_what_it_holds(url: str) -> None:
    migrated_to(url, "0001")
    sql.run(
        url,
        "INSERT INTO dca_studies (name, meaning, yaml, created) VALUES ('old', :meaning, '', '2026-01-01 00:00:00')",
        meaning='{"space": "x", "sampler": {"name": "tpe", "seed": 3}}',
    )
    with pytest.raises(StorageError, match="older dcasearch"):
        Store.open(url)
    upgrade(url)
    with Store.open(url) as opened:
        [old] = opened.studies()
        assert old.meaning == {"space": "x", "sampler": {"name": "tpe", "seed": 3, "window": Sampler().window}}
        assert opened.request("old", "stop") == opened.requests("old")[0]
        with opened.lease("old"):
            pass


def test_an_upgrade_to_scores_keeps_the_trainings_there_are(url: str) -> None:
    migrated_to(url, "0002")
    sql.run(
        url,
        "INSERT INTO dca_architectures (id, canonical, written, created) VALUES ('a', '', '{}', '2026-01-01 00:00:00')",
    )
    names = "epochs, best_epoch, top1, top5, best_top1, best_top5, seconds, images, seed"
    sql.run(
        url,
        f"INSERT INTO dca_evaluations (id, architecture_id, fidelity, data, protocol, history, device, provenance, "
        f"created, {names}) VALUES ('e', 'a', 'f', 'd', 'search', '[]', 'cpu', '{{}}', '2026-01-01 00:00:00', "
        "1, 1, 80.5, 99, 80.5, 99, 1, 10, 0)",
    )
    upgrade(url)
    assert sql.run(url, "SELECT metric, value, best FROM dca_values ORDER BY metric") == [
        ("loss", None, None),
        ("top1", 80.5, 80.5),
        ("top5", 99.0, 99.0),
    ]


def test_an_upgrade_to_any_metric_moves_values_and_costs_into_rows(url: str) -> None:
    migrated_to(url, "0004")
    sql.run(
        url,
        "INSERT INTO dca_architectures (id, canonical, written, created) VALUES ('a', '', '{}', '2026-01-01 00:00:00')",
    )
    sql.run(url, "INSERT INTO dca_costs VALUES ('a', 32, 10, 4000000, 5000000000)")
    trained = '[{"epoch": 1, "train_loss": 1.5, "loss": 0.5, "top1": 80.5, "top5": 99.0, "seconds": 1.0}]'
    scored = (
        '[{"epoch": 1, "train_loss": "nan", "loss": "nan", "top1": "nan", "top5": "nan", "seconds": 1.0, "score": 3.5}]'
    )
    for id, history, numbers in (
        ("t", trained, "80.5, 99, 0.5, NULL, 80.5, 99, 0.5"),
        ("s", scored, "NULL, NULL, NULL, 3.5, NULL, NULL, NULL"),
    ):
        sql.run(
            url,
            "INSERT INTO dca_evaluations (id, architecture_id, fidelity, data, protocol, seed, history, epochs, "
            "device, provenance, created, best_epoch, seconds, images, top1, top5, loss, score, best_top1, best_top5, "
            f"best_loss) VALUES ('{id}', 'a', '{id}', 'd', 'search', 0, :history, 1, 'cpu', '{{}}', "
            f"'2026-01-01 00:00:00', 1, 1, 10, {numbers})",
            history=history,
        )
    upgrade(url)
    with Store.open(url) as opened:
        assert opened.get_costs("a", 32, 10) == {"params": 4_000_000, "macs": 5_000_000_000}
        assert opened.evaluation("t").last.values == {"loss": 0.5, "top1": 80.5, "top5": 99.0}
        assert opened.evaluation("s").last.values == {"score": 3.5}
    assert sql.run(url, "SELECT evaluation, metric, value, best FROM dca_values ORDER BY evaluation, metric") == [
        ("s", "score", 3.5, 3.5),
        ("t", "loss", 0.5, 0.5),
        ("t", "top1", 80.5, 80.5),
        ("t", "top5", 99.0, 99.0),
    ]


def test_two_that_start_at_once_on_an_empty_database_make_its_tables_once(url: str) -> None:
    def start(_: int) -> None:
        with Store.open(url, create=True) as opened:
            opened.put_study(STUDY, {}, "")

    with ThreadPoolExecutor() as pool:
        list(pool.map(start, range(4)))
    with Store.open(url) as opened:
        assert [study.name for study in opened.studies()] == [STUDY]


def test_the_newest_revision_is_the_last_migration() -> None:
    assert ScriptDirectory.from_config(table_versions._config()).get_current_head() == table_versions.HEAD
