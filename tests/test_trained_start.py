"""A whole study that starts from a weights file: run, resumed, changed, exported, verified, measured."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dcasearch.analysis.wholeness import differences, ledger_of
from dcasearch.artifacts import open_artifacts
from dcasearch.config.study import Executor
from dcasearch.errors import StudyChanged
from dcasearch.executors.inline import InlineExecutor
from dcasearch.export import evaluate, export_winner, load_spec, verify
from dcasearch.space import load_study
from dcasearch.store import Store
from dcasearch.study import run
from tests.models.weights import SMALL, safe, values_of
from tests.space.test_loaded_study import write_study

SPACE: dict[str, Any] = {
    "backbone": SMALL,
    "attention": {"name": "se"},
    "connections": {"topology": ["chain", "dense"]},
}
HALF: dict[str, Any] = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic"}
RECIPE: dict[str, Any] = {"lr": 0.01, "batch_size": 16, "augmentation": {"crop": "pad"}}


def started(folder: Path, **said: Any) -> Path:
    """Write a study of one trial whose fidelity starts from `w.safetensors`."""
    level = {"name": "proxy", "trials": 1, "resolution": 16, "epochs": 1, "train_fraction": 0.05, "recipe": RECIPE}
    start = {"weights": str(folder / "w.safetensors"), **HALF, **said}
    return write_study(
        folder,
        space=SPACE,
        fidelities=[{**level, "initialize": start}],
        baselines=["plain", "vanilla se"],
        final={"seeds": [7]},
        storage=f"sqlite:///{folder}/study.db",
        artifacts=str(folder / "artifacts"),
    )


def ran(path: Path) -> list[str]:
    """Run a study; return its events' kinds and notes."""
    loaded = load_study(path)
    said: list[str] = []
    executor = InlineExecutor(open_artifacts(loaded.study.artifacts), threads=1)
    run(loaded, executor=executor, observe=lambda event: said.append(f"{event.kind} {event.message}"))
    return said


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that has ended, with its spec `best.yaml`."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "w.safetensors").write_bytes(safe(values_of()))
    said = ran(started(folder))
    assert "note the classifier is drawn: 20 classes in the file, 10 in the data" in said
    with Store.open(f"sqlite:///{folder}/study.db") as store:
        export_winner(store, "tiny", folder / "best.yaml")
    return folder


def test_the_file_lies_in_the_artifact_store_and_its_sha256_in_the_spec(done: Path) -> None:
    digest = hashlib.sha256((done / "w.safetensors").read_bytes()).hexdigest()
    assert (done / "artifacts" / "starts" / digest).is_file()
    provenance = load_spec(done / "best.yaml").provenance
    assert provenance["started_from_sha256"] == digest
    assert (provenance["started_from"], provenance["started_classifier"]) == ("w.safetensors", "drawn")


@pytest.mark.slow
def test_the_spec_says_how_images_are_prepared_and_verify_and_evaluate_prepare_them_so(done: Path) -> None:
    spec = load_spec(done / "best.yaml")
    assert spec.preprocessing is not None
    assert spec.preprocessing.mean == spec.preprocessing.std == (0.5, 0.5, 0.5)
    assert spec.preprocessing.steps[0].interpolation == "bicubic"
    checks = verify(done / "best.yaml")
    assert [check.name for check in checks if check.ok is not True] == []
    measured = evaluate(done / "best.yaml", "digits", split="test", device="cpu")
    assert spec.measured is not None
    assert measured.values["top1"] == spec.measured.value


def test_the_same_command_trains_nothing_again(done: Path) -> None:
    assert not [event for event in ran(started(done)) if event.startswith("epoch")]


def test_another_file_under_its_name_is_another_study(done: Path) -> None:
    file = done / "w.safetensors"
    before = file.read_bytes()
    file.write_bytes(safe(values_of(seed=6)))
    try:
        with pytest.raises(StudyChanged, match=r"fidelities\.proxy\.initialize: .*sha256"):
            ran(started(done))
    finally:
        file.write_bytes(before)


def test_the_file_may_move(done: Path) -> None:
    (done / "elsewhere.safetensors").write_bytes((done / "w.safetensors").read_bytes())
    moved = started(done, weights=str(done / "elsewhere.safetensors"))
    assert not [event for event in ran(moved) if event.startswith("epoch")]


@pytest.mark.slow
def test_an_exported_spec_is_a_start_too(done: Path, tmp_path: Path) -> None:
    said = ran(started(tmp_path, weights=str(done / "best.yaml"), mean=None, std=None, interpolation=None))
    assert any("the exported network answers as its spec says" in line for line in said)
    assert "note the classifier is kept: the file and the data have 10 classes" in said


@pytest.mark.ray
@pytest.mark.slow
def test_on_ray_a_study_starts_from_the_very_same_file(done: Path, tmp_path: Path) -> None:
    from dcasearch.executors.ray import RayExecutor, connected

    (tmp_path / "w.safetensors").write_bytes(safe(values_of()))
    loaded = load_study(started(tmp_path))
    with connected(None):
        run(loaded, executor=RayExecutor(loaded.study.artifacts, Executor(name="ray", max_concurrent=1)))
    with Store.open(f"sqlite:///{done}/study.db") as here, Store.open(f"sqlite:///{tmp_path}/study.db") as on_ray:
        assert differences(ledger_of(here, "tiny"), ledger_of(on_ray, "tiny")) == []


@pytest.mark.slow
def test_vanilla_parents_start_from_the_file_and_their_children_from_them(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(safe(values_of()))
    ran(started(tmp_path, name="vanilla"))
    with Store.open(f"sqlite:///{tmp_path}/study.db") as store:
        parents = [role for role in store.roles("tiny") if role.role == "parent"]
        assert {role.name for role in parents} >= {"vanilla se"}
        records = [store.evaluation(role.evaluation) for role in parents if role.evaluation is not None]
        assert all(record.provenance["started_from"] == "w.safetensors" for record in records)
        children = [role for role in store.roles("tiny") if role.role == "final" and role.evaluation is not None]
        child = store.evaluation(children[0].evaluation or "")
        assert "started_from" not in child.provenance
    assert all(torch.isfinite(value).all() for value in load_file(tmp_path / "artifacts" / str(child.weights)).values())
