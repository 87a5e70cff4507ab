from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from dcasearch.config.detector import PyramidSettings
from dcasearch.models import DCANet, build_model
from dcasearch.models.detection import PyramidBackbone

SE: dict[str, Any] = {"attention": {"name": "se"}, "connections": {"function": "direct"}}
BACKBONES: list[dict[str, Any]] = [
    {"name": "resnet18", "width": 0.25},
    {"name": "mobilenet_v2", "width": 0.25},
    {"name": "mnasnet0_5"},
]
SCALES = (4, 8, 16, 32)


def network(backbone: dict[str, Any] = BACKBONES[0], **architecture: Any) -> DCANet:
    return build_model({"backbone": backbone, **SE, **architecture})


def pyramid_of(model: DCANet, scales: tuple[int, ...] = SCALES, **settings: Any) -> PyramidBackbone:
    class Settings(PyramidSettings):
        pass

    Settings.scales = scales
    return PyramidBackbone(model, Settings(channels=16, **settings))


def step(pyramid: PyramidBackbone) -> None:
    """Make one large step of gradient descent on images at random."""
    optimizer = torch.optim.SGD([p for p in pyramid.parameters() if p.requires_grad], lr=0.1)
    maps = pyramid(torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    sum(map_.square().mean() for map_ in maps.values()).backward()
    optimizer.step()


def changed(pyramid: PyramidBackbone) -> set[str]:
    """Return which parameters and buffers a step of training changes, without BatchNorm's counters."""
    before = {name: value.clone() for name, value in pyramid.state_dict().items()}
    step(pyramid.train())
    return {n for n, value in pyramid.state_dict().items() if not torch.equal(value, before[n]) and "num_b" not in n}


def test_it_has_a_map_of_each_scale() -> None:
    maps = pyramid_of(network(), SCALES)(torch.zeros(1, 3, 64, 64))
    assert [tuple(map_.shape) for map_ in maps.values()] == [(1, 16, side, side) for side in (16, 8, 4, 2)]


def test_a_network_without_a_map_of_a_scale_is_refused() -> None:
    small = network({"name": "resnet18", "width": 0.25, "stem": "small"})
    with pytest.raises(ValueError, match="no map of scale 16, only of 1, 2, 4, 8; use the imagenet stem"):
        pyramid_of(small, (8, 16, 32))


def test_everything_learns_where_nothing_is_frozen() -> None:
    pyramid = pyramid_of(network(), SCALES)
    stem = {"network.backbone.conv1.weight", "network.backbone.bn1.weight", "network.backbone.bn1.running_mean"}
    assert changed(pyramid) >= stem


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda backbone: backbone["name"])
@pytest.mark.parametrize("stages", [0, 1, 2])
def test_frozen_stages_do_not_change_in_training_and_the_next_one_does(stages: int, backbone: dict[str, Any]) -> None:
    model = network(backbone)
    ends = [model.names.index(stage.block.replace(".", "_")) for stage in model.stages[:stages]]
    frozen = set(model.names[: max(ends, default=-1) + 1])
    assert bool(frozen) == bool(stages)
    pyramid = pyramid_of(model, (8, 16, 32), frozen_stages=stages)
    moved = changed(pyramid)
    attention = {name.split(".")[2] for name in moved if name.startswith("network.attention.")}
    assert attention == set(model.names) - frozen
    blocks = {name.split(".backbone.")[1].rsplit(".", 1)[0] for name in moved if ".backbone." in name}
    still = {n.replace("_", ".") for n in frozen}
    assert not any(block.startswith(tuple(f"{name}." for name in still)) for block in blocks)
    assert not any(name.startswith(("network.backbone.conv1", "network.backbone.bn1")) for name in moved)


def test_attention_after_a_frozen_stage_is_frozen_with_it() -> None:
    model = network(stage_attention={"name": "bam"})
    pyramid = pyramid_of(model, (8, 16, 32), frozen_stages=1)
    ends = {name.split(".")[2] for name in changed(pyramid) if name.startswith("network.attention.stage")}
    assert ends == {"stage2", "stage3"}


def test_fixed_statistics_stay_through_train_and_the_affine_learns() -> None:
    pyramid = pyramid_of(network(), SCALES, frozen_stages=1, bn="eval")
    moved = changed(pyramid.eval().train())
    assert not any("running" in name for name in moved)
    assert "network.backbone.layer2.0.bn1.weight" in moved
    norms = [m for m in pyramid.network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert pyramid.fpn.training


def test_frozen_stages_stay_in_evaluation_mode_where_batchnorm_is_synchronised() -> None:
    pyramid = nn.SyncBatchNorm.convert_sync_batchnorm(pyramid_of(network(), frozen_stages=1)).train()
    assert isinstance(pyramid.network.backbone.bn1, nn.SyncBatchNorm)
    assert not pyramid.network.backbone.bn1.training
    assert not pyramid.network.backbone.layer1[0].bn1.training
    assert pyramid.network.backbone.layer2[0].bn1.training


def test_more_stages_than_there_are_cannot_be_frozen() -> None:
    with pytest.raises(ValueError, match="5 stages cannot be frozen: the network has 4"):
        pyramid_of(network(), SCALES, frozen_stages=5)


def test_a_copy_is_frozen_too_and_holds_its_own_modules() -> None:
    pyramid = pyramid_of(network(), frozen_stages=1, bn="eval")
    other = copy.deepcopy(pyramid).train()
    assert not any("running" in name for name in changed(other))
    pyramid.network.train()
    assert not other.network.backbone.bn1.training
