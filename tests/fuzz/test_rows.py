"""A database from a stranger: any row may be damaged in any way, and reading commands still answer."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcasearch.analysis.standing import Standing, standing_of
from dcasearch.cli import main
from dcasearch.errors import StorageError
from dcasearch.processes import child_environment
from dcasearch.space import load_study
from dcasearch.store import Store
from dcasearch.study import run
from tests.support import Simulated, make_study

COMMANDS = (("status", "tiny"), ("status", "tiny", "--json"), ("trials", "tiny"), ("list",))
EXPECTED = (0, 2)
"""Done, or a sentence that says what is damaged."""
TABLES = ("studies", "architectures", "costs", "evaluations", "values", "trials", "roles", "runs", "leases", "devices")
HOSTILE: tuple[Any, ...] = (
    *(None, "", "weird", "{", "[]", "{}", "null", "true", '"text"', "[1]", '["a"]', '{"a": 1}', '{"a": [1]}', "[[1]]"),
    *(0, -1, 1, 2**31, 2**63 - 1, -(2**63), 1.5, float("inf"), -1e308, 1e308, b"", b"\xff\xfe", "9" * 5000),
    *("[" * 20_000, '{"a":' * 5000, "2026-99-99 00:00:00", "2999-01-01 00:00:00", "NaN"),
    *("\x00", "\ud7ff", "a\nb", "complete", '[{"epoch": 1}]'),
    *('[{"epoch": "x", "train_loss": 1, "seconds": 1, "top1": 1}]', '{"backbone": {"name": "resnet999"}}'),
)  # fmt: skip


@dataclass(frozen=True)
class Damage:
    """One change of one row."""

    table: str
    column: int
    row: int
    value: Any
    """What is written; DELETE for the whole row."""
    prefix: str = "dca_"
    """Of the table's name; Optuna's tables have none."""


DELETE = object()
damages = st.builds(
    Damage,
    table=st.sampled_from(TABLES),
    column=st.integers(0, 30),
    row=st.integers(0, 30),
    value=st.sampled_from((*HOSTILE, DELETE)),
)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a small study that has ended: two fidelities, baselines and finals."""
    folder = tmp_path_factory.mktemp("rows")
    levels = [
        {"name": "proxy", "trials": 4, "resolution": 16, "epochs": 2},
        {"name": "full", "promote": {"top": 2}, "resolution": 16, "epochs": 3, "seeds": [0, 1]},
    ]
    study = make_study(fidelities=levels, baselines=True, final={"seeds": [100]}, artifacts=str(folder / "artifacts"))
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study.model_dump(mode="json", exclude_unset=True), sort_keys=False))
    file = folder / "study.db"
    with Store.open(f"sqlite:///{file}", create=True) as store:
        run(load_study(path), store, Simulated())
    with sqlite3.connect(file) as connection:  # leave no log beside it
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
    return file


def damaged(finished: Path, copy: Path, changes: list[Damage]) -> str:
    """Copy a database and damage it; return its URL."""
    for left in copy.parent.glob(f"{copy.name}*"):
        left.unlink()
    shutil.copy(finished, copy)
    connection = sqlite3.connect(copy)
    for change in changes:
        table = f"{change.prefix}{change.table}"
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        rows = [row[0] for row in connection.execute(f"SELECT rowid FROM {table}")]
        if not rows:
            continue
        row, column = rows[change.row % len(rows)], columns[change.column % len(columns)]
        try:
            if change.value is DELETE:
                connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))
            else:
                connection.execute(f'UPDATE {table} SET "{column}" = ? WHERE rowid = ?', (change.value, row))
        except sqlite3.IntegrityError:  # the table itself refuses it
            continue
    connection.commit()
    connection.close()
    return f"sqlite:///{copy}"


def in_process(*arguments: str) -> tuple[int, str]:
    """Run a command here; return its exit code and all that it printed."""
    before, sys.argv = sys.argv, ["dcasearch", *arguments]
    printed = io.StringIO()
    code: Any = 0
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            main()
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.argv = before
    return int(code), printed.getvalue()


@pytest.fixture
def _nothing_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("DCASEARCH_STORAGE", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_nothing_of_the_users")
def test_the_whole_database_is_shown(finished: Path, tmp_path: Path) -> None:
    url = damaged(finished, tmp_path / "copy.db", [])
    for command in COMMANDS:
        code, said = in_process(*command, "--storage", url)
        assert code == 0, said
        assert "damaged" not in said


@pytest.mark.usefixtures("_nothing_of_the_users")
def test_a_damaged_trial_is_named_and_the_others_are_shown(
    finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = damaged(finished, tmp_path / "copy.db", [Damage("trials", 5, 1, "{")])
    code, said = in_process("trials", "tiny", "--json", "--storage", url)
    assert code == 0, said
    assert "trial tiny" in caplog.text
    assert '"trial": 0' in said
    assert '"trial": 2' in said


@pytest.mark.parametrize("change", [Damage("trials", 3, 1, "weird"), Damage("trials", 5, 1, "{")])
def test_who_writes_leaves_nothing_out(finished: Path, tmp_path: Path, change: Damage) -> None:
    url = damaged(finished, tmp_path / "copy.db", [change])
    with Store.open(url, create=True) as store, pytest.raises(StorageError, match="damaged"):
        store.trials("tiny")


@pytest.mark.usefixtures("_nothing_of_the_users")
@pytest.mark.parametrize("change", [Damage("trials", 3, 1, "weird"), Damage("evaluations", 6, 1, "{")])
def test_the_dashboard_serves_what_is_whole(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Damage
) -> None:
    served: list[Standing] = []
    monkeypatch.setattr("dcasearch.dashboard.serve", lambda store, *_: served.append(standing_of(store, "tiny")))
    code, said = in_process("dashboard", "tiny", "--storage", damaged(finished, tmp_path / "copy.db", [change]))
    assert code == 0, said
    assert served[0].fidelities[0].trials


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("_nothing_of_the_users")
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(damages, min_size=1, max_size=3), command=st.sampled_from(COMMANDS))
def test_any_damage_is_answered_with_the_rest_or_a_sentence(
    finished: Path, tmp_path: Path, changes: list[Damage], command: tuple[str, ...]
) -> None:
    url = damaged(finished, tmp_path / "copy.db", changes)
    code, said = in_process(*command, "--storage", url)
    assert code in EXPECTED, said
    assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("_nothing_of_the_users")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(damages, min_size=1, max_size=3),
    command=st.sampled_from((*COMMANDS, ("report", "tiny", "--out", "page"), ("compare", "tiny", "--json"))),
)
def test_any_damage_is_answered_by_a_process_too(
    finished: Path, tmp_path: Path, changes: list[Damage], command: tuple[str, ...]
) -> None:
    url = damaged(finished, tmp_path / "copy.db", changes)
    done = subprocess.run(
        [sys.executable, "-m", "dcasearch", *command, "--storage", url],
        capture_output=True,
        env=child_environment(XDG_STATE_HOME=os.environ["XDG_STATE_HOME"]),
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode in EXPECTED, said
    assert "Traceback" not in said
