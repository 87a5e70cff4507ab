from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from dcasearch.config.detector import CascadeSettings, Detector, RetinaNetSettings, longest_side

PRESETS = ("torchvision", "paper", "released")


def read(written: dict[str, Any]) -> RetinaNetSettings | CascadeSettings:
    return TypeAdapter(Detector).validate_python(written)


def test_a_name_says_which_settings_there_are() -> None:
    assert read({"name": "retinanet"}) == RetinaNetSettings()
    assert read({"name": "cascade_rcnn", "hidden": 64}) == CascadeSettings(hidden=64)
    with pytest.raises(ValidationError, match="hidden"):
        read({"name": "retinanet", "hidden": 64})
    with pytest.raises(ValidationError, match="'retinanet', 'cascade_rcnn'"):
        read({"name": "yolo"})


def test_written_settings_go_before_the_presets() -> None:
    paper = read({"name": "retinanet", "preset": "paper", "detections": 50})
    assert isinstance(paper, RetinaNetSettings)
    assert (paper.detections, paper.p6, paper.smooth_l1) == (50, "C5", 0.11)
    with pytest.raises(ValidationError, match="preset"):
        read({"name": "retinanet", "preset": "papers"})


@pytest.mark.parametrize("name", ["retinanet", "cascade_rcnn"])
def test_a_detector_that_is_written_out_is_read_back(name: str) -> None:
    for preset in PRESETS:
        settings = read({"name": name, "preset": preset, "channels": 64})
        assert read(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize("name", ["retinanet", "cascade_rcnn"])
def test_equal_detectors_mean_equal_things_whatever_their_presets_are_called(name: str) -> None:
    torchvision, paper, released = (read({"name": name, "preset": preset}).meaning() for preset in PRESETS)
    assert torchvision == {"name": name}
    assert paper == released != torchvision
    assert "preset" not in paper


@pytest.mark.parametrize("convolutions", [0, 5])
def test_a_head_of_retinanet_has_one_to_four_convolutions(convolutions: int) -> None:
    with pytest.raises(ValidationError, match="convolutions"):
        RetinaNetSettings(convolutions=convolutions)


@pytest.mark.parametrize(("resolution", "longest"), [(800, 1333), (128, 213), (1, 1)])
def test_the_longer_side_has_its_limit_in_proportion(resolution: int, longest: int) -> None:
    assert longest_side(resolution) == longest
