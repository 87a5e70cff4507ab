from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dcasearch.store import Store
from tests.dashboard.support import run_study


@pytest.fixture(scope="session")
def ended_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a study that has ended, with a trial of every state; not to be written to."""
    folder = tmp_path_factory.mktemp("dashboard")
    run_study(folder).close()
    return folder / "study.db"


@pytest.fixture(scope="session")
def ended(ended_file: Path) -> Iterator[Store]:
    """The same, opened; not to be written to."""
    with Store.open(f"sqlite:///{ended_file}") as store:
        yield store


@pytest.fixture
def copied(ended_file: Path, tmp_path: Path) -> Iterator[Store]:
    """A copy of it that a test may write to."""
    shutil.copy(ended_file, tmp_path / "study.db")
    with Store.open(f"sqlite:///{tmp_path}/study.db") as store:
        yield store
