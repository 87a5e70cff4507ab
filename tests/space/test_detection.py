from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcasearch.space import load_study
from tests.space.test_loaded_study import mistakes, write_study

SPACE: dict[str, Any] = {
    "backbone": {"name": "resnet18", "width": 0.25},
    "attention": {"name": "se"},
    "connections": {},
}
RECIPE: dict[str, Any] = {"augmentation": {"crop": "none"}}
FIRST: dict[str, Any] = {"name": "proxy", "trials": 2, "resolution": 64, "epochs": 2, "recipe": RECIPE}


def study(folder: Path, **changes: Any) -> Path:
    parts = {"task": "detection", "data": {"name": "shapes"}, "detector": {"name": "retinanet"}}
    return write_study(folder, **{"space": SPACE, "fidelities": [FIRST], **parts, **changes})


def test_a_study_of_detectors_is_read(tmp_path: Path) -> None:
    loaded = load_study(study(tmp_path))
    assert loaded.study.data.name == "shapes_boxes"
    assert loaded.study.objectives == {"ap": "maximize"}
    assert loaded.study.fidelities[0].pruner.metric == "ap"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"space": {**SPACE, "backbone": {"name": "resnet18", "stem": "small"}}},
            "needs maps of scale 16, and resnet18",
        ),
        ({"detector": {"name": "retinanet", "frozen_stages": 5}}, "frozen_stages 5: resnet18 has 4 stages"),
        (
            {"space": {**SPACE, "connections": {"message": ["sender", "constant"]}}},
            "message: constant is for classifiers",
        ),
    ],
    ids=["stem", "stages", "constant"],
)
def test_networks_that_cannot_carry_the_detector_are_told_once(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    found = mistakes(study(tmp_path, **changes))
    assert sum(message in mistake for mistake in found) == 1


def test_one_stem_among_several_that_does_not_fit_is_told(tmp_path: Path) -> None:
    space = {**SPACE, "backbone": {"name": "resnet18", "stem": ["imagenet", "small"]}}
    (mistake,) = mistakes(study(tmp_path, space=space))
    assert "with stem small has 1, 2, 4, 8; write stem: imagenet" in mistake
