from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.interpretation.samples import write_spec


def test_the_command_writes_its_three_files(tmp_path: Path, dcasearch: Command) -> None:
    spec = write_spec(tmp_path, "connected", "cbam", function="direct")
    done = dcasearch("contributions", "--spec", spec, "--data", "digits", "--images", 20)
    assert done.code == 0, done.err
    assert sorted(file.name for file in (tmp_path / "contributions").iterdir()) == [
        "contributions.csv",
        "contributions.png",
        "contributions.svg",
    ]
    assert "20 of digits, held-out images of train" in done.out
    svg = (tmp_path / "contributions" / "contributions.svg").read_text()
    assert all(said in svg for said in ("stage 4", "connected, channel", "connected, spatial", "from the weights"))


def test_a_network_without_connections_has_nothing_to_read(tmp_path: Path, dcasearch: Command) -> None:
    done = dcasearch("contributions", "--spec", write_spec(tmp_path, "vanilla"))
    assert done.code == 2
    assert "no network has a connection" in done.err


@pytest.mark.slow
@pytest.mark.usefixtures("simulated")
def test_a_reading_of_a_study_is_in_its_report(
    dcasearch: Command, write_study: Callable[..., Path], tmp_path: Path
) -> None:
    study = write_study(storage=f"sqlite:///{tmp_path}/study.db")
    assert dcasearch("run", study).code == 0
    spec = write_spec(tmp_path, "connected", function="direct")
    assert dcasearch("report", study, "--out", tmp_path / "before").code == 0
    done = dcasearch("contributions", "--spec", spec, "--study", study)
    assert done.code == 0, done.err
    kept = tmp_path / "artifacts" / "interpretation" / "tiny" / "contributions.json"
    assert json.loads(kept.read_text())["numbers"]["connected"][0]["connection"] == 1
    assert dcasearch("report", study, "--out", tmp_path / "after").code == 0
    before, after = ((tmp_path / folder / "report.html").read_text() for folder in ("before", "after"))
    shown = ("What the connections contribute", "layer4.1", "the paper&#39;s claims on its Figure 5 do not apply")
    assert not any(words in before for words in shown)
    assert all(words in after for words in shown)
