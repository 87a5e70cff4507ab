"""A detector stands on a network of a library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.models.detection.test_pyramid import changed, network, pyramid_of
from tests.models.detection.test_retinanet import batch, detector
from tests.models.samples import perturb
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


def test_frozen_stages_of_a_library_s_network_do_not_change_in_training_and_the_next_one_does() -> None:
    model = network(TINY, attention={"name": "se", "reduction": 2})
    perturb(model.backbone)  # timm starts the last BatchNorm of a branch at 0, behind which no attention learns
    frozen = {name for name, node in zip(model.names, model.network.nodes, strict=True) if node.layout.stage == 0}
    moved = changed(pyramid_of(model, (8, 16, 32), frozen_stages=1))
    of_backbone = {name.split(".")[3] for name in moved if name.startswith("network.backbone.stages.")}
    assert {name.split(".")[2] for name in moved if name.startswith("network.attention.")} == {*model.names} - frozen
    assert of_backbone == {"1", "2", "3"}
    assert not any(name.startswith("network.backbone.stem.") for name in moved)


def test_more_stages_of_a_library_s_network_than_there_are_cannot_be_frozen(tmp_path: Path) -> None:
    space = {"backbone": TINY, "attention": {"name": "se"}}
    found = mistakes(study(tmp_path, space=space, detector={"name": "retinanet", "frozen_stages": 5}))
    assert sum("frozen_stages 5: timm/test_byobnet has 4 stages" in said for said in found) == 1


def test_a_network_without_the_wanted_scales_is_told(tmp_path: Path) -> None:
    space = {"backbone": {"name": "timm/convmixer_768_32"}, "attention": {"name": "se"}}
    found = mistakes(study(tmp_path, space=space))
    assert sum("needs maps of scale 8, and timm/convmixer_768_32 has 7" in said for said in found) == 1
