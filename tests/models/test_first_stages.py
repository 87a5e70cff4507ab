"""Which layers the stem and the first stages of a network are; `tests/training/test_parts.py` freezes them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from torch import nn

from dcasearch.models import DCANet, build_model
from dcasearch.models.first_stages import first_stages
from tests.models.traced.support import needs_timm

SE: dict[str, Any] = {"attention": {"name": "se", "reduction": 2}, "connections": {}}
TINY: dict[str, Any] = {"name": "timm/test_byobnet"}


def network(backbone: Any, **parts: Any) -> DCANet:
    return build_model({"backbone": backbone, **SE, **parts}, 5)


def test_the_stem_of_a_prepared_network_is_what_stands_in_no_block_and_not_in_the_head() -> None:
    assert first_stages(network({"name": "resnet18", "width": 0.125}), 0).modules == ("backbone.conv1", "backbone.bn1")
    light = network({"name": "mobilenet_v2", "width": 0.1})
    assert first_stages(light, 0).modules == ("backbone.features.0.0", "backbone.features.0.1")
    light.drop_head()
    assert first_stages(light, 0).modules == ("backbone.features.0.0", "backbone.features.0.1")


def test_a_stage_is_its_blocks_with_their_attention_and_receivers() -> None:
    found = first_stages(network({"name": "resnet18", "width": 0.125}), 1).modules
    assert set(found) == {
        *("backbone.conv1", "backbone.bn1", "backbone.layer1.0", "backbone.layer1.1"),
        *("attention.layer1_0", "attention.layer1_1", "connections.layer1_0", "connections.layer1_1"),
    }


def test_attention_after_a_stage_belongs_to_it() -> None:
    model = network({"name": "resnet18", "width": 0.125}, stage_attention={"name": "bam"})
    assert "attention.stage1" in first_stages(model, 1).modules
    assert "attention.stage2" not in first_stages(model, 1).modules


@needs_timm
def test_a_stage_of_a_librarys_network_is_what_its_last_block_is_computed_from() -> None:
    model = network(TINY)
    stem, first = (set(first_stages(model, stages).modules) for stages in (0, 1))
    assert stem
    assert all(path.startswith("backbone.stem") for path in stem)
    more = first - stem
    assert stem <= first
    assert {path for path in more if not path.startswith("backbone.stages.0.")} == {
        "attention.stages_0_0",
        "connections.stages_0_0",
    }
    parameters = [name for name, _ in model.named_parameters() if name.startswith("backbone.stages.0.")]
    assert parameters
    assert all(any(name.startswith(f"{path}.") for path in more) for name in parameters)


@pytest.mark.parametrize("stages", [-1, 5])
def test_stages_that_are_not_there_are_refused(stages: int) -> None:
    with pytest.raises(ValueError, match=f"{stages} stages cannot be frozen: the network has 4"):
        first_stages(network({"name": "resnet18", "width": 0.125}), stages)


def test_held_modules_stay_in_evaluation_mode_in_copies_too() -> None:
    model = network({"name": "resnet18", "width": 0.125})
    model.hold(["backbone.bn1"])
    model.hold(["backbone.layer1.0"])
    for each in (model, copy.deepcopy(model), nn.Sequential(copy.deepcopy(model))):
        still = [name for name, module in each.eval().train().named_modules() if not module.training]
        assert {name.split("backbone.")[1] for name in still} >= {"bn1", "layer1.0", "layer1.0.conv1"}
        assert not any("layer1.1" in name or "attention" in name for name in still)
