"""The seam between a session and an assignment is proven by a second task: the session is not touched for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from dcasearch.config.study import Study
from dcasearch.metrics import METRICS, TASKS
from dcasearch.training import Session
from tests.config.support import read
from tests.support import SPACE
from tests.training.support import curve, make_assignment, run
from tests.training.tasks import regression

ROOT = Path(__file__).parents[3]
STUDY: dict[str, Any] = {
    "name": "numbers",
    "task": "regression",
    "space": {**SPACE, "backbone": {"name": "mobilenet_v2", "width": 0.25, "stem": "small"}},
    "data": {"name": "digits"},
    "sampler": {"name": "random"},
    "baselines": ["plain"],
    "fidelities": [
        {
            "name": "proxy",
            "trials": 2,
            "resolution": 16,
            "epochs": 6,
            "train_fraction": 0.3,
            "recipe": {"batch_size": 32, "lr": 0.01, "bn_momentum": 0.1, "clip_norm": 1.0},
        }
    ],
}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS._entries, "mae", regression.ERROR)
    monkeypatch.setitem(TASKS._entries, "regression", regression.REGRESSION)


@pytest.mark.usefixtures("known")
def test_an_interrupted_training_of_a_second_task_ends_with_equal_values(tmp_path: Path) -> None:
    assignment = make_assignment(recipe={"lr": 0.01, "clip_norm": 1.0}, task="regression")
    whole = run(assignment, tmp_path / "whole")
    assert whole.last.values.keys() == {"mae"}
    assert whole.last.values["mae"] < whole.history[0].values["mae"]
    for _ in range(2):
        Session(assignment, artifacts=tmp_path / "other", threads=1, device="cpu").next()
    resumed = run(assignment, tmp_path / "other")
    assert curve(resumed) == curve(whole)
    assert resumed.weights_sha256 == whole.weights_sha256
    assert assignment.key != make_assignment(recipe={"lr": 0.01, "clip_norm": 1.0}).key


@pytest.mark.usefixtures("known")
def test_a_study_of_a_second_task_is_led_by_that_tasks_headline() -> None:
    study = Study.model_validate(STUDY)
    assert study.objectives == {"mae": "minimize"}
    assert study.fidelities[0].pruner.metric == "mae"
    assert Study.model_validate_json(study.model_dump_json()) == study


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"objectives": {"top1": "maximize"}},
            "objectives.top1: is not measured by task regression; Known: mae.",
        ),
        ({"objectives": {"params": "minimize"}}, "objectives: need at least one measured metric: mae"),
        ({"objectives": {"mae": "maximize"}}, "maximize would look for the worst; write mae: minimize"),
        ({"task": "regresion"}, "'regresion' is not allowed; did you mean 'regression'?"),
    ],
)
def test_a_metric_of_another_task_is_an_error_at_its_place(changes: dict[str, Any], message: str) -> None:
    _, [said] = read({**STUDY, **changes})
    assert message in said


@pytest.mark.slow
def test_a_study_of_a_second_task_is_run_killed_resumed_shown_and_exported(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(STUDY))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(tmp_path / "state")}
    environment["DCASEARCH_STORAGE"] = f"sqlite:///{tmp_path}/study.db"
    command = [sys.executable, regression.__file__]

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    with subprocess.Popen(
        [*command, "run", str(file)], stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if "proxy trial 1 epoch 2/6" in line:
                first.kill()
    said = call("run", str(file))
    assert "goes on from its checkpoint" in said
    assert "absolute error" in said
    shown = call("status", "numbers")
    assert "absolute error" in shown
    assert "top-1" not in shown
    [fidelity] = json.loads(call("status", "numbers", "--json"))["fidelities"]
    assert fidelity["leader"]["mae"][0] == min(trial["values"][0] for trial in fidelity["trials"])
    assert "best.yaml" in call("export", "numbers", "--out", "best.yaml")
    spec = yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert (spec["task"], spec["num_classes"]) == ("regression", 1)
