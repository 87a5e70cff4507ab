from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.config.detector import CascadeSettings
from dcasearch.models import build_model
from dcasearch.models.detection import build_detector
from dcasearch.models.detection.cascade import (
    STAGES,
    CascadeHeads,
    Regions,
    chosen,
    refined,
    sample,
    stage_losses,
)

SE: dict[str, Any] = {"attention": {"name": "se"}, "connections": {"function": "direct"}}
SMALL = CascadeSettings(channels=16, hidden=16, anchor=16, regions=32, proposals=50, detections=20)
RESNET: dict[str, Any] = {"name": "resnet18", "width": 0.25}
BACKBONES: list[dict[str, Any]] = [RESNET, {"name": "mobilenet_v2", "width": 0.25}, {"name": "mnasnet0_5"}]
MAPS = ["stage1", "stage2", "stage3", "stage4"]
SIZES = [(64, 64)]


def batch() -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(3, 64, 64, generator=generator) for _ in range(2)]
    boxes, labels = torch.tensor([[4.0, 4, 30, 30], [20, 10, 60, 50]]), torch.tensor([1, 2])
    return images, [{"boxes": boxes, "labels": labels} for _ in images]


def detector(backbone: dict[str, Any] = RESNET, settings: CascadeSettings = SMALL, **architecture: Any) -> nn.Module:
    network = build_model({"backbone": backbone, **architecture})
    return build_detector(network, settings, classes=3, resolution=64)


def heads(settings: CascadeSettings = SMALL, classes: int = 2) -> CascadeHeads:
    torch.manual_seed(0)
    return CascadeHeads(MAPS, classes, settings)


def maps() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.rand(1, 16, 16 >> n, 16 >> n, generator=generator) for n, name in enumerate(MAPS)}


@pytest.mark.parametrize("attention", [{}, SE], ids=["plain", "connected"])
@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda backbone: backbone["name"])
def test_every_parameter_of_a_cascade_gets_a_gradient(backbone: dict[str, Any], attention: dict[str, Any]) -> None:
    model = detector(backbone, **attention).train()
    losses = model(*batch())
    stages = {f"loss_{part}_{n}" for part in ("classifier", "box_reg") for n in (1, 2, 3)}
    assert losses.keys() == stages | {"loss_objectness", "loss_rpn_box_reg"}
    sum(losses.values()).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_a_cascade_finds_boxes_within_images_of_their_own_sizes() -> None:
    images = [torch.rand(3, 64, 48), torch.rand(3, 32, 64)]
    with torch.no_grad():
        found = detector().eval()(images)
    for image, one in zip(images, found, strict=True):
        assert 0 < len(one["boxes"]) <= SMALL.detections
        height, width = image.shape[1:]
        assert (one["boxes"] >= 0).all()
        assert (one["boxes"] <= torch.tensor([width, height, width, height])).all()
        assert set(one["labels"].tolist()) <= {1, 2, 3}
        assert one["scores"].tolist() == sorted(one["scores"].tolist(), reverse=True)


@pytest.mark.parametrize("empty", [(1,), (0, 1)], ids=["one of two", "both"])
def test_an_image_without_objects_trains_a_cascade(empty: tuple[int, ...]) -> None:
    images, targets = batch()
    for n in empty:
        targets[n] = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    model = detector().train()
    losses = model(images, targets)
    sum(losses.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_what_the_settings_of_a_cascade_freeze_is_frozen() -> None:
    model = detector(settings=SMALL.model_copy(update={"frozen_stages": 1, "bn": "eval"}), **SE).train()
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert any(name.startswith("backbone.network.attention.layer1") for name in frozen)
    assert not any("layer2" in name for name in frozen)
    assert not any(m.training for m in model.modules() if isinstance(m, nn.BatchNorm2d))


def test_training_a_cascade_needs_targets() -> None:
    with pytest.raises(ValueError, match="training needs targets"):
        heads().train()(maps(), [torch.tensor([[0.0, 0, 9, 9]])], SIZES)


def test_a_stage_has_the_object_from_its_own_overlap_on() -> None:
    """The proposals overlap the object by 0.55, 0.65 and 0.75."""
    target = {"boxes": torch.tensor([[0.0, 0, 10, 10]]), "labels": torch.tensor([2])}
    proposals = torch.tensor([[0, 0, 10, 5.5], [0, 0, 10, 6.5], [0, 0, 10, 7.5]])
    model = heads(SMALL.model_copy(update={"regions": 100}))
    labels = [sample(stage, [proposals], [target])[0].labels.tolist() for stage in model.stages]
    assert labels == [[2, 2, 2, 2], [0, 2, 2, 2], [0, 0, 2, 2]]


def test_objects_are_among_the_regions_and_told_from_the_proposals() -> None:
    target = {"boxes": torch.tensor([[0.0, 0, 10, 10]]), "labels": torch.tensor([2])}
    regions = sample(heads().stages[0], [torch.tensor([[0.0, 0, 10, 8], [40, 40, 50, 50]])], [target])[0]
    assert regions.boxes.tolist() == [[0, 0, 10, 8], [40, 40, 50, 50], [0, 0, 10, 10]]
    assert regions.labels.tolist() == [2, 0, 2]
    assert regions.proposed.tolist() == [True, True, False]
    assert regions.objects[regions.labels > 0].tolist() == [[0, 0, 10, 10]] * 2


def test_at_most_a_quarter_of_the_regions_has_objects() -> None:
    target = {"boxes": torch.tensor([[0.0, 0, 10, 10]]), "labels": torch.tensor([1])}
    proposals = torch.cat([torch.tensor([[0.0, 0, 10, 9]]).repeat(50, 1), torch.tensor([[30.0, 30, 40, 40]] * 50)])
    labels = sample(heads().stages[0], [proposals], [target])[0].labels
    assert (len(labels), int((labels > 0).sum())) == (32, 8)


@pytest.mark.parametrize(("number", "weights"), [(0, (10, 5)), (1, (20, 10)), (2, (30, 15))])
def test_the_losses_of_a_stage_by_hand(number: int, weights: tuple[float, float]) -> None:
    """The object is 2 right of its region, and 1.5 times as high about the same middle; the background has no loss."""
    stage = heads().stages[number]
    boxes = torch.tensor([[10.0, 10, 20, 20], [40, 40, 60, 60]])
    objects = torch.tensor([[12.0, 7.5, 22, 22.5], [0, 0, 0, 0]])
    regions = Regions(boxes, torch.tensor([2, 0]), objects, torch.tensor([True, True]))
    logits = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]])
    offsets = torch.tensor([[0.0] * 4, [9.0] * 4])
    classifier, box_reg = stage_losses(stage, logits, offsets, [regions], beta=0.5)
    position, size = weights
    x, height = position * 0.2, size * torch.tensor(1.5).log().item()
    assert box_reg.item() == pytest.approx((x - 0.25 + height - 0.25) / 2, rel=1e-5)
    assert classifier.item() == pytest.approx(F.cross_entropy(logits, torch.tensor([2, 0])).item())


def test_a_stage_without_objects_has_a_loss_of_boxes_of_zero() -> None:
    boxes = torch.tensor([[10.0, 10, 20, 20]])
    regions = Regions(boxes, torch.tensor([0]), torch.zeros(1, 4), torch.tensor([True]))
    offsets = torch.ones(1, 4, requires_grad=True)
    _, box_reg = stage_losses(heads().stages[0], torch.zeros(1, 3), offsets, [regions], beta=1.0)
    assert box_reg.item() == 0
    box_reg.backward()
    assert offsets.grad is not None


def test_boxes_are_refined_by_the_stages_coder_within_the_image_and_without_gradient() -> None:
    offsets = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 0], [100, 0, 0, 0]], requires_grad=True)
    boxes = [torch.tensor([[10.0, 10, 30, 30], [0, 0, 5, 5]]), torch.tensor([[50.0, 50, 60, 60]])]
    for stage, moved in zip(heads().stages, (2.0, 1.0, 2 / 3), strict=True):
        first, second = refined(stage, offsets, boxes, [(64, 64), (64, 58)])
        assert torch.allclose(first, torch.tensor([[10 + moved, 10, 30 + moved, 30], [0, 0, 5, 5]]))
        assert second[0, 2] == 58
        assert not first.requires_grad


def test_each_stage_learns_from_the_boxes_that_the_one_before_refined() -> None:
    """Every stage moves a box right: by 1 / 10, 1 / 20 and 1 / 30 of its width, as its coder reads an offset of 1."""
    model, seen = heads().train(), []
    for stage in model.stages:
        nn.init.zeros_(stage.box_predictor.bbox_pred.weight)
        stage.box_predictor.bbox_pred.bias.data = torch.tensor([1.0, 0, 0, 0])
    model.pool.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1][0].tolist()))
    target = {"boxes": torch.tensor([[0.0, 0, 10, 10]]), "labels": torch.tensor([1])}
    model(maps(), [torch.tensor([[30.0, 30, 50, 50]])], SIZES, [target])
    lefts = [[box[0] for box in boxes] for boxes in seen]
    assert lefts == [[30, 0], [pytest.approx(32), 0], [pytest.approx(33), 0]]  # the object is added anew, not moved


def test_the_losses_of_the_stages_are_weighted() -> None:
    """No stage moves a box or prefers a class. The region's object has its left, right and top, and is 10 high, not 8.

    The other region is the object itself, which has no loss of boxes.
    """
    model = heads(SMALL.model_copy(update={"smooth_l1": 1.0})).train()
    for stage in model.stages:
        for layer in (stage.box_predictor.cls_score, stage.box_predictor.bbox_pred):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
    target = {"boxes": torch.tensor([[0.0, 0, 10, 10]]), "labels": torch.tensor([1])}
    losses = model(maps(), [torch.tensor([[0.0, 0, 10, 8]])], SIZES, [target])[1]
    alone = torch.tensor(3.0).log().item()
    assert [losses[f"loss_classifier_{n}"].item() for n in (1, 2, 3)] == pytest.approx([alone, alone / 2, alone / 4])
    y, height = 1 / 8, torch.tensor(10 / 8).log().item()
    each = [(10 * n * y - 0.5 + 5 * n * height - 0.5) / 2 for n in (1, 2, 3)]
    weighted = [each[0], each[1] / 2, each[2] / 4]
    assert [losses[f"loss_box_reg_{n}"].item() for n in (1, 2, 3)] == pytest.approx(weighted, rel=1e-5)
    assert [stage.weight for stage in STAGES] == [1, 0.5, 0.25]


def test_a_score_is_of_the_mean_of_the_logits_each_of_its_own_regions() -> None:
    """The first two stages move the box; each says what its bias is, plus what it sees in its own region."""
    model = heads(SMALL.model_copy(update={"score": 0.0})).eval()
    with torch.no_grad():
        for stage in model.stages:
            nn.init.zeros_(stage.box_predictor.bbox_pred.weight)
            stage.box_predictor.bbox_pred.bias.copy_(torch.tensor([2.0, 0, 0, 0]))
        box, said, places = torch.tensor([[10.0, 10, 30, 30]]), [], []
        for stage in model.stages:
            said.append(stage.box_predictor.cls_score(stage.box_head(model.pool(maps(), [box], SIZES))))
            places.append(box)
            [box] = refined(stage, torch.tensor([[2.0, 0, 0, 0]]), [box], SIZES)
        (found,) = model.detect(maps(), [places[0]], SIZES)
    expected = ((said[0] + said[1] + said[2]) / 3).softmax(-1)[0, 1:]
    of_probabilities = torch.stack([logits.softmax(-1) for logits in said]).mean(0)[0, 1:]
    on_the_first_box = torch.stack(
        [s.box_predictor.cls_score(s.box_head(model.pool(maps(), [places[0]], SIZES))) for s in model.stages]
    )
    by_label = found["scores"][found["labels"].argsort()]
    assert torch.allclose(by_label, expected, rtol=1e-6, atol=0)
    assert not torch.allclose(by_label, of_probabilities, rtol=1e-6, atol=0)
    assert not torch.allclose(by_label, on_the_first_box.mean(0).softmax(-1)[0, 1:], rtol=1e-6, atol=0)
    assert torch.allclose(found["boxes"], box.expand(2, 4))


def test_detections_by_hand_of_boxes_that_all_classes_share() -> None:
    """Boxes 0 and 1 overlap by 0.8: of class 1 the better one is kept; class 2 has box 1 of its own; box 3 is empty."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [20, 20, 30, 30], [5, 5, 5, 9]])
    scores = torch.tensor([[0.3, 0.6, 0.1], [0.1, 0.5, 0.4], [0.9, 0.05, 0.05], [0.0, 0.9, 0.1]])
    found = chosen(scores, boxes, least=0.1, nms=0.5, most=10)
    assert found["labels"].tolist() == [1, 2]
    assert found["boxes"].tolist() == [[0, 0, 10, 10], [0, 0, 10, 8]]
    assert found["scores"].tolist() == pytest.approx([0.6, 0.4])
    assert chosen(scores, boxes, least=0.1, nms=0.5, most=1)["labels"].tolist() == [1]
    assert chosen(scores, boxes, least=0.1, nms=0.9, most=10)["scores"].tolist() == pytest.approx([0.6, 0.5, 0.4])


def test_an_image_without_proposals_has_no_detections() -> None:
    with torch.no_grad():
        (found,) = heads().eval().detect(maps(), [torch.zeros(0, 4)], SIZES)
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "boxes": (0, 4),
        "labels": (0,),
        "scores": (0,),
    }


def test_regions_are_pooled_from_the_map_of_their_size() -> None:
    """Anchors of 16 on the finest map: up to 56 pixels are pooled from it; the padding of an image changes nothing."""
    pool = heads().pool
    flat = {name: torch.full((1, 16, 24 >> n, 24 >> n), float(n)) for n, name in enumerate(MAPS)}
    boxes = torch.tensor([[0.0, 0, 50, 50], [0, 0, 60, 60]])
    assert pool(flat, [boxes], [(65, 65)])[:, 0, 0, 0].tolist() == [0, 1]
    assert pool.scales == [1 / 4, 1 / 8, 1 / 16, 1 / 32]
