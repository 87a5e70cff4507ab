"""The blocks that are found in a network that nobody prepared, and where attention stands in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dcasearch.architecture import Architecture, LibraryNetwork
from dcasearch.errors import ArchitectureError
from dcasearch.models import build_model
from dcasearch.models.traced import analysis_of
from dcasearch.models.traced.blocks import Found, Sight, find_blocks
from dcasearch.models.traced.placement import site_of
from dcasearch.models.traced.shapes import Maps
from dcasearch.models.traced.tracing import Root, trace
from tests.models.traced.support import needs_timm

EXPECTED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "layouts.json").read_text())
"""By network. A change here changes ids."""
BEFORE = Path(__file__).parent / "before"
"""Architectures as they were stored before attention stood after layer scale, with their logits then."""
QUICK = {"timm/convnext_femto", "timm/mambaout_femto", "timm/vgg11", "torchvision/mobilenet_v3_small"}


@needs_timm
@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in EXPECTED])
def test_blocks_stages_and_places_are_those_that_the_network_has(name: str) -> None:
    analysis = analysis_of(LibraryNetwork(name))
    blocks = analysis.trace.blocks
    assert {
        "rule": analysis.rule,
        "stages": [sum(row[1] == stage for row in blocks) for stage in range(blocks[-1][1] + 1)],
        "on_branch": sum(site.value is not site.block.output for site in analysis.sites),
        "first": list(blocks[0]),
        "last": list(blocks[-1]),
    } == EXPECTED[name]


@needs_timm
def test_a_network_that_was_stored_before_keeps_its_places_and_its_stages() -> None:
    """Traces of before have the attention before layer scale, and stages where the channels or the scale change."""
    for was in (BEFORE / "convnext.json", BEFORE / "mobilenetv3.json"):
        stored = json.loads(was.read_text())
        architecture = Architecture.parse(stored["architecture"])
        assert architecture.id == stored["id"]
        written_anew = {**stored["architecture"], "backbone": {"name": architecture.backbone.name}}
        assert Architecture.parse(written_anew).id != stored["id"]
        model = build_model(architecture, 5, seed=1).eval()
        with torch.no_grad():
            for name, value in model.backbone.named_parameters():
                if name.endswith("gamma"):  # a start of 1e-6 hides where the attention stands
                    value.fill_(0.5)
            logits = model(torch.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64))
        torch.testing.assert_close(logits, torch.tensor(stored["logits"]), rtol=1e-4, atol=1e-6)


# Networks made for one question each


def looked_at(network: nn.Module) -> tuple[Sight, Found]:
    root = Root(network).to("meta")
    graph = trace(root.backbone, library="torchvision")
    sight = Sight(root, graph, Maps(root, graph))
    return sight, find_blocks(sight)


def found_in(network: nn.Module) -> tuple[str, list[tuple[str, bool]]]:
    """Return the rule that finds a network's blocks, and of each its name and whether attention is on its branch."""
    sight, found = looked_at(network)
    sites = [site_of(sight, found, block, ()) for block in found.blocks]
    return found.rule, [(site.name, site.value is not site.block.output) for site in sites]


class Network(nn.Module):
    """A stem, some blocks and a classifier."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 1)
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        y: Tensor = self.head(self.blocks(self.stem(images)).mean((2, 3)))
        return y


class Residual(nn.Module):
    def __init__(self, kernel: int = 3) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(8, 8, kernel, padding=kernel // 2)
        self.scale = nn.Parameter(torch.ones(8, 1, 1))
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop(self.scale * self.convolution(x))


def test_a_block_is_what_adds_its_branch_to_its_input() -> None:
    rule, blocks = found_in(Network(Residual(), Residual()))
    assert (rule, blocks) == ("residual", [("blocks.0", True), ("blocks.1", True)])


def test_attention_stands_before_dropout_and_after_layer_scale() -> None:
    sight, found = looked_at(Network(Residual()))
    site = site_of(sight, found, found.blocks[0], ())
    assert [node.op for node in site.value.users] == ["call_module"]
    assert {str(node.target) for node in site.value.users} == {"backbone.blocks.0.drop"}


def test_as_traces_of_before_have_it_attention_stands_before_layer_scale() -> None:
    sight, found = looked_at(Network(Residual()))
    site = site_of(sight, found, found.blocks[0], (), before_layer_scale=True)
    assert site.value.target == "backbone.blocks.0.convolution"


class Scaled(nn.Module):
    """A branch whose layers say in their order what happens to it."""

    def __init__(self, **layers: nn.Module) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(8, 8, 3, padding=1)
        self.names = tuple(layers)
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        y = self.convolution(x)
        for name in self.names:
            y = getattr(self, name)(y)
        return x + y


class LayerScale(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


@pytest.mark.parametrize(
    ("layers", "gated"),
    [
        ({"ls": LayerScale(), "drop_path": nn.Identity()}, "ls"),
        ({"ls": LayerScale(), "drop_path": nn.Dropout(0.1)}, "ls"),
        ({"drop_path": nn.Identity(), "ls": LayerScale()}, "convolution"),
        ({"drop_path": nn.Dropout(0.1), "ls": LayerScale()}, "convolution"),
        ({"act": nn.Identity(), "ls": LayerScale()}, "ls"),
        ({"act": nn.Identity()}, "convolution"),
    ],
    ids=lambda layers: "-".join(layers) if isinstance(layers, dict) else layers,
)
def test_a_probability_of_zero_or_above_makes_no_other_place(layers: dict[str, nn.Module], gated: str) -> None:
    sight, found = looked_at(Network(Scaled(**layers)))
    value = site_of(sight, found, found.blocks[0], ()).value
    place = f"backbone.blocks.0.{gated}"
    assert str(value.target) == place or value in sight.within[place]


class Stages(Network):
    """Groups of residual blocks that all have one map."""

    def __init__(self, *blocks: int) -> None:
        super().__init__(*(nn.Sequential(*(Residual() for _ in range(count))) for count in blocks))


def stages_of(network: nn.Module) -> tuple[int, ...]:
    _, found = looked_at(network)
    return found.stages


def test_a_stage_is_the_library_s_own_group() -> None:
    assert stages_of(Stages(2, 1, 2)) == (0, 0, 1, 2, 2)


def test_groups_of_one_block_each_say_nothing_of_stages() -> None:
    assert stages_of(Stages(1, 1, 1)) == (0, 0, 0)


class Inner(nn.Module):
    """A sum of two convolutions of one map, which is no shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.one, self.other = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        return self.one(y) + self.other(y)


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.inner(x)
        return y


def test_a_sum_within_a_computation_is_no_block() -> None:
    assert found_in(Network(Outer(), Outer())) == ("residual", [("blocks.0", True), ("blocks.1", True)])


class Concatenating(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Conv2d(8, 4, 3, padding=1), nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.other(x)], 1)


def test_blocks_that_concatenate_have_attention_at_their_output() -> None:
    assert found_in(Network(Concatenating())) == ("concatenation", [("blocks.0", False)])


class Fusable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def reparameterize(self) -> None:
        """Make one convolution of two."""

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.one(x) + self.other(x)
        return y


def test_units_that_are_re_parametrised_have_attention_at_their_output() -> None:
    assert found_in(Network(Fusable())) == ("re-parametrised", [("blocks.0", False)])


def test_a_chain_of_convolutions_has_attention_after_each_activation() -> None:
    chain = [nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)]
    sight, found = looked_at(Network(*chain))
    assert found.rule == "convolution"
    assert [site_of(sight, found, block, ()).value.target for block in found.blocks] == [
        "backbone.blocks.2",
        "backbone.blocks.3",
    ]


class Pooling(nn.Module):
    """A residual block that mixes by pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.pool(x)
        return y


def test_convolutions_in_stem_and_downsampling_alone_are_an_error() -> None:
    with pytest.raises(ArchitectureError, match="residual blocks have no k x k convolution"):
        found_in(Network(nn.Conv2d(8, 8, 3, padding=1), Pooling()))


class Tokens(nn.Module):
    """A network that makes tokens of its first convolution's map."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.mixing, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        y: Tensor = self.head((tokens + self.mixing(tokens)).mean(1))
        return y


def test_residual_blocks_of_tokens_are_an_error() -> None:
    with pytest.raises(ArchitectureError, match="its residual blocks add tokens, not maps"):
        found_in(Tokens())


def test_a_network_without_convolutions_is_an_error() -> None:
    with pytest.raises(ArchitectureError, match="no convolutions"):
        found_in(nn.Sequential(nn.Flatten(2), nn.AdaptiveAvgPool1d(4), nn.Flatten(1)))


@needs_timm
def test_a_network_that_takes_one_size_alone_is_an_error() -> None:
    with pytest.raises(ArchitectureError, match="takes no images of 256 pixels"):
        analysis_of(LibraryNetwork("timm/test_vit3"))
