"""What a command imports before it answers: reading commands know neither torch nor Ray nor Optuna."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dcasearch.store import Store
from tests.cli.conftest import Command
from tests.store.samples import STUDY, trial, with_study

HEAVY = ("torch", "torchvision", "torchmetrics", "ray", "sklearn", "scipy.stats", "pandas", "optuna", "plotly")


def imported_by(*arguments: str) -> set[str]:
    """Return which of the heavy modules a command has imported when it ends."""
    code = (
        "import sys\nfrom dcasearch.cli import main\n"
        f"sys.argv = {['dcasearch', *arguments]!r}\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('\\nIMPORTED', *[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.rsplit("IMPORTED", 1)[1].split())


@pytest.fixture
def storage(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/study.db"
    with Store.open(url, create=True) as store:
        with_study(store).put_trial(trial(0))
    return url


@pytest.mark.parametrize("command", [("--version",), ("--help",), ("schema",), ("run", "--help")], ids=" ".join)
def test_a_command_that_needs_no_database_imports_nothing_heavy(command: tuple[str, ...]) -> None:
    assert imported_by(*command) == set()


@pytest.mark.slow
def test_a_database_is_listed_without_anything_heavy(storage: str) -> None:
    assert imported_by("list", "--storage", storage) == set()


def test_what_reading_commands_use_imports_nothing_heavy() -> None:
    modules = "dcasearch.cli.storage, dcasearch.cli.printing, dcasearch.analysis.standing, dcasearch.analysis.trust"
    code = (
        f"import sys, {modules}, dcasearch.search.requests; print([m for m in {HEAVY!r} if m in sys.modules], end='')"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]"


@pytest.mark.usefixtures("simulated")
def test_status_imports_nothing_heavy(dcasearch: Command, write_study: Callable[..., Path], tmp_path: Path) -> None:
    study = write_study(storage=f"sqlite:///{tmp_path}/study.db")
    assert dcasearch("run", study).code == 0
    assert imported_by("status", str(study)) == set()


def test_version_and_list(dcasearch: Command, storage: str) -> None:
    assert dcasearch("--version").out.startswith("dcasearch 0.")
    shown = dcasearch("list", "--storage", storage)
    assert shown.code == 0
    assert STUDY in shown.out
    assert "proxy: 1 " in shown.out
    (plain,) = json.loads(dcasearch("list", "--storage", storage, "--json").out)
    assert plain["study"] == STUDY
    assert plain["last_activity"]


def test_shell_completion_is_offered(dcasearch: Command) -> None:
    assert "--install-completion" in dcasearch("--help").out


def test_check_imports_nothing_that_only_a_training_needs(write_study: Callable[..., Path], tmp_path: Path) -> None:
    study = write_study(storage=f"sqlite:///{tmp_path}/study.db")
    assert imported_by("check", str(study)) <= {"torch", "torchvision", "optuna"}
