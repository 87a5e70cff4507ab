"""The backbones are torchvision's networks: names, numbers and geometry."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
import torchvision
from torch import nn

from dcasearch.architecture import BACKBONES
from dcasearch.architecture.layouts import Stem
from dcasearch.models import build_model, load_backbone
from dcasearch.models.backbones import NETWORKS, Backbone

CASES = [(name, 1.0, stem) for name in BACKBONES for stem in ("imagenet", "small")]
CASES += [("mobilenet_v2", width, "imagenet") for width in (0.25, 0.35, 0.5, 0.75, 1.3, 1.4)]
CASES += [("resnet18", 0.125, "small"), ("resnet34", 0.2, "imagenet"), ("resnet50", 0.5, "small")]


def meta_network(name: str, width: float, stem: Stem) -> nn.Module:
    with torch.device("meta"):
        return NETWORKS[name](width, stem, 10)


def test_the_networks_are_those_of_the_layouts() -> None:
    assert set(NETWORKS) == set(BACKBONES)


@pytest.mark.parametrize(("name", "width", "stem"), CASES)
def test_the_layout_equals_the_real_network(name: str, width: float, stem: Stem) -> None:
    network = meta_network(name, width, stem)
    backbone = cast(Backbone, network)
    layout = BACKBONES[name](width, stem)
    x = backbone.stem(torch.empty(2, 3, 64, 64, device="meta"))
    for block, host in zip(layout.blocks, backbone.blocks(), strict=True):
        assert network.get_submodule(block.name) is host
        size = x.shape[-1]
        v = host.convolve(host.before(x))
        y = host.after(v)
        assert (v.shape[1], host.convolution.out_channels) == (block.width, block.width)
        assert y.shape == (2, block.channels, 64 // block.scale, 64 // block.scale)
        assert size // y.shape[-1] == block.stride
        x = host.join(x, y)
    assert backbone.head(x).shape == (2, 10)


def test_a_resnets_width_multiplies_the_channels_of_every_stage() -> None:
    layout = BACKBONES["resnet18"](0.25, "small")
    assert [block.channels for block in layout.blocks] == [16, 16, 32, 32, 64, 64, 128, 128]


@pytest.mark.parametrize("name", BACKBONES)
def test_parameter_names_are_torchvisions(name: str) -> None:
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name, num_classes=10).state_dict()
    ours = meta_network(name, 1.0, "imagenet").state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


def trained(name: str) -> nn.Module:
    """Return torchvision's network with running statistics of its own."""
    torch.manual_seed(0)
    network: nn.Module = torchvision.models.get_model(name, num_classes=10)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.5
    network(torch.randn(4, 3, 64, 64))
    return network.eval()


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mnasnet0_5", "mnasnet1_0", "mobilenet_v2"])
def test_without_attention_the_logits_equal_torchvisions_bit_for_bit(name: str) -> None:
    theirs = trained(name)
    model = build_model({"backbone": {"name": name}}, num_classes=10).eval()
    load_backbone(model, theirs.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model(images), theirs(images))


def test_load_backbone_leaves_attention_and_connections_alone() -> None:
    model = build_model({"backbone": {"name": "resnet18"}, "attention": {"name": "se"}, "connections": {}}, 10)
    before = {k: v.clone() for k, v in model.state_dict().items() if not k.startswith("backbone.")}
    load_backbone(model, trained("resnet18").state_dict())
    assert before
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


def test_load_backbone_refuses_another_networks_weights() -> None:
    model = build_model({"backbone": {"name": "resnet18"}}, 10)
    state: dict[str, Any] = trained("resnet18").state_dict()
    del state["fc.bias"]
    with pytest.raises(RuntimeError, match=r"Missing key.*fc\.bias"):
        load_backbone(model, state)


def test_a_mnasnet_state_without_version_metadata_loads() -> None:
    model = build_model({"backbone": {"name": "mnasnet0_5"}}, 10)
    load_backbone(model, dict(trained("mnasnet0_5").state_dict()))
    model.load_state_dict(dict(model.state_dict()))
