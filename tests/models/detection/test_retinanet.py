from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection import retinanet_resnet50_fpn

from dcasearch.config.detector import RetinaNetSettings, longest_side
from dcasearch.models import build_model
from dcasearch.models.detection import retinanet
from dcasearch.models.detection.retinanet import SmoothL1Head

SE: dict[str, Any] = {"attention": {"name": "se"}, "connections": {"function": "direct"}}
SMALL = RetinaNetSettings(channels=16, convolutions=2, anchor=16)
SIDE = 64
BACKBONES: list[dict[str, Any]] = [
    {"name": "resnet18", "width": 0.25},
    {"name": "mobilenet_v2", "width": 0.25},
    {"name": "mnasnet0_5"},
]


def batch(images: int = 2, pixels: int = 64) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.rand(3, pixels, pixels, generator=generator) for _ in range(images)]
    targets = [
        {"boxes": torch.tensor([[4.0, 4, 30, 30], [20, 10, 60, 50]]), "labels": torch.tensor([1, 2])} for _ in drawn
    ]
    return drawn, targets


def detector(backbone: dict[str, Any], settings: RetinaNetSettings = SMALL, **architecture: Any) -> nn.Module:
    torch.manual_seed(0)
    return retinanet(build_model({"backbone": backbone, **architecture}), 3, settings, SIDE)


@pytest.mark.parametrize("attention", [{}, SE], ids=["plain", "connected"])
@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda backbone: backbone["name"])
def test_every_parameter_gets_a_gradient_and_no_classifier_is_left(
    backbone: dict[str, Any], attention: dict[str, Any]
) -> None:
    model = detector(backbone, **attention).train()
    losses = model(*batch())
    sum(losses.values()).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_a_detector_finds_boxes_within_the_image() -> None:
    model = detector(BACKBONES[0]).eval()
    with torch.no_grad():
        model.head.classification_head.cls_logits.bias.fill_(2.0)  # else nothing reaches a score of 0.05
        found = model(batch()[0])
    assert len(found) == 2
    for one in found:
        assert 0 < len(one["boxes"]) <= SMALL.detections
        assert one["boxes"].min() >= 0
        assert one["boxes"].max() <= 64
        assert set(one["labels"].tolist()) == {0, 1, 2, 3}  # nothing has trained it yet to leave out the background


def test_an_image_without_objects_trains() -> None:
    images, targets = batch()
    targets[1] = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    for settings in (SMALL, SMALL.model_copy(update={"smooth_l1": 0.11})):
        losses = detector(BACKBONES[0], settings).train()(images, targets)
        assert all(torch.isfinite(loss) for loss in losses.values())


def test_without_attention_it_is_torchvisions_bit_for_bit() -> None:
    settings = RetinaNetSettings()
    size = {"min_size": SIDE, "max_size": longest_side(SIDE)}
    theirs: Any = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=4, **size)
    ours = detector({"name": "resnet50"}, settings)
    state = {
        name.replace("backbone.body.", "backbone.network.backbone."): value
        for name, value in theirs.state_dict().items()
    }
    ours.load_state_dict(state)
    images, targets = batch()
    mine, their = ours.train()(images, targets), theirs.train()(images, targets)
    assert mine.keys() == their.keys()
    assert all(torch.equal(mine[name], their[name]) for name in mine)
    with torch.no_grad():
        for model in (ours, theirs):
            model.head.classification_head.cls_logits.bias.fill_(2.0)
        for mine, their in zip(ours.eval()(images), theirs.eval()(images), strict=True):  # detections of an image
            assert len(mine["boxes"]) > 0
            assert all(torch.equal(mine[name], their[name]) for name in ("boxes", "labels", "scores"))


def test_p6_is_made_of_the_networks_last_map_where_that_is_asked_for() -> None:
    for source, channels in (("C5", 128), ("P5", 16)):
        model = detector(BACKBONES[0], SMALL.model_copy(update={"p6": source}))
        assert model.backbone.fpn.extra_blocks.p6.in_channels == channels
    same = detector(BACKBONES[0], SMALL.model_copy(update={"p6": "C5", "channels": 128}))
    assert same.backbone.fpn.extra_blocks.use_P5 is False


def test_the_heads_have_as_many_convolutions_as_are_asked_for() -> None:
    head = detector(BACKBONES[0]).head
    assert [len(part.conv) for part in (head.classification_head, head.regression_head)] == [2, 2]


def test_smooth_l1_of_boxes_by_hand() -> None:
    """One anchor is matched and off by 0.05 and 0.5 in two of four numbers; the other anchor does not count."""
    head = SmoothL1Head(4, 1, beta=0.1)
    box = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    said = torch.tensor([[[0.05, 0.5, 0.0, 0.0], [9.0, 9.0, 9.0, 9.0]]])
    loss = head.compute_loss([{"boxes": box}], {"bbox_regression": said}, [box.repeat(2, 1)], [torch.tensor([0, -1])])
    assert loss.item() == pytest.approx(0.05**2 / (2 * 0.1) + (0.5 - 0.1 / 2), rel=1e-6)


def test_a_beta_of_one_is_torchs_smooth_l1_of_the_mean_over_images() -> None:
    head, box = SmoothL1Head(4, 1, beta=1.0), torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    said = torch.randn(2, 1, 4, generator=torch.Generator().manual_seed(0))
    matched = [torch.tensor([0]), torch.tensor([-1])]
    loss = head.compute_loss([{"boxes": box}] * 2, {"bbox_regression": said}, [box, box], matched)
    assert loss.item() == pytest.approx(F.smooth_l1_loss(said[0], torch.zeros(1, 4), reduction="sum").item() / 2)


def test_what_the_settings_freeze_is_frozen() -> None:
    model = detector(BACKBONES[0], SMALL.model_copy(update={"frozen_stages": 1, "bn": "eval"}))
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert frozen
    assert all(
        name.startswith(("backbone.network.backbone.conv1", "backbone.network.backbone.bn1")) or "layer1" in name
        for name in frozen
    )
    assert not any(m.training for m in model.train().modules() if isinstance(m, nn.BatchNorm2d))
