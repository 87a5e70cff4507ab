"""The map after each stage: hookable, described, and what the network's next layers read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dcasearch.architecture import BACKBONES, Architecture
from dcasearch.models import DCANet
from tests.models.samples import FUNCTIONS, KINDS, built, copied, images, perturb, spec

TINY = {"name": "resnet18", "width": 0.125, "stem": "small"}


def narrow(name: str) -> dict[str, Any]:
    """Return a backbone as narrow as its name lets it be, for small images."""
    return {"name": name, "stem": "small"} | ({} if BACKBONES[name].widths else {"width": 0.125})


def truncated(model: DCANet) -> list[Callable[[Tensor], Tensor]]:
    """Return for each stage a network of torchvision's own modules that ends there."""
    backbone: Any = model.backbone
    names = [stage.block for stage in model.stages]
    if hasattr(backbone, "layer1"):
        stem = nn.Sequential(backbone.conv1, backbone.bn1, backbone.relu, backbone.maxpool)
        layers = [backbone.get_submodule(name.split(".")[0]) for name in names]
        return [nn.Sequential(stem, *layers[: n + 1]) for n in range(len(layers))]
    stack = backbone.features if hasattr(backbone, "features") else backbone.layers
    return [stack[: int(name.split(".")[1]) + 1] for name in names]


QUICK = {"resnet18", "resnet50", "mnasnet0_5", "mobilenet_v2"}


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in BACKBONES]
)
def test_a_tapped_map_is_that_of_a_network_that_ends_there(name: str) -> None:
    model = built({"backbone": narrow(name), "attention": {"name": "none"}}).eval()
    batch = images(2, 32)
    with torch.no_grad():
        expected = [network(batch) for network in truncated(model)]
        found = model.features(batch)
    assert list(found) == [stage.name for stage in model.stages] == list(model.taps)
    for stage, map_, wanted in zip(model.stages, found.values(), expected, strict=True):
        assert torch.equal(map_, wanted)
        assert map_.shape == (2, stage.channels, -(-32 // stage.scale), -(-32 // stage.scale))


def overwritten(model: DCANet) -> list[str]:
    """Return the taps whose map a later layer changes, in a forward pass that keeps gradients."""
    at_once: dict[str, Tensor] = {}
    later: dict[str, Tensor] = {}

    def look(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, inputs: Any, map_: Tensor) -> None:
            at_once[name], later[name] = map_.detach().clone(), map_

        return hook

    for name, tap in model.taps.items():
        tap.register_forward_hook(look(name))
    model(images(2)).square().sum().backward()
    assert list(later) == [stage.name for stage in model.stages]
    return [name for name, map_ in later.items() if not torch.equal(map_, at_once[name])]


@pytest.mark.parametrize("training", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_no_later_layer_overwrites_a_tapped_map(kind: str, training: bool) -> None:
    assert overwritten(copied(spec(kind, TINY, topology="tree")).train(training)) == []


@pytest.mark.parametrize("name", ["resnet50", "mnasnet0_5", "mobilenet_v2"])
def test_no_backbone_overwrites_a_tapped_map(name: str) -> None:
    assert overwritten(built(spec("cbam", narrow(name), coupling="coupled")).eval()) == []


@pytest.mark.filterwarnings("ignore:weighted. literal")
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_no_connection_overwrites_a_tapped_map(function: Any) -> None:
    assert overwritten(built(spec("cbam", TINY, topology="dense", function=function)).eval()) == []


def test_a_tap_stands_after_the_attention_of_its_stage() -> None:
    model = built({**spec("se", TINY), "stage_attention": KINDS["bam"]}).eval()
    perturb(model)
    outputs: dict[str, Tensor] = {}
    for name in ("stage1", "layer1_1"):
        model.attention[name].register_forward_hook(lambda m, i, out, name=name: outputs.update({name: out[0]}))
    found = model.features(images(2))
    assert torch.equal(found["stage1"], outputs["stage1"])
    assert not torch.equal(found["stage1"], outputs["layer1_1"])
    assert list(found) == ["stage1", "stage2", "stage3", "stage4"]


def test_features_stop_before_the_head_and_the_head_takes_the_last() -> None:
    model = built(spec("se")).eval()
    backbone: Any = model.backbone
    called: list[nn.Module] = []
    backbone.classifier.register_forward_hook(lambda *_: called.append(backbone.classifier))
    found = model.features(images(2))
    assert called == []
    assert torch.equal(backbone.head(found["stage7"]), model(images(2)))


def test_a_hook_that_changes_a_tapped_map_changes_what_follows() -> None:
    model = built(spec("se", TINY, topology="chain")).eval()
    before = model(images(2))
    handle = model.taps["stage2"].register_forward_hook(lambda m, i, map_: map_ * 2)
    assert not torch.allclose(model(images(2)), before)
    handle.remove()
    assert torch.equal(model(images(2)), before)


def test_taps_own_nothing_that_is_saved_or_trained() -> None:
    model = built(spec("cbam", TINY, topology="dense"))
    assert not [name for name in model.state_dict() if name.startswith("taps")]
    assert not [name for name, _ in model.named_parameters() if name.startswith("taps")]
    assert not list(model.taps.buffers())


def test_stages_say_channels_and_scale() -> None:
    network = Architecture.parse({"backbone": {"name": "resnet50"}, "attention": {"name": "se"}}).network
    assert [(s.name, s.channels, s.scale, s.block) for s in network.stages] == [
        ("stage1", 256, 4, "layer1.2"),
        ("stage2", 512, 8, "layer2.3"),
        ("stage3", 1024, 16, "layer3.5"),
        ("stage4", 2048, 32, "layer4.2"),
    ]
    assert network.pyramid == network.stages


def test_a_pyramid_takes_the_last_stage_of_each_scale() -> None:
    for name, expected in {
        "mnasnet1_0": [("stage1", 4), ("stage2", 8), ("stage4", 16), ("stage6", 32)],
        "mobilenet_v2": [("stage1", 2), ("stage2", 4), ("stage3", 8), ("stage5", 16), ("stage7", 32)],
    }.items():
        network = Architecture.parse({"backbone": {"name": name}, "attention": {"name": "se"}}).network
        assert [(stage.name, stage.scale) for stage in network.pyramid] == expected


@pytest.mark.slow
def test_features_are_exported() -> None:
    class Trunk(nn.Module):
        def __init__(self, model: DCANet) -> None:
            super().__init__()
            self.model = model

        def forward(self, batch: Tensor) -> dict[str, Tensor]:
            return dict(self.model.features(batch))

    model = built(spec("se", TINY, topology="chain")).eval()
    batch = images(2, 32)
    program = torch.export.export(Trunk(model), (batch,)).module()
    for name, map_ in program(batch).items():
        torch.testing.assert_close(map_, model.features(batch)[name])
