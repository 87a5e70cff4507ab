"""Attention in a library's network: the same numbers as in the hand-split backbones, whatever the network."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn

from dcasearch.architecture import BACKBONES, KINDS, Architecture, LibraryBackbone, LibraryNetwork
from dcasearch.errors import ArchitectureError
from dcasearch.models import DCANet, build_model, initialize
from dcasearch.models.traced import analysis_for, trace_of
from tests.models.traced.support import CLASSES, assert_equal_courses, library_network, needs_timm

TINY = "timm/test_byobnet"
INVERTED = "timm/mobilenetv3_small_050"
QUICK = ("resnet18",)
CONNECTED: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    ({"name": "none"}, None),
    ({"name": "se"}, {}),
    ({"name": "cbam"}, {"topology": "dense", "function": "learned"}),
    ({"name": "sk"}, {"topology": "tree"}),
]


@cache
def model_of(name: str, attention: str = "se", topology: str | None = "chain") -> DCANet:
    connections = None if topology is None else {"topology": topology}
    said = {"backbone": {"name": name}, "attention": {"name": attention}, "connections": connections}
    return build_model(said, CLASSES)


def images(size: int = 64, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(0))


# The ten that this package has prepared


def traced_twin(model: DCANet, name: str) -> DCANet:
    """Return the same architecture over torchvision's network, traced, with the same parameters."""
    network = LibraryNetwork(f"torchvision/{name}")
    library = LibraryBackbone(network, trace_of(network))
    twin = DCANet(replace(model.network, library=library), model.classes)
    theirs = twin.state_dict()
    assert list(theirs) == list(model.state_dict())
    with torch.no_grad():  # value by value: MnasNet's own loading warns of states without a version
        for key, value in model.state_dict().items():
            theirs[key].copy_(value)
    return twin


@pytest.mark.parametrize("name", BACKBONES)
def test_the_layout_found_in_a_prepared_backbone_is_the_declared_one(name: str) -> None:
    trace = trace_of(LibraryNetwork(f"torchvision/{name}"))
    assert trace.layout == BACKBONES[name](1.0, "imagenet")


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in BACKBONES])
@pytest.mark.parametrize(("attention", "connections"), CONNECTED, ids=lambda said: str(said)[:40])
def test_a_prepared_backbone_traced_gives_the_same_bits(
    name: str, attention: dict[str, Any], connections: dict[str, Any] | None
) -> None:
    said = {"backbone": {"name": name}, "attention": attention, "connections": connections}
    model = build_model(said, CLASSES)
    twin = traced_twin(model, name)
    assert_equal_courses(model, twin, 64)
    for (stage, one), other in zip(model.features(images()).items(), twin.features(images()).values(), strict=True):
        assert torch.equal(one, other), stage


@pytest.mark.slow
@pytest.mark.parametrize("kind", [name for name in KINDS if name != "none"])
def test_every_kind_gives_the_same_bits_in_a_traced_backbone(kind: str) -> None:
    connections: dict[str, Any] | None = {"topology": "dense"} if KINDS[kind].dimensions else None
    said = {"backbone": {"name": "resnet18"}, "attention": {"name": kind}, "connections": connections}
    model = build_model(said, CLASSES)
    assert_equal_courses(model, traced_twin(model, "resnet18"), 64)


# Networks that nobody prepared


@needs_timm
def test_without_attention_the_network_is_the_library_s_bit_for_bit() -> None:
    model = model_of(TINY, "none", None)
    theirs = library_network(TINY)
    theirs.load_state_dict(model.backbone.state_dict())
    assert_equal_courses(theirs, copy.deepcopy(model), 64)


@needs_timm
def test_parameters_of_the_backbone_have_the_library_s_names() -> None:
    ours = {name: value.shape for name, value in model_of(TINY).backbone.state_dict().items()}
    assert ours == {name: value.shape for name, value in library_network(TINY).state_dict().items()}


@needs_timm
@pytest.mark.parametrize("kind", [name for name in KINDS if name != "none"])
def test_every_kind_learns_at_images_of_two_sizes(kind: str) -> None:
    topology = "dense" if KINDS[kind].dimensions else None
    model = copy.deepcopy(model_of(TINY, kind, topology)).train()
    for size in (64, 96):
        model.zero_grad()
        logits = model(images(size, 4))
        logits.square().sum().backward()
        assert logits.isfinite().all()
        assert not [name for name, value in model.named_parameters() if value.grad is None]


@needs_timm
def test_a_network_of_another_axis_gets_attention_over_its_channels() -> None:
    model = model_of("timm/test_mambaout", "cbam", "dense")
    axes = set(analysis_for(model.network.library).axes.values())  # type: ignore[arg-type]  # it has a library
    assert 3 in axes
    assert [tuple(value.shape[1:]) for value in model.features(images()).values()] == [
        (stage.channels, 64 // stage.scale, 64 // stage.scale) for stage in model.stages
    ]


@needs_timm
def test_attention_on_a_branch_stands_before_stochastic_depth_and_after_nothing_else() -> None:
    """A dropped branch drops its attention: with attention at the output the shortcut would be gated too."""
    backbone = {"name": "timm/test_convnext2", "arguments": {"drop_path_rate": 0.5}}
    model = build_model({"backbone": backbone, "attention": {"name": "se"}}, CLASSES)
    attention: Any = list(model.attention.values())[-1]
    with torch.no_grad():
        attention.channel.fc2.bias.fill_(-100.0)  # the gate is closed
    drops = [module for module in model.backbone.modules() if type(module).__name__ == "DropPath"]
    assert drops
    seen: list[torch.Tensor] = []
    handle = drops[-1].register_forward_pre_hook(lambda module, given: seen.append(given[0].detach()))
    model.eval()(images())
    handle.remove()
    assert seen[0].abs().max() == 0


@needs_timm
def test_sk_takes_the_place_of_the_last_convolution() -> None:
    model = model_of(INVERTED, "sk", None)
    blocks = {node.name: model.backbone.get_submodule(node.name) for node in model.network.nodes}
    name, block = next((name, block) for name, block in blocks.items() if hasattr(block, "conv_dw"))
    convolution: Any = block.conv_dw
    branch: Any = model.attention[name.replace(".", "_")].get_submodule("branch")
    for field in ("in_channels", "out_channels", "groups", "stride"):
        assert getattr(branch[0], field) == getattr(convolution, field)
    assert isinstance(branch[2], type(block.get_submodule("bn2").get_submodule("act")))


@needs_timm
def test_sk_where_no_convolution_can_be_replaced_says_so() -> None:
    with pytest.raises(ArchitectureError, match=r"sk takes the place of a block's k x k convolution, and layer1\.0"):
        Architecture.parse({"backbone": {"name": "timm/resnest14d"}, "attention": {"name": "sk"}})


@needs_timm
def test_attention_after_a_stage_and_in_blocks_meet_in_one_network() -> None:
    said = {
        "backbone": {"name": TINY},
        "attention": {"name": "se"},
        "stage_attention": {"name": "bam"},
        "connections": {"dimensions": {"channel": True}},
    }
    model = build_model(said, CLASSES)
    assert {node.kind for node in model.network.nodes} == {"se", "bam"}
    model(images(batch=4)).sum().backward()
    assert all(value.grad is not None for name, value in model.named_parameters() if "stage" in name)


@needs_timm
def test_messages_reach_later_blocks() -> None:
    model = copy.deepcopy(model_of(INVERTED)).eval()
    before = model(images())
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("alpha"):
                value.zero_()
    assert not torch.equal(model(images()), before)


@pytest.mark.slow
@needs_timm
@pytest.mark.parametrize("topology", ["chain", "dense", "tree"])
def test_in_hrnet_a_connection_joins_blocks_of_one_branch_only(topology: str) -> None:
    said = {"backbone": {"name": "timm/hrnet_w18_small"}, "attention": {"name": "se"}}
    network = Architecture.parse({**said, "connections": {"topology": topology}}).network
    ends = [(network.nodes[edge.source].layout, network.nodes[edge.target].layout) for edge in network.edges]
    assert ends
    assert all((one.channels, one.scale) == (other.channels, other.scale) for one, other in ends)


@needs_timm
def test_without_a_head_the_maps_are_the_same() -> None:
    model = copy.deepcopy(model_of(TINY)).eval()
    before = model.features(images())
    parameters = sum(value.numel() for value in model.parameters())
    model.drop_head()
    assert sum(value.numel() for value in model.parameters()) < parameters
    assert all(torch.equal(one, before[name]) for name, one in model.features(images()).items())


@needs_timm
@pytest.mark.parametrize("form", ["copied", "pickled"])
def test_a_copy_computes_the_same_with_parameters_of_its_own(form: str) -> None:
    model = copy.deepcopy(model_of(TINY)).eval()
    copied: DCANet = copy.deepcopy(model) if form == "copied" else pickle.loads(pickle.dumps(model))
    assert torch.equal(copied(images()), model(images()))
    before = model(images())
    with torch.no_grad():
        for value in copied.parameters():
            value.zero_()
    assert torch.equal(model(images()), before)
    assert not torch.equal(copied(images()), before)


# Initial values


@needs_timm
def test_initial_values_are_the_library_s_under_the_seed() -> None:
    model = model_of(TINY, "none", None)
    other = build_model({"backbone": {"name": TINY}}, CLASSES, seed=1)
    differ = [name for name, value in model.state_dict().items() if not torch.equal(value, other.state_dict()[name])]
    drawn = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert {f"{name}.weight" for name in drawn} <= set(differ)
    again = build_model({"backbone": {"name": TINY}}, CLASSES)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())


@needs_timm
@pytest.mark.parametrize("own", ["keep", "remove", "replace"])
def test_attention_and_connections_change_no_initial_value_of_the_backbone(own: str) -> None:
    plain = model_of(TINY, "none", None)
    name = plain.network.backbone[0]
    other = build_model(
        {"backbone": {"name": name, "own_attention": own}, "attention": {"name": "cbam"}, "connections": {}}, CLASSES
    )
    ours, theirs = other.backbone.state_dict(), plain.backbone.state_dict()
    assert set(ours) <= set(theirs)
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


@needs_timm
def test_layer_scale_and_buffers_start_as_in_the_library() -> None:
    model = model_of("timm/test_convnext2", "none", None)
    theirs = library_network("timm/test_convnext2")
    constant = [name for name in theirs.state_dict() if name.endswith("gamma") or "filt" in name]
    assert constant
    assert all(torch.equal(model.backbone.state_dict()[name], theirs.state_dict()[name]) for name in constant)


@needs_timm
def test_initialisation_leaves_the_global_random_state_alone() -> None:
    model = copy.deepcopy(model_of(TINY))
    state = torch.get_rng_state()
    initialize(model, 3)
    assert torch.equal(torch.get_rng_state(), state)
