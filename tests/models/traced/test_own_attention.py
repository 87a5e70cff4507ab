"""What becomes of the attention that a library's network brings along."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dcasearch.architecture import Architecture, LibraryNetwork
from dcasearch.errors import ArchitectureError
from dcasearch.models import DCANet, build_model
from dcasearch.models.traced import analysis_of
from dcasearch.models.traced.own_attention import is_own_attention
from tests.models.traced.support import CLASSES, library_network, needs_timm

pytestmark = needs_timm
GATED = "timm/test_byobnet"
INVERTED = "timm/mobilenetv3_small_050"


def model_of(name: str, own: str, attention: str = "none", connections: Any = None) -> DCANet:
    backbone = {"name": name, "own_attention": own}
    return build_model({"backbone": backbone, "attention": {"name": attention}, "connections": connections}, CLASSES)


def own_in(model: DCANet) -> list[str]:
    return [name for name, module in model.named_modules() if is_own_attention(module)]


def test_it_is_kept_where_nothing_is_said() -> None:
    assert own_in(build_model({"backbone": {"name": GATED}}, CLASSES)) == own_in(model_of(GATED, "keep")) != []


@pytest.mark.parametrize("own", ["remove", "replace"])
def test_it_is_taken_out_with_its_parameters(own: str) -> None:
    model, kept = model_of(GATED, own), model_of(GATED, "keep")
    assert own_in(model) == []
    gone = set(kept.state_dict()) - set(model.state_dict())
    assert gone
    assert all(any(name.startswith(f"{place}.") for place in own_in(kept)) for name in gone)


def test_a_network_without_it_is_the_one_that_was_built_without() -> None:
    """SE-ResNet without SE is ResNet: the same parameters, logits and hash."""
    removed = model_of("timm/seresnet50", "remove").eval()
    plain = library_network("timm/resnet50").eval()
    plain.load_state_dict(removed.backbone.state_dict(), strict=True)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(removed(images), plain(images))
    assert removed.network.library is not None
    assert removed.network.library.trace.graph == analysis_of(LibraryNetwork("timm/resnet50")).trace.graph


def test_replaced_it_gives_its_place_and_its_width() -> None:
    backbone = {"name": INVERTED, "own_attention": "replace"}
    replaced = Architecture.parse({"backbone": backbone, "attention": {"name": "se"}})
    kept = model_of(INVERTED, "keep")
    widths = {}
    for name in own_in(kept):
        path = name.removeprefix("backbone.").rpartition(".")[0]
        block: Any = kept.backbone.get_submodule(path)
        widths[path] = (block.conv_pwl if hasattr(block, "conv_pwl") else block.conv_pw).in_channels
    assert widths
    found = {node.name: node.layout.channels for node in replaced.network.nodes}
    assert {name: found[name] for name in widths} == widths
    assert [stage.channels for stage in replaced.network.stages] == [stage.channels for stage in kept.network.stages]


def test_connections_run_between_the_places_of_own_attention() -> None:
    model = model_of(INVERTED, "replace", "se", {"topology": "dense"}).train()
    model(torch.randn(4, 3, 64, 64)).square().sum().backward()
    assert all(value.grad is not None for value in model.parameters())
    assert len(model.network.edges) > 10


def test_a_network_without_any_says_so() -> None:
    with pytest.raises(ArchitectureError, match="has no attention of its own; leave own_attention out") as caught:
        model_of("timm/test_resnet", "remove")
    assert caught.value.path == ("backbone", "own_attention")


@pytest.mark.parametrize("name", ["timm/resnest14d", "timm/skresnet18"])
def test_where_it_is_the_convolution_it_can_only_be_kept(name: str) -> None:
    with pytest.raises(ArchitectureError, match=r"is the convolution of its blocks .*: it can only be kept"):
        model_of(name, "remove")


def test_where_a_factor_would_stay_it_can_only_be_kept() -> None:
    with pytest.raises(ArchitectureError, match="multiplies its output by attn_gain: it can only be kept"):
        model_of("timm/dm_nfnet_f0", "replace")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["timm/efficientnet_b0", "timm/regnety_002", "timm/ghostnet_100", "timm/legacy_seresnet18", "timm/ese_vovnet19b_dw",
     "timm/rexnet_100", "timm/hgnet_tiny", "timm/tresnet_m", "torchvision/efficientnet_b0",
     "torchvision/regnet_y_400mf", "torchvision/mobilenet_v3_small"],
)  # fmt: skip
@pytest.mark.parametrize("own", ["remove", "replace"])
def test_it_can_be_taken_out_of_the_networks_that_have_it(name: str, own: str) -> None:
    with torch.device("meta"):
        model = model_of(name, own, "se", {})
    assert own_in(model) == []
    assert model(torch.empty(2, 3, 64, 64, device="meta")).shape == (2, CLASSES)
