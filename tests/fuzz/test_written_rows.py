"""A database of which any row is damaged: commands that write, or that leave no row out, end in a sentence."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcasearch.space import load_study
from dcasearch.store import Store
from dcasearch.study import run
from tests.cli.conftest import SimulatedLocal
from tests.fuzz.rows import DELETE, HOSTILE, TABLES, Damage
from tests.fuzz.test_rows import _nothing_of_the_users, damaged, in_process
from tests.support import Simulated, make_study

__all__ = ["_nothing_of_the_users"]

STUDY = "study.yaml"
"""Stands for the study's file, which asks for more trials than the database holds."""
WRITING = (
    ("run", STUDY),
    ("check", STUDY),
    ("ablate", "tiny", "--plan"),
    ("stop", "tiny"),
    ("cancel", "tiny", "0"),
    ("retry", "tiny"),
    ("rename", "tiny", "large", "--dry-run"),
    ("rename", "tiny", "large"),
    ("delete", "tiny", "--dry-run"),
    ("delete", "tiny", "--yes"),
    ("clean", "--dry-run"),
    ("db", "upgrade"),
)
READING = (
    ("logs", "tiny", "0", "--fidelity", "proxy"),
    ("export", "tiny"),
    ("compare", "tiny", "--json"),
    ("dashboard", "tiny"),
)
OF_OPTUNA = (("run", STUDY), ("status", "tiny"), ("list",), ("trials", "tiny"), READING[0])
OPTUNA_TABLES = (
    *("trials", "trial_params", "trial_values", "trial_user_attributes", "trial_system_attributes"),
    *("studies", "study_directions", "study_system_attributes", "alembic_version", "version_info"),
)
EXPECTED = (0, 1, 2)
"""Done; a study that ends without a usable trial; a sentence that says what is damaged."""


def damages(tables: tuple[str, ...], prefix: str) -> st.SearchStrategy[list[Damage]]:
    """Draw one or two changes of rows."""
    change = st.builds(
        Damage,
        table=st.sampled_from(tables),
        column=st.integers(0, 30),
        row=st.integers(0, 30),
        value=st.sampled_from((*HOSTILE, DELETE)),
        prefix=st.just(prefix),
    )
    return st.lists(change, min_size=1, max_size=2)


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a study of which another YAML, beside it, asks for more trials."""
    folder = tmp_path_factory.mktemp("written")
    levels = [
        {"name": "proxy", "trials": 4, "resolution": 16, "epochs": 2},
        {"name": "full", "promote": {"top": 2}, "resolution": 16, "epochs": 3, "seeds": [0, 1]},
    ]
    tpe = {"name": "tpe", "seed": 0, "startup": 2}
    for trials in (4, 6):
        levels[0]["trials"] = trials
        study = make_study(fidelities=levels, baselines=True, sampler=tpe, artifacts=str(folder / "artifacts"))
        written = study.model_dump(mode="json", exclude_unset=True)
        (folder / f"{trials}.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
    file = folder / "study.db"
    with Store.open(f"sqlite:///{file}", create=True) as store:
        run(load_study(folder / "4.yaml"), store, Simulated())
    with sqlite3.connect(file) as connection:  # leave no log beside it
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
    return file


@pytest.fixture
def _simulated(_nothing_of_the_users: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcasearch.executors.LocalExecutor", SimulatedLocal)
    monkeypatch.setattr("dcasearch.dashboard.serve", lambda *_: None)
    monkeypatch.setattr("dcasearch.search.requests.WAITED_FOR_SECONDS", 0.1)


def said_by(begun: Path, command: tuple[str, ...], url: str) -> tuple[int, str]:
    words = [str(begun.with_name("6.yaml")) if word == STUDY else word for word in command]
    return in_process(*words, "--storage", url)


@pytest.mark.usefixtures("_simulated")
@pytest.mark.parametrize("command", [*WRITING, *READING], ids=" ".join)
def test_a_whole_database_is_taken_as_it_is(begun: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    code, said = said_by(begun, command, damaged(begun, tmp_path / "copy.db", []))
    assert code in EXPECTED, said
    assert "damaged" not in said, said


DAMAGES = {
    "trial tiny proxy 2: ": Damage("trials", 5, 1, "{"),
    "evaluation ": Damage("evaluations", 6, 1, '[{"epoch": "x"}]'),
    "study tiny: ": Damage("studies", 1, 0, "[]"),
    "Optuna's trials 2: state 'weird' is none of ": Damage("trials", 3, 1, "weird", ""),
    "Optuna's trial_params 2: ": Damage("trial_params", 4, 1, "{", ""),
    "Optuna's trial_values 2: value None is not FINITE": Damage("trial_values", 3, 1, None, ""),
    "Optuna's trial_values 2: value_type 'x' is none of ": Damage("trial_values", 4, 1, "x", ""),
}


@pytest.mark.usefixtures("_simulated")
@pytest.mark.parametrize("named", DAMAGES)
def test_a_run_names_the_damaged_row_and_what_to_do(begun: Path, tmp_path: Path, named: str) -> None:
    url = damaged(begun, tmp_path / "copy.db", [DAMAGES[named]])
    code, said = said_by(begun, ("run", STUDY), url)
    assert code == 2, said
    assert named in said, said
    assert "Put a copy of the database back." in said


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("_simulated")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=damages(TABLES, "dca_"), command=st.sampled_from((*WRITING, *READING)))
def test_any_damage_is_answered_with_a_sentence(
    begun: Path, tmp_path: Path, changes: list[Damage], command: tuple[str, ...]
) -> None:
    code, said = said_by(begun, command, damaged(begun, tmp_path / "copy.db", changes))
    assert code in EXPECTED, said
    assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("_simulated")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=damages(OPTUNA_TABLES, ""), command=st.sampled_from(OF_OPTUNA))
def test_any_damage_of_optunas_tables_is_answered_with_a_sentence(
    begun: Path, tmp_path: Path, changes: list[Damage], command: tuple[str, ...]
) -> None:
    code, said = said_by(begun, command, damaged(begun, tmp_path / "copy.db", changes))
    assert code in EXPECTED, said
    assert "Traceback" not in said
