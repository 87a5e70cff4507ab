"""A detector stands on a network of a library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcasearch.models import build_model
from dcasearch.models.detection.pyramid import first_parts
from tests.models.detection.test_retinanet import batch, detector
from tests.models.traced.support import needs_timm
from tests.space.test_detection import study
from tests.space.test_loaded_study import mistakes

pytestmark = needs_timm
TINY: dict[str, Any] = {"name": "timm/test_byobnet"}


def test_every_parameter_gets_a_gradient_and_no_classifier_is_left() -> None:
    model = detector(TINY, attention={"name": "se"}, connections={}).train()
    losses = model(*batch())
    sum(losses.values()).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_stages_of_a_library_s_network_cannot_be_frozen(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stages of a library's network cannot be frozen"):
        first_parts(build_model({"backbone": TINY}), 1)
    space = {"backbone": TINY, "attention": {"name": "se"}}
    found = mistakes(study(tmp_path, space=space, detector={"name": "retinanet", "frozen_stages": 1}))
    assert sum("frozen_stages is for the backbones that this package has prepared" in said for said in found) == 1


def test_a_network_without_the_wanted_scales_is_told(tmp_path: Path) -> None:
    space = {"backbone": {"name": "timm/convmixer_768_32"}, "attention": {"name": "se"}}
    found = mistakes(study(tmp_path, space=space))
    assert sum("needs maps of scale 8, and timm/convmixer_768_32 has 7" in said for said in found) == 1
