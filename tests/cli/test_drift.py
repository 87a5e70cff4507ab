from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.interpretation.samples import write_spec

pytest.importorskip("captum")


def test_the_command_writes_figure_and_numbers(tmp_path: Path, dcasearch: Command) -> None:
    specs = [write_spec(tmp_path, "connected", "cbam", function="learned"), write_spec(tmp_path, "vanilla", "cbam")]
    arguments = [*("--spec", specs[0], "--spec", specs[1]), *("--images", 12, "--json", tmp_path / "drift.json")]
    done = dcasearch("drift", *arguments, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["drift.png", "drift.svg"]
    written = json.loads((tmp_path / "drift.json").read_text())
    assert {(n["network"], n["variant"]) for n in written["numbers"]["networks"]} == {
        ("connected", "trained"),
        ("connected", "untrained"),
        ("connected", "untrained, trained coefficients"),
        ("vanilla", "trained"),
        ("vanilla", "untrained"),
    }
    labels = {mean["label"] for mean in written["numbers"]["differences"]}
    assert "connected − vanilla" in labels
    assert written["provenance"]["seed of the untrained networks"] == "0"
    assert "no CKA is told of 12 images" in done.out
