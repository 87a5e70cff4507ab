"""Gradient checkpointing: equal outputs, gradients and statistics, and less that is kept."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dcasearch.errors import UserError
from dcasearch.models import DCANet, build_model
from dcasearch.models.recomputation import Recomputing
from tests.models.traced.support import CLASSES, needs_timm

CBAM = {"attention": {"name": "cbam"}, "connections": {"topology": "dense"}}
NETWORKS: list[dict[str, Any]] = [
    {"backbone": {"name": "mobilenet_v2", "width": 0.25}, **CBAM},
    {"backbone": {"name": "resnet18"}, "attention": {"name": "sk"}, "connections": {}},
    {"backbone": {"name": "mobilenet_v2", "width": 0.25}, "attention": {"name": "bam"}, "connections": {}},
]
TRACED: list[dict[str, Any]] = [
    {"backbone": {"name": "timm/test_byobnet"}, **CBAM},
    {"backbone": {"name": "timm/test_convnext", "arguments": {"drop_path_rate": 0.3}}, **CBAM},
    {"backbone": {"name": "timm/test_mambaout"}, **CBAM},
    {"backbone": {"name": "timm/mobilenetv3_small_050", "own_attention": "replace"}, **CBAM},
    {"backbone": {"name": "torchvision/vgg11"}, "attention": {"name": "se"}, "connections": {}},
    {"backbone": {"name": "torchvision/squeezenet1_1"}, "attention": {"name": "se"}, "connections": {}},
]


def images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def step(model: DCANet) -> list[Tensor]:
    """Return logits, gradients and buffers after one forward and backward pass in training mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        logits = model.train()(images())
        logits.square().mean().backward()
    return [logits.detach(), *(p.grad for p in model.parameters() if p.grad is not None), *model.buffers()]


def pair(written: dict[str, Any]) -> tuple[DCANet, DCANet]:
    plain = build_model(written, CLASSES)
    recomputing = copy.deepcopy(plain)
    recomputing.recomputes = True
    return plain, recomputing


def name_of(written: dict[str, Any]) -> str:
    return f"{written['backbone']['name']}-{written['attention']['name']}"


@needs_timm
@pytest.mark.parametrize("written", [*NETWORKS, *TRACED], ids=name_of)
def test_outputs_gradients_and_statistics_are_equal(written: dict[str, Any]) -> None:
    for one, other in zip(*map(step, pair(written)), strict=True):
        assert torch.equal(one, other)


def kept_bytes(model: DCANet) -> int:
    """Return the bytes of the activations that autograd keeps from the forward pass on."""
    parameters = {value.data_ptr() for value in model.parameters()}
    kept: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        if value.data_ptr() not in parameters:
            kept[value.data_ptr()] = value.numel() * value.element_size()
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        logits = model.train()(images())
    assert logits.requires_grad
    return sum(kept.values())


@needs_timm
@pytest.mark.parametrize("written", [NETWORKS[0], TRACED[1]], ids=name_of)
def test_less_is_kept(written: dict[str, Any]) -> None:
    plain, recomputing = pair(written)
    assert kept_bytes(recomputing) < 0.25 * kept_bytes(plain)


@needs_timm
def test_the_maps_of_all_stages_are_equal_too() -> None:
    for written in (NETWORKS[0], TRACED[2]):
        plain, recomputing = (model.eval() for model in pair(written))
        one, other = plain.features(images()), recomputing.features(images())
        assert list(one) == list(other)
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_without_gradients_nothing_is_kept_for_a_second_time() -> None:
    _, recomputing = pair(NETWORKS[0])
    with torch.no_grad():
        assert not recomputing(images()).requires_grad


def test_a_block_that_changes_its_input_in_place_is_refused() -> None:
    recomputing = Recomputing(nn.Sequential())
    x = torch.ones(2, requires_grad=True) * 2
    with pytest.raises(UserError, match="changes its input in place"):
        recomputing(lambda value: value.mul_(3), x)
