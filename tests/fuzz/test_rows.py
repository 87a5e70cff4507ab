"""A database from a stranger: any row may be damaged in any way, and reading commands still answer."""

from __future__ import annotations

import io
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcasearch.analysis.standing import Standing, standing_of
from dcasearch.cli import main
from dcasearch.errors import StorageError
from dcasearch.space import load_study
from dcasearch.store import Store
from dcasearch.study import run
from tests.fuzz.rows import Damage, damages, spoil_rows
from tests.fuzz.workshop import leave_no_log
from tests.support import Simulated, make_study

COMMANDS = (("status", "tiny"), ("status", "tiny", "--json"), ("trials", "tiny"), ("list",))
EXPECTED = (0, 2)
"""Done, or a sentence that says what is damaged."""


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
    leave_no_log(file)
    return file


def damaged(finished: Path, copy: Path, changes: list[Damage]) -> str:
    """Copy a database and damage it; return its URL."""
    for left in copy.parent.glob(f"{copy.name}*"):
        left.unlink()
    shutil.copy(finished, copy)
    spoil_rows(copy, changes)
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
