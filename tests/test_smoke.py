"""A study taken through every stage on made-up images: `dcasearch run STUDY --smoke`."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcasearch.config.data_set import DataPreprocessing
from dcasearch.data import describe
from dcasearch.smoke import BATCH, NOT_TESTED, shrunk, smoke, untested
from dcasearch.space import LoadedStudy, load_study, read_space
from tests.models.weights import safe, values_of
from tests.support import make_study

ROOT = Path(__file__).parents[1]
SMALL = {
    "backbone": {"name": "mobilenet_v2", "width": 0.1, "stem": "small"},
    "attention": {"name": "se", "reduction": 4},
    "connections": {"function": ["direct", "softmax"]},
}
LEVELS = [
    {"name": "proxy", "trials": 50, "resolution": 16, "epochs": 30, "pruner": {"name": "median"}},
    {"name": "full", "promote": {"top": 5, "random": 2, "race": {}}, "resolution": 32, "epochs": 100},
]


@pytest.mark.parametrize("file", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_shipped_study_shrinks_and_keeps_its_stages_and_resolutions(file: Path, tmp_path: Path) -> None:
    study = load_study(file, {}).study
    small = shrunk(study, tmp_path)
    assert [level.name for level in small.fidelities] == [level.name for level in study.fidelities]
    assert [level.resolution for level in small.fidelities] == [level.resolution for level in study.fidelities]
    assert {level.epochs for level in small.fidelities} == {1}
    assert {level.recipe.batch_size for level in small.fidelities} == {BATCH}
    assert small.task == study.task
    assert describe(small.data).train_images > 0


def test_parents_of_a_fine_tuned_study_keep_a_recipe_of_their_own(tmp_path: Path) -> None:
    """The study's own would keep statistics of random parameters."""
    start = {"name": "vanilla", "epochs": 30, "recipe": {"lr": 0.1, "bn_momentum": 0.3}}
    level = {"name": "proxy", "trials": 2, "resolution": 16, "epochs": 9, "recipe": {"batchnorm": "kept"}}
    [small] = shrunk(make_study(space=SMALL, fidelities=[{**level, "initialize": start}]), tmp_path).fidelities
    assert small.parent is not None
    assert (small.parent.epochs, small.parent.recipe.bn_momentum, small.parent.recipe.batchnorm) == (1, 0.3, "trained")
    assert (small.recipe.batchnorm, small.parent.recipe.batch_size) == ("kept", BATCH)


@pytest.mark.slow
def test_a_study_passes_every_stage_and_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    study = make_study(
        space=SMALL, fidelities=LEVELS, data={"name": "cifar10", "root": "nowhere"}, final={"seeds": [7]}
    )
    stages: list[str] = []
    loaded = LoadedStudy(study, read_space(study.space), tmp_path / "study.yaml", frozenset())
    smoke(loaded, stage=lambda name, seconds: stages.append(name))
    assert stages == ["made-up data", "baselines, trials, promotion, final trainings", "export", "verify"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["weights", "vanilla"])
def test_a_study_that_starts_from_a_weights_file_is_tried_with_it(tmp_path: Path, name: str) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(safe(values_of({**SMALL["backbone"]})))
    half = DataPreprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    level = {"name": "proxy", "trials": 50, "resolution": 16, "epochs": 30}
    space = {**SMALL, "connections": {"topology": ["chain", "dense"]}}
    study = make_study(
        space=space,
        fidelities=[{**level, "initialize": {"name": name, "weights": str(file)}}],
        data={"name": "digits", "preprocessing": half.model_dump()},
    )
    assert untested(study) == NOT_TESTED
    assert shrunk(study, tmp_path / "small").data.preprocessing == half
    stages: list[str] = []
    notes: list[str] = []
    loaded = LoadedStudy(study, read_space(study.space), tmp_path / "study.yaml", frozenset())
    smoke(
        loaded,
        stage=lambda name, seconds: stages.append(name),
        observe=lambda event: notes.append(event.message) if event.kind == "note" else None,
    )
    assert stages[-1] == "verify"
    assert "the classifier is drawn: 20 classes in the file, 2 in the data" in notes


@pytest.mark.parametrize(("name", "begins"), [("weights", "scratch"), ("vanilla", "vanilla")])
def test_a_weights_file_that_is_not_here_is_left_out_and_said(tmp_path: Path, name: str, begins: str) -> None:
    level = {"name": "proxy", "trials": 50, "resolution": 16, "epochs": 30}
    file = str(tmp_path / "none.pth")
    study = make_study(space=SMALL, fidelities=[{**level, "initialize": {"name": name, "weights": file}}])
    assert untested(study)[-1] == f"the start from {file}, which is not on this machine"
    start = shrunk(study, tmp_path).fidelities[0].initialize
    assert (start.name, start.weights) == (begins, None)
