"""A study of detectors, with pruning, promotion and final trainings, on Ray as in one process; a killed driver too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from dcasearch.analysis.wholeness import broken_invariants, differences, ledger_of
from dcasearch.store import Store
from tests.executors.test_ray_whole_study import command, two_nodes  # noqa: F401  # a fixture

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]
NAME = "detectors"
RECIPE: dict[str, Any] = {"optimizer": "adamw", "lr": 0.001, "batch_size": 4, "augmentation": {"crop": "none"}}
STUDY: dict[str, Any] = {
    "name": NAME,
    "space": {
        "backbone": {"name": "resnet18", "width": 0.125},
        "attention": {"name": "se", "reduction": [4, 8]},
        "connections": {"granularity": "network", "dimensions": {"channel": [True, False]}, "function": "direct"},
    },
    "task": "detection",
    "detector": {"name": "retinanet", "channels": 16, "convolutions": 1, "anchor": 8},
    "data": {"name": "shapes", "workers": 0},
    "sampler": {"name": "random", "seed": 1},
    "baselines": ["vanilla se"],
    "fidelities": [
        {
            "name": "proxy",
            "trials": 4,
            "resolution": 64,
            "epochs": 3,
            "train_fraction": 0.05,
            "recipe": RECIPE,
            "pruner": {"name": "successive_halving", "reduction_factor": 2, "startup": 2},
        },
        {"name": "full", "promote": {"top": 1}, "resolution": 64, "epochs": 2, "train_fraction": 0.1, "recipe": RECIPE},
    ],
    "final": {"seeds": [1000]},
}


def write(folder: Path, executor: dict[str, Any]) -> None:
    folder.mkdir()
    written = {**STUDY, "artifacts": str(folder / "artifacts"), "executor": {"max_concurrent": 1, **executor}}
    (folder / "study.yaml").write_text(yaml.safe_dump(written))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study's database after an undisturbed run in one process."""
    folder = tmp_path_factory.mktemp("alone")
    write(folder / "run", {"name": "local"})
    command("run", "study.yaml", folder=folder / "run", storage=f"sqlite:///{folder}/local.db")
    return folder / "local.db"


def test_detectors_on_ray_are_those_of_one_process(tmp_path: Path, alone: Path, two_nodes: str) -> None:  # noqa: F811  # the fixture
    resources = {level["name"]: {"cpu": 1, "gpu": 0.5} for level in STUDY["fidelities"]}
    write(tmp_path / "ray", {"name": "ray", "address": two_nodes, "resources": resources})
    storage = f"sqlite:///{tmp_path}/ray.db"
    command("run", "study.yaml", folder=tmp_path / "ray", storage=storage)
    same_as(alone, storage)
    standing = json.loads(command("status", NAME, "--json", folder=tmp_path, storage=storage))
    assert {final["name"] for final in standing["finals"]} == {"winner", "vanilla se"}


def test_a_killed_study_of_detectors_ends_as_an_undisturbed_one(tmp_path: Path, alone: Path) -> None:
    write(tmp_path / "killed", {"name": "local"})
    storage = f"sqlite:///{tmp_path}/killed.db"
    line = [sys.executable, "-m", "dcasearch", "run", "study.yaml", "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DCASEARCH_STORAGE": storage}
    for events in (4, 9):
        with subprocess.Popen(
            line, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path / "killed"
        ) as process:
            assert process.stdout is not None
            for seen, _ in enumerate(process.stdout, start=1):
                if seen == events:
                    process.kill()
                    break
    command("run", "study.yaml", folder=tmp_path / "killed", storage=storage)
    same_as(alone, storage)


def same_as(alone: Path, storage: str) -> None:
    with Store.open(f"sqlite:///{alone}") as whole, Store.open(storage) as store:
        assert broken_invariants(store, NAME) == []
        assert differences(ledger_of(whole, NAME), ledger_of(store, NAME)) == []
