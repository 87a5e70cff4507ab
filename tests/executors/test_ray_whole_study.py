"""A study with scores, parents, a race and final trainings, on a real Ray cluster and a real PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dcasearch.analysis.wholeness import broken_invariants, differences, ledger_of
from dcasearch.store import Store
from dcasearch.trial import State
from tests.postgres import running_server
from tests.support import SPACE

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(1200)]  # two minutes where nothing else runs
NAME = "whole"
RECIPE: dict[str, Any] = {"batch_size": 32, "lr": 0.05, "bn_momentum": 0.1}
TRAINED: dict[str, Any] = {"resolution": 16, "train_fraction": 0.1, "recipe": RECIPE}
STUDY: dict[str, Any] = {
    "name": NAME,
    "space": {
        "backbone": {"name": "mobilenet_v2", "width": 0.1, "stem": "small"},
        "attention": {"name": "se", "reduction": [4, 8]},
        "connections": {**SPACE["connections"], "function": ["direct", "weighted"]},
    },
    "data": {"name": "digits"},
    "sampler": {"name": "random", "seed": 1},
    "baselines": ["plain", "vanilla se"],
    "fidelities": [
        {
            "name": "zero",
            "kind": "zero_cost",
            "score": "grad_norm",
            "batches": 2,
            "trials": 6,
            "resolution": 16,
            "recipe": {"batch_size": 32},
        },
        {
            "name": "proxy",
            "promote": {"top": 4, "random": 1},
            "epochs": 2,
            "initialize": {"name": "vanilla", "epochs": 3},
            **TRAINED,
        },
        {"name": "last", "promote": {"top": 2, "random": 1, "race": {"max_seeds": 3}}, "epochs": 3, **TRAINED},
    ],
    "final": {"seeds": [1000]},
}


def command(*words: str, folder: Path, storage: str) -> str:
    """Run a command to its end and return what it printed."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "DCASEARCH_STORAGE": storage,
    }
    line = [sys.executable, "-m", "dcasearch", *words]
    done = subprocess.run(line, capture_output=True, text=True, timeout=600, env=environment, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(folder: Path, storage: str, executor: dict[str, Any]) -> list[dict[str, Any]]:
    """Run the study in a folder of its own and return its events."""
    folder.mkdir()
    written = {**STUDY, "artifacts": str(folder / "artifacts"), "executor": {"max_concurrent": 1, **executor}}
    (folder / "study.yaml").write_text("# everything at once\n" + yaml.safe_dump(written))
    shown = command("run", "study.yaml", "--json", folder=folder, storage=storage)
    return [json.loads(event) for event in shown.splitlines()]


@pytest.fixture
def postgresql() -> Iterator[str]:
    with running_server() as server:
        yield server.new_database()


@pytest.fixture
def two_nodes() -> Iterator[str]:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        cluster.add_node(num_cpus=1, num_gpus=1)
    yield str(cluster.address)
    cluster.shutdown()


def test_scores_parents_a_race_and_finals_on_ray_and_postgresql_are_those_of_one_process_and_all_stored(
    tmp_path: Path, postgresql: str, two_nodes: str
) -> None:
    sqlite = f"sqlite:///{tmp_path}/local.db"
    run(tmp_path / "local", sqlite, {"name": "local"})
    resources = {level["name"]: {"cpu": 1, "gpu": 0.5} for level in STUDY["fidelities"]}
    events = run(tmp_path / "ray", postgresql, {"name": "ray", "address": two_nodes, "resources": resources})
    assert not [event for event in events if event["event"] in ("failed", "lost")]
    with Store.open(sqlite) as alone, Store.open(postgresql) as store:
        assert broken_invariants(store, NAME) == []
        assert differences(ledger_of(alone, NAME), ledger_of(store, NAME)) == []
        every_score_is_stored(store)
        spent = seconds_with_parents(store)
    stands = status(tmp_path, postgresql)
    assert stands["seconds"] == pytest.approx(spent)
    everyone_has_raced(stands["fidelities"][2])
    assert stands["winner"] is not None
    assert {final["name"] for final in stands["finals"]} == {"winner", "plain", "vanilla se"}
    assert without_time(stands) == without_time(status(tmp_path, sqlite))


def status(folder: Path, storage: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(command("status", NAME, "--json", folder=folder, storage=storage))
    return shown


def without_time(shown: dict[str, Any]) -> dict[str, Any]:
    """All that `status` says and no clock or machine had a part in."""
    for fidelity in shown["fidelities"]:
        for trial in fidelity["trials"]:
            assert trial.pop("retries") == 0
    answers = shown["story"]["answers"]
    assert [answer.pop("answer") != "" for answer in answers if answer["question"] == "What did it cost?"] == [True]
    return {key: value for key, value in shown.items() if key not in ("seconds", "last_run")}


def every_score_is_stored(store: Store) -> None:
    complete = [trial for trial in store.trials(NAME, "zero") if trial.state is State.COMPLETE]
    assert len(complete) == 6
    for trial in complete:
        record = store.evaluation(trial.evaluation or "")
        assert (record.last.values["score"],) == trial.values


def seconds_with_parents(store: Store) -> float:
    """Seconds of every training of the study once, those of the parents among them."""
    roles = store.roles(NAME)
    parents = [role.evaluation for role in roles if role.role == "parent"]
    assert len(set(parents)) == len(parents) >= 3  # of plain, and of SE with either reduction
    ids = {trial.evaluation for trial in store.trials(NAME)} | {role.evaluation for role in roles}
    records = store.evaluations(id for id in ids if id is not None)
    assert all(records[id or ""].seconds > 0 for id in parents)
    return sum(record.seconds for record in records.values())


def everyone_has_raced(last: dict[str, Any]) -> None:
    race = last["race"]
    assert race["over"]
    assert race["looked_after"] in (2, 3)
    assert len(race["candidates"]) == 3
    assert all(candidate["seeds"][:2] == [1, 2] for candidate in race["candidates"])
    raced = sum(len(candidate["trials"]) for candidate in race["candidates"])
    assert raced == len(last["trials"])
