"""Every command, as a process, on anything a stranger may hand to it: it ends in a sentence, soon and small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from dcasearch.cli.commands import app
from tests.fuzz.attacks import KINDS, LINES, good_run
from tests.fuzz.measured import Ran, processes
from tests.fuzz.workshop import make_workshop

FORTY = 40
FEW = 5
RUNS = dict.fromkeys(KINDS, FEW) | dict.fromkeys(
    ("documents", "images", "lists", "annotations", "checkpoints", "rows"), FORTY
)
RUNS |= {"specs": FORTY // 2, "weights": FORTY // 2}  # a spec and its weights are one kind
"""Each run takes some seconds; `benchmarks/hostile.py` makes more."""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workshop") / "files"
    folder.mkdir()
    make_workshop(folder)
    return folder


@pytest.fixture(scope="module")
def known() -> dict[tuple[str, ...], Ran]:
    """The good run of each command, once."""
    return {}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_every_command_ends_in_a_sentence_soon_and_small(
    kind: str, workshop: Path, folder: Path, known: dict[tuple[str, ...], Ran]
) -> None:
    attacks = KINDS[kind](workshop)

    @processes(RUNS[kind])
    @given(data=st.data())
    def end_well(data: st.DataObject) -> None:
        attack = data.draw(attacks)
        command = attack.good or attack.command
        if command not in known:
            known[command] = good_run(attack, workshop, folder / "copy")
        attack.check(attack.run(workshop, folder / "copy"), known[command], folder / "copy")

    end_well()


def paths(command: Any, above: str = "") -> list[str]:
    """Return the words of a command, or of each command of a group."""
    below = getattr(command, "commands", None)
    if below is None:
        return [above]
    return [path for name, one in below.items() for path in paths(one, f"{above} {name}".strip())]


def test_no_command_is_left_out() -> None:
    every = paths(typer.main.get_command(app))
    assert "data prepare" in every
    assert [path for path in every if not any(f"{line} ".startswith(f"{path} ") for line in LINES)] == []
