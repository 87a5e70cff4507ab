"""docs/own_images.md: every command in it is run, in its order, on images that the test draws."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import pytest

from dcasearch.proposal import machine, plan
from tests.cli.conftest import Command, dcasearch
from tests.models.weights import safe, values_of
from tests.proposal.conftest import write_pictures

__all__ = ["dcasearch"]

PAGE = Path(__file__).parents[1] / "docs" / "own_images.md"


def documented() -> list[list[str]]:
    """The commands of the page, without the program's name."""
    blocks = re.findall(r"^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    commands = [shlex.split(line, comments=True) for line in lines]
    assert all(command[0] == "dcasearch" for command in commands)
    return [command[1:] for command in commands]


def test_three_commands_lead_from_a_folder_to_predictions() -> None:
    assert [command[0] for command in documented()[:3]] == ["init", "run", "predict"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_of_the_page_does_what_it_says(
    dcasearch: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("DCASEARCH_STORAGE", raising=False)
    monkeypatch.setattr(machine, "_SECONDS", 0.01)
    # The same study with fewer trainings, each shorter: minutes become seconds.
    monkeypatch.setattr(plan, "_EPOCHS", 2)
    monkeypatch.setattr(plan, "_LEAST_EPOCHS", 1)
    monkeypatch.setattr(plan, "_TRIALS", (4, 4))
    monkeypatch.setattr(plan, "_SPLITS", 2)
    write_pictures(tmp_path / "photos", {"cat": 16, "dog": 14})
    (tmp_path / "mobilenet_v2.safetensors").write_bytes(safe(values_of({"name": "mobilenet_v2"})))
    for command in documented():
        done = dcasearch(*command)
        assert done.code == 0, f"{' '.join(command)}\n{done.out}\n{done.err}"
        assert "warning" not in done.out
    with (tmp_path / "predictions.csv").open() as written:
        predicted = list(csv.DictReader(written))
    images = {str(path.relative_to(tmp_path)) for path in (tmp_path / "photos").rglob("*.jpg")}
    assert {row["image"] for row in predicted} == images
    assert {row["class"] for row in predicted} == {"cat", "dog"}
    assert (tmp_path / "report" / "report.html").is_file()
    assert {path.name for path in (tmp_path / "seen").iterdir()} >= {"classes.csv", "confusion.png", "predictions.csv"}
