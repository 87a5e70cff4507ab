from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models.detection import fasterrcnn_resnet50_fpn, retinanet_resnet50_fpn

from dcasearch.config.detector import CascadeSettings, RetinaNetSettings
from dcasearch.models import build_model
from dcasearch.models.detection import build_detector

SMALL: dict[str, Any] = {
    "retinanet": RetinaNetSettings(channels=16, convolutions=2),
    "cascade_rcnn": CascadeSettings(channels=16, hidden=16),
}
CONNECTED: dict[str, Any] = {"attention": {"name": "se"}, "connections": {"function": "direct"}}


def detector(settings: Any, seed: int = 0, resolution: int = 64, **architecture: Any) -> nn.Module:
    network = build_model({"backbone": {"name": "resnet18", "width": 0.25}, **architecture})
    return build_detector(network, settings, classes=3, resolution=resolution, seed=seed)


def own(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return what the detector has beside the network."""
    return {name: value for name, value in model.state_dict().items() if not name.startswith("backbone.network.")}


@pytest.mark.parametrize("name", SMALL)
def test_a_detectors_own_parameters_are_drawn_from_its_seed(name: str) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    vanilla = own(detector(SMALL[name]))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    connected, other = own(detector(SMALL[name], **CONNECTED)), own(detector(SMALL[name], seed=1))
    assert vanilla.keys() == connected.keys()
    assert all(torch.equal(value, connected[key]) for key, value in vanilla.items())
    weights = [key for key, value in vanilla.items() if value.dim() > 1]
    assert weights
    assert not any(torch.equal(vanilla[key], other[key]) for key in weights)


@pytest.mark.parametrize("name", SMALL)
def test_a_detector_takes_the_networks_parameters_over(name: str) -> None:
    network = build_model({"backbone": {"name": "resnet18", "width": 0.25}, **CONNECTED}, seed=7)
    before = {key: value.clone() for key, value in network.state_dict().items() if not key.startswith("backbone.fc.")}
    model = build_detector(network, SMALL[name], classes=3, resolution=64)
    after = model.get_submodule("backbone.network").state_dict()
    assert before.keys() == after.keys()  # and no classifier is left
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_a_detector_without_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one class, not 0"):
        build_detector(build_model({"backbone": {"name": "resnet18"}}), SMALL["retinanet"], classes=0, resolution=64)


def test_the_papers_retinanet() -> None:
    paper = RetinaNetSettings(preset="paper")
    assert (paper.channels, paper.convolutions, paper.anchor) == (256, 4, 32)
    assert (paper.p6, paper.smooth_l1, paper.detections) == ("C5", 0.11, 100)
    assert (paper.frozen_stages, paper.bn) == (1, "eval")
    model: Any = detector(paper.model_copy(update={"channels": 16}))
    assert model.backbone.fpn.extra_blocks.use_P5 is False
    assert (model.proposal_matcher.high_threshold, model.proposal_matcher.low_threshold) == (0.5, 0.4)
    assert (model.score_thresh, model.nms_thresh, model.topk_candidates, model.detections_per_img) == (
        0.05,
        0.5,
        1000,
        100,
    )
    assert model.anchor_generator.sizes[0] == (32, 40, 50)
    assert model.anchor_generator.aspect_ratios[0] == (0.5, 1.0, 2.0)


def test_the_papers_cascade() -> None:
    paper = CascadeSettings(preset="paper")
    assert (paper.channels, paper.hidden, paper.anchor) == (256, 1024, 32)
    assert (paper.frozen_stages, paper.bn) == (1, "eval")
    model: Any = detector(paper.model_copy(update={"channels": 16, "hidden": 16}))
    rpn = model.rpn
    assert rpn.anchor_generator.sizes == ((32,), (64,), (128,), (256,), (512,))
    assert (rpn.proposal_matcher.high_threshold, rpn.proposal_matcher.low_threshold, rpn.nms_thresh) == (0.7, 0.3, 0.7)
    assert rpn.fg_bg_sampler.batch_size_per_image == 256
    assert (rpn.eval().pre_nms_top_n(), rpn.post_nms_top_n()) == (2000, 2000)
    stages = model.roi_heads.stages
    assert [stage.proposal_matcher.high_threshold for stage in stages] == [0.5, 0.6, 0.7]
    assert [stage.proposal_matcher.low_threshold for stage in stages] == [0.5, 0.6, 0.7]
    assert [stage.box_coder.weights for stage in stages] == [(10, 10, 5, 5), (20, 20, 10, 10), (30, 30, 15, 15)]
    assert {(s.fg_bg_sampler.batch_size_per_image, s.fg_bg_sampler.positive_fraction) for s in stages} == {(512, 0.25)}
    assert (paper.score, paper.nms, paper.detections) == (0.05, 0.5, 100)


def test_torchvisions_settings_are_its_own_defaults() -> None:
    theirs: Any = retinanet_resnet50_fpn(weights=None, weights_backbone=None)
    ours: Any = detector(RetinaNetSettings(channels=16), resolution=800)
    for name in ("score_thresh", "nms_thresh", "topk_candidates", "detections_per_img"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.anchor_generator.sizes == theirs.anchor_generator.sizes
    two: Any = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    three: Any = detector(CascadeSettings(channels=16, hidden=16), resolution=800)
    assert three.rpn.anchor_generator.sizes == two.rpn.anchor_generator.sizes
    assert (three.rpn._pre_nms_top_n, three.rpn._post_nms_top_n) == (two.rpn._pre_nms_top_n, two.rpn._post_nms_top_n)
    assert three.rpn.nms_thresh == two.rpn.nms_thresh
    for name in ("min_size", "max_size", "image_mean", "image_std", "size_divisible"):
        assert getattr(three.transform, name) == getattr(two.transform, name)
    first = three.roi_heads.stages[0]
    assert first.box_coder.weights == two.roi_heads.box_coder.weights
    for name in ("score_thresh", "nms_thresh", "detections_per_img"):
        assert getattr(first, name) == getattr(two.roi_heads, name)
