"""`logs` tells of one trial what the database knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.errors import TrialFailure
from dcasearch.search.retrying import take_up_again
from dcasearch.space import load_study
from dcasearch.store import Store
from tests.support import Simulated

Command = Callable[..., Any]


@pytest.fixture
def study(tmp_path: Path, write_study: Callable[..., Path]) -> Path:
    """A study whose trial 1 failed and was taken up again."""
    url = f"sqlite:///{tmp_path}/study.db"
    levels = [
        {"name": "proxy", "trials": 3, "resolution": 16, "epochs": 2},
        {"name": "full", "promote": {"top": 1}, "resolution": 16, "epochs": 3},
    ]
    path = write_study(storage=url, fidelities=levels)
    failing = Simulated(fail=lambda job: TrialFailure("oom", "CUDA ran out") if job.number == 1 else None)
    with Store.open(url, create=True) as store:
        study_room.run(load_study(path), store, failing)
        take_up_again(load_study(path).study, store, ("oom",))
        study_room.run(load_study(path), store, Simulated())
    return path


def test_a_complete_trial_is_told_epoch_by_epoch(dcasearch: Command, study: Path) -> None:
    said = dcasearch("logs", str(study), "2", "--fidelity", "proxy")
    assert (said.code, said.err) == (0, "")
    assert "proxy trial 2: complete" in said.out
    assert "drawn 20" in said.out
    assert ", ended 20" in said.out
    lines = said.out.splitlines()
    head = next(n for n, line in enumerate(lines) if line.startswith("epoch"))
    assert [line.split()[0] for line in lines[head + 1 :]] == ["1", "2"]


def test_a_failure_is_told_with_what_took_it_up_again(dcasearch: Command, study: Path) -> None:
    said = dcasearch("logs", str(study), "1", "--fidelity", "proxy").out
    assert "proxy trial 1: failed (oom): CUDA ran out" in said
    assert "taken up again as trial 3: complete" in said
    assert "Only the last failure of a trial is stored" in said
    assert "no record of a training is stored" in said
    assert "takes up trial 1 again: failed (oom): CUDA ran out" in dcasearch("logs", str(study), "3").out


def test_json_holds_the_same_story(dcasearch: Command, study: Path) -> None:
    told = json.loads(dcasearch("logs", str(study), "3", "--json").out)
    assert (told["state"], told["retry_of"], told["retried_as"]) == ("complete", 1, [])
    assert [epoch["epoch"] for epoch in told["record"]["epochs"]] == [1, 2]
    failed = json.loads(dcasearch("logs", str(study), "1", "--fidelity", "proxy", "--json").out)
    assert (failed["failure"], failed["retried_as"], failed["record"]) == ("oom", [3], None)


def test_a_trial_that_is_not_there_or_not_the_only_one_is_refused(dcasearch: Command, study: Path) -> None:
    missing = dcasearch("logs", str(study), "99")
    assert missing.code == 2
    assert "has no trial 99; trials by fidelity: " in missing.err
    assert "proxy: 4" in missing.err
    several = dcasearch("logs", str(study), "0")
    assert several.code == 2
    assert "trial 0 is in full and proxy: say which with --fidelity" in several.err
