from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dcasearch.cli import main
from tests.support import Simulated


@dataclass(frozen=True)
class Done:
    """What a command ended with."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command runs in a folder of its own, remembers in it, and finds no settings of the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("DCASEARCH_STORAGE", raising=False)
    monkeypatch.setenv("TERM", "dumb")


@pytest.fixture
def dcasearch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["dcasearch", *map(str, arguments)])
        code: Any = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        return Done(code or 0, captured.out, captured.err)

    return run


class SimulatedLocal(Simulated):
    """Takes the place of the LocalExecutor: jobs cost nothing."""

    def __init__(self, *settings: object) -> None:
        super().__init__()

    @contextmanager
    def open(self) -> Iterator[SimulatedLocal]:
        yield self


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `run` train nothing."""
    monkeypatch.setattr("dcasearch.executors.LocalExecutor", SimulatedLocal)
