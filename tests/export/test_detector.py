"""A detector's spec: written, loaded, verified in a new process, measured, and the start of another training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from dcasearch.ablation.plan import Protocol
from dcasearch.ablation.plan import plan as plan_ablation
from dcasearch.ablation.variants import variants_of
from dcasearch.config.starts import read_start, start_of
from dcasearch.data import describe
from dcasearch.errors import UserError
from dcasearch.export import Candidate, Exported, Spec, evaluate, export, load_model, verify
from dcasearch.export.evaluating import examine
from dcasearch.export.spec import load_spec
from dcasearch.full_training.plan import Wishes, plan
from dcasearch.interpretation.measured import detections_sheet
from dcasearch.models import cost
from tests.config.support import read as read_written
from tests.training.support import run
from tests.training.tasks.test_detection import CASCADE, RETINANET, SIDE, assignment

DETECTORS = [pytest.param(RETINANET, id="retinanet"), pytest.param(CASCADE, id="cascade_rcnn")]


@pytest.fixture(scope="module", params=DETECTORS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained and exported detector."""
    folder = tmp_path_factory.mktemp("exported")
    wanted = assignment(request.param, epochs=1, train_fraction=0.02)
    evaluation = run(wanted, folder)
    export(
        folder / "best.yaml",
        Exported(
            architecture=wanted.architecture,
            num_classes=3,
            resolution=SIDE,
            cost=cost(wanted.architecture, SIDE, 3),
            evaluation=evaluation,
            data=wanted.data,
            source=describe(wanted.data).source,
            task=wanted.task,
            detector=wanted.detector,
            fidelity=wanted.fidelity,
        ),
        artifacts=folder,
        winner=[Candidate("winner", "proxy", evaluation)],
        baselines=[],
        provenance={},
    )
    return folder / "best.yaml"


def test_a_spec_says_which_detector_and_no_preprocessing(made: Path) -> None:
    spec = load_spec(made)
    assert spec.task == "detection"
    assert spec.detector in (RETINANET, CASCADE)
    assert (spec.class_names, spec.preprocessing) == (("circle", "square", "star"), None)
    assert Spec.model_validate(yaml.safe_load(made.read_text())) == spec


def test_a_loaded_detector_finds_boxes_in_images_of_any_size(made: Path) -> None:
    detector = load_model(made)
    assert not detector.training
    with torch.no_grad():
        found = detector([torch.rand(3, 50, 80), torch.rand(3, 90, 40)])
    assert [set(one) for one in found] == [{"boxes", "scores", "labels"}] * 2


@pytest.mark.slow
def test_a_detector_verifies_in_a_new_process(made: Path) -> None:
    checks = {check.name: check for check in verify(made)}
    assert all(check.ok for check in checks.values()), checks
    assert {"id", "logits", "AP on shapes_boxes (search)"} <= checks.keys()


def test_a_detector_is_measured_on_the_test_images(made: Path) -> None:
    measured = evaluate(made, "shapes_boxes", split="test")
    assert measured.images == 100
    assert {"ap", "ap50", "ar100"} <= measured.values.keys()


def test_what_a_detector_found_is_drawn_and_each_class_has_its_precision(made: Path) -> None:
    seen = examine(made, "shapes_boxes", split="test")
    assert seen.of_classes.keys() == {"circle", "square", "star"}
    assert np.mean(list(seen.of_classes.values())) == pytest.approx(seen.measurement.values["ap"])
    assert len(seen.detections) == 100
    sheet = detections_sheet(seen)
    assert sheet is not None
    assert sheet.height > 4 * 336


def test_other_weights_of_the_heads_do_not_verify(made: Path) -> None:
    from dcasearch.config.probe import TOLERANCE
    from dcasearch.export.model_files import task_of
    from dcasearch.models.probe import ask, difference

    spec, detector = load_spec(made), load_model(made)
    expected = ask(detector, SIDE, answers=task_of(spec).answers)
    with torch.no_grad():
        *_, last = detector.parameters()
        last.add_(1.0)
    assert difference(expected, ask(detector, SIDE, answers=task_of(spec).answers)) > TOLERANCE


def test_a_specs_weights_are_a_start_for_its_architecture_alone(made: Path) -> None:
    spec = load_spec(made)
    start = start_of([str(made)], spec.id)
    assert start == read_start(str(made))
    assert (start.weights, start.sha256) == (str(made.with_suffix(".safetensors")), spec.weights.sha256)
    with pytest.raises(UserError, match=f"no exported spec is of the network 0000; there are {spec.id}"):
        start_of([str(made)], "0000")


def test_what_is_no_spec_is_no_start(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [1")
    (tmp_path / "b.yaml").write_text("id: 12")
    (tmp_path / "c.yaml").write_text("id: x\nweights: {file: c.safetensors, sha256: y}")
    said_of = {"a": "is no YAML", "b": "has no id or no weights", "c": "is missing", "d": "No such file"}
    for name, said in said_of.items():
        with pytest.raises(UserError, match=said):
            read_start(str(tmp_path / f"{name}.yaml"))


def test_a_full_training_and_an_ablation_of_a_spec_are_of_its_detector(made: Path) -> None:
    spec = load_spec(made)
    again = plan(made, Wishes()).assignment
    assert (again.task, again.detector, again.data.name) == ("detection", spec.detector, "shapes_boxes")
    assert spec.evaluation == again.key.id  # the very training
    study = plan_ablation(spec, "parts", variants_of(spec.build(), ("dimensions", "attention")), Protocol()).study
    read, problems = read_written(study)
    assert problems == []
    assert read is not None
    assert read.detector == spec.detector


def test_a_spec_that_began_with_exported_weights_is_not_trained_from_random_ones(made: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(made.read_text())
    content["provenance"]["started_from_sha256"] = "0" * 64
    (tmp_path / "begun.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match="began with exported weights"):
        plan(tmp_path / "begun.yaml", Wishes())
