"""`dcasearch replay`: what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dcasearch.cli.replay import replay
from dcasearch.errors import UserError
from tests.replay.support import write_table


@pytest.mark.slow
def test_replay_prints_predictors_searchers_and_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write_table(tmp_path / "small.jsonl")
    replay(table, replays=1, processes=1, aim=0.1)
    said = capsys.readouterr().out
    assert "6 architectures, truth of 2 seeds" in said
    assert "another seed against a seed" in said
    assert "most parameters" in said
    assert "cost to 0.1 / training all of them" in said


@pytest.mark.slow
def test_replay_as_json_is_one_object_on_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write_table(tmp_path / "small.jsonl")
    replay(table, replays=1, processes=1, aim=0.1, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert {"predictors", "results", "ratios", "aim", "reliability"} <= told.keys()


def test_a_study_without_a_database_is_told_how_to_get_one(tmp_path: Path) -> None:
    study = Path(__file__).parents[2] / "studies" / "quickstart.yaml"
    with pytest.raises(UserError, match="run"):
        replay(study, storage=f"sqlite:///{tmp_path / 'none.db'}", replays=1, processes=1, aim=0.1)
