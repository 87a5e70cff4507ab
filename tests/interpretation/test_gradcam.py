"""Grad-CAM against the formula written out with autograd, and against captum on another network."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18

from dcasearch.errors import UserError
from dcasearch.interpretation import enlarge, grad_cam, min_max, top_classes
from dcasearch.models import DCANet
from tests.models.samples import copied, images, perturb, spec

TINY = {"name": "resnet18", "width": 0.125, "stem": "small"}


def network(backbone: dict[str, Any] = TINY) -> DCANet:
    model = copied(spec("cbam", backbone, topology="chain")).double().eval()
    perturb(model)
    return model


def by_hand(model: DCANet, batch: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
    """Return the maps from retained tensors and their gradients, one logit at a time."""
    backbone: Any = model.backbone
    found: dict[str, list[Tensor]] = {}
    for image, target in zip(batch, targets.tolist(), strict=True):
        maps = model.features(image[None])
        for map_ in maps.values():
            map_.retain_grad()
        backbone.head(list(maps.values())[-1])[0, target].backward()
        for name, map_ in maps.items():
            assert map_.grad is not None
            weights = map_.grad[0].mean((1, 2))
            found.setdefault(name, []).append(F.relu(torch.einsum("c,chw->hw", weights, map_[0])).detach())
    return {name: torch.stack(maps) for name, maps in found.items()}


@pytest.mark.parametrize(
    "backbone",
    [
        TINY,
        pytest.param({"name": "mnasnet0_5", "stem": "small"}, marks=pytest.mark.slow),
        pytest.param({"name": "mobilenet_v2", "width": 0.25}, marks=pytest.mark.slow),
    ],
    ids=lambda backbone: backbone["name"],
)
def test_the_maps_are_those_of_the_formula(backbone: dict[str, Any]) -> None:
    model, batch = network(backbone=backbone), images(3, 24).double()
    targets = torch.tensor([1, 4, 0])
    found, expected = grad_cam(model, batch, targets), by_hand(model, batch, targets)
    assert list(found) == list(expected) == list(model.taps)
    assert any(map_.max() > 0 for map_ in found.values())
    for name, map_ in found.items():
        torch.testing.assert_close(map_, expected[name], rtol=1e-6, atol=1e-12)


def test_without_targets_the_largest_logit_is_explained() -> None:
    model, batch = network(), images(3, 32).double()
    top, probability = top_classes(model, batch)
    assert torch.equal(top, model(batch).argmax(1))
    torch.testing.assert_close(probability, model(batch).softmax(1).amax(1))
    found, expected = grad_cam(model, batch), grad_cam(model, batch, top)
    for name, map_ in found.items():
        assert torch.equal(map_, expected[name])


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
def test_another_network_is_explained_at_the_layers_that_are_named() -> None:
    from captum.attr import LayerGradCam

    model = resnet18(num_classes=5).eval()
    batch, targets = images(2, 64), torch.tensor([2, 3])
    found = grad_cam(model, batch, targets, {"late": model.layer4, "early": model.layer2})
    for name, layer in (("late", model.layer4), ("early", model.layer2)):
        (expected,) = LayerGradCam(model, layer).attribute(batch, targets, relu_attributions=True).unbind(1)
        torch.testing.assert_close(found[name], expected.detach())
    with pytest.raises(ValueError, match="ResNet has no taps"):
        grad_cam(model, batch, targets)


def test_the_model_is_left_as_it_was() -> None:
    model = network().train()
    model.taps.eval()
    modes = [module.training for module in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    grad_cam(model, images(2).double(), torch.tensor([0, 1]))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_frozen_network_is_explained() -> None:
    model, batch, targets = network(), images(2).double(), torch.tensor([0, 1])
    expected = grad_cam(model, batch, targets)
    frozen = grad_cam(model.requires_grad_(False), batch, targets)
    assert all(torch.equal(map_, expected[name]) for name, map_ in frozen.items())


def test_no_image_is_an_error() -> None:
    with pytest.raises(ValueError, match="no image"):
        grad_cam(network(), images(1)[:0])


def test_without_captum_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(UserError, match=r"pip install 'dcasearch\[gradcam\]'"):
        grad_cam(nn.Identity(), images(1))


def test_a_map_is_brought_to_zero_and_one_and_an_empty_one_is_named() -> None:
    maps = torch.stack([torch.tensor([[1.0, 2.0], [3.0, 5.0]]), torch.zeros(2, 2), torch.full((2, 2), 0.7)])
    scaled, said = min_max(maps)
    assert said == [None, "zero everywhere", "equal everywhere"]
    torch.testing.assert_close(scaled[0], torch.tensor([[0, 0.25], [0.5, 1]]))
    assert not scaled[1:].any()
    assert min_max(enlarge(torch.full((1, 1, 1), 0.3), (7, 5)))[1] == ["equal everywhere"]


def test_a_map_is_enlarged_between_the_centres_of_its_pixels() -> None:
    expected = torch.tensor([0.0, 0.25, 0.75, 1.0])
    torch.testing.assert_close(enlarge(torch.tensor([[[0.0, 1.0]]]), (3, 4)), expected.expand(1, 3, 4))
