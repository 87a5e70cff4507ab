"""Each attention block by itself: the formulas of its paper, and what it sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.architecture import KINDS, Architecture, Dimension, Node, dimensions
from dcasearch.architecture.kinds import Options, Shape
from dcasearch.models.attention import (
    ATTENTIONS,
    AttentionBlock,
    Branch,
    Extraction,
    JointAttention,
    Message,
    attention_of,
)
from dcasearch.models.attention.base import Read
from dcasearch.models.backbones import NETWORKS, Backbone
from dcasearch.models.connections import send_map, send_message
from tests.models import samples


def attention(kind: str) -> Any:
    """Return the attention of a ResNet-18's layer1.1, of 64 channels, or after its stage, which it ends."""
    block = layer(kind)
    _, host, *_ = cast(Backbone, NETWORKS["resnet18"](1.0, "small", 10)).blocks()
    torch.manual_seed(0)
    return attention_of(block, host).eval()


def layer(kind: str) -> Node:
    nodes = Architecture.parse(samples.spec(kind, {"name": "resnet18", "stem": "small"})).network.nodes
    return [node for node in nodes if node.layout.name == "layer1.1"][-1]


def alone(dimension: Dimension, raw: Extraction, read: Read) -> Extraction:
    return raw


SENDS: Any = dict.fromkeys(dimensions(), send_message)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 64, 9, 9, generator=torch.Generator().manual_seed(1))


def test_every_kind_is_registered_and_has_the_dimensions_it_declares() -> None:
    assert set(ATTENTIONS) == set(KINDS)
    for kind in ["none", *samples.KINDS]:
        assert attention(kind).dimensions == tuple(layer(kind).ports)


def features(kind: str, x: Tensor) -> Any:
    """Return what a kind attends on: a map, or SK's pair of maps."""
    return (x, x) if kind == "sk" else x


@pytest.mark.parametrize("kind", samples.KINDS)
def test_messages_have_the_shape_that_the_kind_declares(kind: str, x: Tensor) -> None:
    _, messages = attention(kind).attend(features(kind, x), alone, SENDS)
    for dimension, port in layer(kind).ports.items():
        size = () if port.scale is None else tuple(-(-9 // port.scale) if a in port.axes else 1 for a in ("H", "W"))
        assert [tuple(m.shape) for m in messages[dimension]] == [(2, port.channels, *size)] * port.branches


@pytest.mark.parametrize("kind", samples.KINDS)
def test_g_and_t_have_the_shapes_that_the_kind_declares(kind: str, x: Tensor) -> None:
    block = layer(kind)
    declared = KINDS[block.kind]
    written = {k: v for k, v in samples.KINDS[kind].items() if k != "name"}
    options = {**declared.completed(written), **block.options}
    seen: dict[str, tuple[list[tuple[int, ...]], tuple[int, ...]]] = {}

    def look(part: Branch[Any], raw: Extraction, transformed: Tensor, gated: Tensor) -> Message:
        seen[part.dimension] = [tuple(g.shape) for g in raw], tuple(transformed.shape)
        return part.message(raw, transformed)

    module = attention(kind)
    for dimension in module.dimensions:
        module.part(dimension).dimension = dimension
    module.attend(features(kind, x), alone, dict.fromkeys(module.dimensions, look))
    for dimension, state in declared.dimensions.items():
        extracted, transformed = seen[dimension]
        assert set(extracted) == {sizes(state.g, block, options)}
        assert len(extracted) >= state.branches
        assert transformed == sizes(state.t, block, options)


@pytest.mark.parametrize("kind", samples.KINDS)
def test_a_transformation_has_parameters_where_the_kind_declares_them(kind: str, x: Tensor) -> None:
    states = KINDS[layer(kind).kind].dimensions
    learned: dict[str, bool] = {}

    def detached(dimension: Dimension, raw: Extraction, read: Read) -> Extraction:
        return tuple(g.detach() for g in raw)

    def look(dimension: Dimension) -> Any:
        def send(part: Branch[Any], raw: Extraction, transformed: Tensor, gated: Tensor) -> Message:
            learned[dimension] = transformed.requires_grad
            return raw

        return send

    module = attention(kind)
    module.attend(features(kind, x), detached, {dimension: look(dimension) for dimension in states})
    assert learned == {dimension: state.learnable for dimension, state in states.items()}


def sizes(shape: Shape, block: Node, options: Options) -> tuple[int, ...]:
    """Return a declared shape's sizes for two images and a block's map of 9x9."""
    known = {"B": 2, "C": block.layout.channels, "D": block.layout.width, "H": 9, "W": 9}
    found = []
    for axis in shape:
        letter, _, option = axis.partition("/")
        by = options[option] if option else 1
        if by is not None:
            size = known.get(letter) or int(letter if letter.isdigit() else str(options[letter]))
            found.append(-(-size // int(by)))
    return tuple(found)


def test_a_module_of_other_dimensions_than_declared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ATTENTIONS._entries, "se", lambda block, host: AttentionBlock(spatial=Halve()))
    with pytest.raises(TypeError, match="se declares the dimensions channel; its module has spatial"):
        attention("se")


def test_se_gates_channels_and_sends_its_gates_scaled_by_the_raw_descriptor(x: Tensor) -> None:
    block = attention("se")
    g = x.mean((2, 3))
    t = torch.sigmoid(block.channel.fc2(F.relu(block.channel.fc1(g))))
    y, messages = block.attend(x, alone, SENDS)
    torch.testing.assert_close(y, x * t[:, :, None, None])
    torch.testing.assert_close(messages["channel"], (t * g,))


def test_a_message_scales_the_fused_transformation_by_the_raw_extraction(x: Tensor) -> None:
    block = attention("se")

    def doubled(dimension: Dimension, raw: Extraction, read: Read) -> Extraction:
        return (2 * raw[0],)

    g = x.mean((2, 3))
    t = torch.sigmoid(block.channel.fc2(F.relu(block.channel.fc1(2 * g))))
    _, messages = block.attend(x, doubled, SENDS)
    torch.testing.assert_close(messages["channel"], (t * g,))


def test_global_ge_theta_minus_is_the_sigmoid_of_the_average(x: Tensor) -> None:
    y, messages = attention("ge_theta_minus").attend(x, alone, SENDS)
    g = x.mean((2, 3))
    torch.testing.assert_close(y, x * torch.sigmoid(g)[:, :, None, None])
    torch.testing.assert_close(messages["channel"], (torch.sigmoid(g) * g,))


def test_finite_ge_theta_minus_averages_neighbourhoods(x: Tensor) -> None:
    y, messages = attention("ge_theta_minus_2").attend(x, alone, SENDS)
    g = F.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False)
    torch.testing.assert_close(y, x * F.interpolate(torch.sigmoid(g), size=(9, 9)))
    assert messages["channel"][0].shape == (2, 64, 5, 5)


def test_ge_theta_gathers_by_three_strided_depthwise_convolutions_without_activation(x: Tensor) -> None:
    block = attention("ge_theta")
    kinds = [type(layer) for layer in block.channel.gather]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d] * 3
    assert all(layer.groups == 64 and layer.stride == (2, 2) for layer in block.channel.gather[::2])
    y, _ = block.attend(x, alone, {})
    gates = torch.sigmoid(block.channel.gather(x))
    torch.testing.assert_close(y, x * F.interpolate(gates, size=(9, 9)))


def test_gc_adds_the_context_and_sends_it_unscaled(x: Tensor) -> None:
    block = attention("gc")
    part = block.channel
    weights = part.mask(x).flatten(2).softmax(2)
    g = (x.flatten(2) * weights).sum(2)
    t = part.fc2(F.relu(part.norm(part.fc1(g))))
    y, messages = block.attend(x, alone, SENDS)
    torch.testing.assert_close(y, x + t[:, :, None, None])
    torch.testing.assert_close(messages["channel"], (t,))


def test_sk_selects_between_its_branches_and_sends_each(x: Tensor) -> None:
    block = attention("sk")
    part, second = block.channel, x.flip(3) * 2
    first_g, second_g = x.mean((2, 3)), second.mean((2, 3))
    logits = part.fc2(F.relu(part.norm(part.fc1(first_g + second_g))))
    first_t, second_t = torch.stack(logits.chunk(2, 1)).softmax(0)
    y, messages = block.attend((x, second), alone, SENDS)
    torch.testing.assert_close(y, x * first_t[:, :, None, None] + second * second_t[:, :, None, None])
    torch.testing.assert_close(messages["channel"], (first_t * first_g, second_t * second_g))


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "mnasnet0_5", "mobilenet_v2"])
def test_sks_first_branch_is_the_backbones_own_convolution(backbone: str) -> None:
    with torch.device("meta"):
        plain = samples.built({"backbone": {"name": backbone}}).backbone.state_dict()
        model = samples.built(samples.spec("sk", {"name": backbone}))
    assert list(model.backbone.state_dict()) == list(plain)
    for attention, host in zip(model.attention.values(), cast(Backbone, model.backbone).blocks(), strict=True):
        first, second = host.convolution, cast(Any, attention).branch[0]
        assert (second.kernel_size, second.dilation) == ((3, 3), (2, 2))
        assert (second.stride, second.groups) == (first.stride, first.groups)
        assert (second.in_channels, second.out_channels) == (first.in_channels, first.out_channels)


def test_cbam_gates_channels_then_positions(x: Tensor) -> None:
    block = attention("cbam")
    average, maximum = x.mean((2, 3)), x.amax((2, 3))
    mlp = lambda g: block.channel.fc2(F.relu(block.channel.fc1(g)))  # noqa: E731  # the formula as it is written
    t = torch.sigmoid(mlp(average) + mlp(maximum))
    gated = x * t[:, :, None, None]
    g = torch.cat((gated.amax(1, keepdim=True), gated.mean(1, keepdim=True)), 1)
    s = torch.sigmoid(block.spatial.norm(block.spatial.conv(g)))
    y, messages = block.attend(x, alone, SENDS)
    torch.testing.assert_close(y, gated * s)
    torch.testing.assert_close(messages["channel"], (t * average,))
    torch.testing.assert_close(messages["spatial"], (s * g,))


def test_no_other_kind_loses_what_it_is_gated_with(x: Tensor) -> None:
    before = x.clone()
    for kind in samples.KINDS:
        attention(kind).attend(features(kind, x), alone, SENDS)
    assert torch.equal(x, before)


def test_a_coupled_message_is_the_gated_map_and_outlives_the_addition_in_place(x: Tensor) -> None:
    y, messages = attention("cbam").attend(x, alone, {"channel": send_map, "spatial": send_map})
    expected = y.clone()
    y.add_(1)
    assert messages["channel"][0].shape == x.shape
    assert torch.equal(messages["spatial"][0], expected)


def test_nothing_is_sent_where_nobody_listens(x: Tensor) -> None:
    assert attention("cbam").attend(x, alone, {"spatial": send_message})[1].keys() == {"spatial"}


class Halve(Branch[Tensor]):
    """The smallest attention block: a second implementation of the interface, of a few lines."""

    def extract(self, features: Tensor) -> Extraction:
        return (features.mean((2, 3)),)

    def transform(self, extraction: Extraction) -> Tensor:
        return torch.full_like(extraction[0], 0.5)

    def fuse(self, features: Tensor, transformed: Tensor) -> Tensor:
        return features * transformed[:, :, None, None]


class Together(JointAttention):
    """Adds the gates of its dimensions."""

    def fuse(self, features: Tensor, transformed: Mapping[Dimension, Tensor]) -> Tensor:
        return features * (transformed["channel"][:, :, None, None] + transformed["spatial"])


class Brightness(Branch[Tensor]):
    def extract(self, features: Tensor) -> Extraction:
        return (features.mean(1, keepdim=True),)

    def transform(self, extraction: Extraction) -> Tensor:
        return extraction[0].sigmoid()


def test_dimensions_that_gate_together_read_one_map_and_send_each_their_own(x: Tensor) -> None:
    block = Together(channel=Halve(), spatial=Brightness())
    received = []

    def receive(dimension: Dimension, raw: Extraction, read: Read) -> Extraction:
        received.append(dimension)
        return (2 * raw[0],)

    y, messages = block.attend(x, receive, SENDS)
    c, s = x.mean((2, 3)), x.mean(1, keepdim=True)
    assert received == ["channel", "spatial"]
    torch.testing.assert_close(y, x * (0.5 + torch.sigmoid(2 * s)))
    torch.testing.assert_close(messages["channel"], (c / 2,))
    torch.testing.assert_close(messages["spatial"], (torch.sigmoid(2 * s) * s,))
    assert block.attend(x, receive, {"spatial": send_message})[1].keys() == {"spatial"}


def test_a_new_attention_block_needs_three_methods(x: Tensor) -> None:
    y, messages = AttentionBlock(channel=Halve()).attend(x, alone, SENDS)
    assert torch.equal(y, x / 2)
    expected: Message = (x.mean((2, 3)) / 2,)
    assert torch.equal(messages["channel"][0], expected[0])
