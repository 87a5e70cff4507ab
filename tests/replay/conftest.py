"""The table that every module of these tests replays on."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcasearch.replay.table import Table, read_table
from tests.replay.support import write_table


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("table") / "small.jsonl")


@pytest.fixture
def table(file: Path) -> Table:
    return read_table(file)
