"""A traced network with nothing inserted is the library's own, bit for bit, in both modes and in both orders."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dcasearch.errors import ArchitectureError
from dcasearch.models.traced.tracing import Root, trace
from tests.models.traced.support import CLASSES, Generated, assert_equal_courses, library_network, needs_timm, twins

SLOW = [
    ("timm/efficientnet_lite0", {"drop_path_rate": 0.3, "drop_rate": 0.3}),
    ("timm/regnety_002", {"drop_path_rate": 0.3}),
    ("timm/convnext_femto", {"drop_path_rate": 0.3, "drop_rate": 0.2}),
    ("timm/mambaout_femto", {"drop_path_rate": 0.3}),
    ("timm/densenet121", {"drop_rate": 0.3}),
    ("timm/dm_nfnet_f0", {"drop_path_rate": 0.3}),
    ("timm/resnet26t", {"drop_path_rate": 0.3}),
    ("timm/fastvit_t8", {}),
    ("timm/ghostnet_100", {"drop_rate": 0.3}),
    ("timm/hrnet_w18_small", {}),
    ("timm/vgg11_bn", {"drop_rate": 0.3}),
    ("torchvision/densenet121", {"drop_rate": 0.3}),
    ("torchvision/mobilenet_v3_small", {}),
    ("torchvision/shufflenet_v2_x0_5", {}),
    ("torchvision/convnext_tiny", {"stochastic_depth_prob": 0.3}),
]


@needs_timm
def test_drop_path_runs_in_training_and_not_in_evaluation() -> None:
    theirs, ours = twins("timm/test_convnext2", drop_path_rate=0.5, drop_rate=0.3)
    assert any(type(module).__name__ == "DropPath" for module in theirs.modules())
    assert_equal_courses(theirs, ours, 64)
    images = torch.randn(2, 3, 64, 64)
    assert not torch.equal(ours.train()(images), ours(images))
    assert torch.equal(ours.eval()(images), ours(images))


@needs_timm
def test_batch_norm_with_its_activation_keeps_its_statistics() -> None:
    theirs, ours = twins("timm/test_efficientnet", drop_path_rate=0.3)
    before = {name: value.clone() for name, value in ours.named_buffers()}
    assert_equal_courses(theirs, ours, 64)
    assert any(not torch.equal(value, before[name]) for name, value in ours.named_buffers())


class Functional(nn.Module):
    """A network whose dropout is a function that is told the mode."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, CLASSES, 3)

    def forward(self, images: Tensor) -> Tensor:
        y = nn.functional.dropout2d(self.convolution(images), 0.5, self.training)
        return nn.functional.dropout(y.mean((2, 3)), p=0.5, training=self.training)


def test_functional_dropout_follows_the_mode_of_the_module_that_calls_it() -> None:
    theirs = Functional()
    ours = Root(copy.deepcopy(theirs))
    graph = trace(ours.backbone, library="torchvision")
    modes = [node for node in graph.nodes if node.op == "get_attr"]
    assert {node.target for node in modes} == {"backbone.training"}
    generated = Generated(ours.backbone, graph)
    assert_equal_courses(theirs, generated, 8)
    generated.train()
    generated.backbone.eval()
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(generated(images), generated(images))


class Modal(nn.Module):
    """A network that computes otherwise in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, CLASSES, 3)

    def forward(self, images: Tensor) -> Tensor:
        y = self.convolution(images).mean((2, 3))
        return y * 2 if self.training else y


def test_a_network_that_computes_otherwise_in_training_mode_is_refused() -> None:
    with pytest.raises(ArchitectureError, match=r"otherwise in training than in evaluation mode: .*mul"):
        trace(Modal(), library="torchvision")


class Counting(nn.Module):
    """A network that makes a tensor when it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, CLASSES, 3)

    def forward(self, images: Tensor) -> Tensor:
        y: Tensor = self.convolution(images).mean((2, 3)) + torch.arange(CLASSES)
        return y


def test_a_network_that_makes_a_tensor_when_it_runs_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="makes a tensor when it runs"):
        trace(Counting(), library="torchvision")


class Conditional(nn.Module):
    """A layer that no trace passes through."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Holding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Conditional()

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images).mean((2, 3))


def test_a_layer_that_cannot_be_traced_stays_whole() -> None:
    graph = trace(Holding(), library="torchvision")
    assert [node.target for node in graph.nodes if node.op == "call_module"] == ["backbone.inner"]


def test_a_network_whose_own_forward_pass_cannot_be_traced_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="cannot be traced"):
        trace(Conditional(), library="torchvision")


def test_tracing_leaves_the_mode_as_it_was() -> None:
    for mode in (True, False):
        network = Functional().train(mode)
        trace(network, library="torchvision")
        assert network.training is mode


@pytest.mark.parametrize("model", ["googlenet", "inception_v3"])
def test_networks_with_auxiliary_heads_are_built_without_them(model: str) -> None:
    with torch.device("meta"):
        network = library_network(f"torchvision/{model}")
    assert not any("aux" in name.lower() for name in network.state_dict())
    assert network.train()(torch.empty(2, 3, 128, 128, device="meta")).shape == (2, CLASSES)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["googlenet", "inception_v3"])
def test_networks_without_their_auxiliary_heads_are_the_library_s_bit_for_bit(model: str) -> None:
    assert_equal_courses(*twins(f"torchvision/{model}"), 96)


@pytest.mark.slow
@needs_timm
@pytest.mark.parametrize(("name", "arguments"), SLOW, ids=[name for name, _ in SLOW])
def test_with_nothing_inserted_a_network_is_the_library_s_bit_for_bit(name: str, arguments: dict[str, Any]) -> None:
    theirs, ours = twins(name, **arguments)
    assert list(theirs.state_dict()) == [key.removeprefix("backbone.") for key in ours.state_dict()]
    assert_equal_courses(theirs, ours, 96)
