from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcasearch.chaos import Settings, Verdict
from dcasearch.chaos.verdict import Check
from tests.cli.conftest import Command

Write = Callable[..., Path]
WHOLE = Verdict(
    meaning="equal",
    explanation="one worker: everything equals",
    drivers=3,
    workers=2,
    seconds=100.0,
    checks=(Check("every number once", ()), Check("equal to the undisturbed run", ())),
)
BROKEN = Verdict(
    meaning="invariants",
    explanation="2 workers: this and that",
    drivers=1,
    workers=0,
    seconds=100.0,
    checks=(Check("every number once", ("proxy trial 3: missing in our tables", "proxy trial 4: left running")),),
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A campaign that is over at once, with the verdict under `verdict`; what it was asked is kept."""
    seen: dict[str, Any] = {"verdict": WHOLE}

    def cause(loaded: Any, settings: Settings, folder: Path, audience: Any) -> Verdict:
        folder.mkdir(exist_ok=True)
        (folder / "copy").touch()
        seen.update(settings=settings, folder=folder)
        audience.say("kill 1/1: driver")
        audience.show("now")
        verdict: Verdict = seen["verdict"]
        return verdict

    monkeypatch.setattr("dcasearch.chaos.chaos", cause)
    return seen


def test_a_whole_study_ends_with_0_and_says_which_meaning_was_tested(
    dcasearch: Command, write_study: Write, asked: dict[str, Any]
) -> None:
    done = dcasearch("chaos", write_study())
    assert done.code == 0
    assert "kill 1/1: driver" in done.out
    assert "Tested: equal. One worker: everything equals." in done.out
    assert "Not compared: retries (a kill of a worker costs its trial one; the copy has 1,000)" in done.out
    assert "whole, after 3 kills of the driver and 2 of a worker" in done.out
    assert not asked["folder"].exists()


def test_a_broken_study_ends_with_1_lists_what_is_wrong_and_leaves_the_copies(
    dcasearch: Command, write_study: Write, asked: dict[str, Any]
) -> None:
    asked["verdict"] = BROKEN
    done = dcasearch("chaos", write_study())
    assert done.code == 1
    assert "2 PROBLEMS" in done.out
    assert "proxy trial 3: missing in our tables" in done.out
    assert "proxy trial 4: left running" in done.out
    assert f"NOT whole; the copies are in {asked['folder']}" in done.err
    assert asked["folder"].exists()


def test_options_arrive_and_a_folder_to_keep_is_kept(
    dcasearch: Command, write_study: Write, asked: dict[str, Any], tmp_path: Path
) -> None:
    options = "--kills 3 --seed 5 --executor ray --concurrent 4 --workers 0.25 --sample 1 --storage sqlite:///new.db"
    done = dcasearch("chaos", write_study(), *options.split(), "--keep", tmp_path / "kept")
    assert done.code == 0
    assert asked["settings"] == Settings(
        kills=3, seed=5, executor="ray", concurrent=4, workers=0.25, sample=1, storage="sqlite:///new.db"
    )
    assert (tmp_path / "kept" / "copy").exists()


def test_a_folder_that_is_not_empty_is_not_written_to(
    dcasearch: Command, write_study: Write, asked: dict[str, Any], tmp_path: Path
) -> None:
    file = write_study()
    done = dcasearch("chaos", file, "--keep", tmp_path)
    assert done.code == 2
    assert "is not empty" in done.err
    assert "settings" not in asked


def test_a_database_that_holds_something_is_not_touched(dcasearch: Command, write_study: Write, tmp_path: Path) -> None:
    (tmp_path / "mine.db").write_text("mine")
    done = dcasearch("chaos", write_study(), "--storage", f"sqlite:///{tmp_path}/mine.db")
    assert done.code == 2
    assert "is not empty; chaos needs a database of its own" in done.err
    assert (tmp_path / "mine.db").read_text() == "mine"


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, ["--executor", "rya"], "did you mean 'ray'?"),
        ({"storage": "${NOT_SET_ANYWHERE}"}, [], "not set: NOT_SET_ANYWHERE"),
    ],
)
def test_what_cannot_be_run_is_refused(
    changes: dict[str, Any], options: list[str], message: str, dcasearch: Command, write_study: Write
) -> None:
    done = dcasearch("chaos", write_study(**changes), *options)
    assert done.code == 2
    assert message in done.err
