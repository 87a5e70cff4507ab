"""BAM by itself: its equations, sizes and messages; what every kind must do is tested where all kinds are."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dcasearch.architecture import Architecture, Port
from dcasearch.models import cost
from dcasearch.models.attention import AttentionBlock
from dcasearch.models.backbones import Passage
from dcasearch.models.connections import send_message
from tests.models.samples import built, images, perturb

RESNET: dict[str, Any] = {"name": "resnet18", "width": 0.25, "stem": "small"}


def bam(backbone: Any = RESNET, **more: Any) -> dict[str, Any]:
    return {"backbone": backbone, "stage_attention": {"name": "bam"}, **more}


def module() -> Any:
    """Return a BAM of 64 channels whose every parameter and statistic differs from its start, in fp64."""
    model = built(bam({"name": "resnet18", "stem": "small"})).double()
    perturb(model)
    generator = torch.Generator().manual_seed(5)
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.add_(torch.rand(buffer.shape, generator=generator, dtype=buffer.dtype))
    return model.attention["stage1"]


@pytest.fixture
def x() -> Tensor:
    return torch.randn(3, 64, 11, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def normalised(x: Tensor, norm: Any, training: bool) -> Tensor:
    """Return BatchNorm by its definition."""
    axes = (0,) if x.ndim == 2 else (0, 2, 3)
    shape = (1, -1, *[1] * (x.ndim - 2))
    mean = x.mean(axes) if training else norm.running_mean
    variance = x.var(axes, unbiased=False) if training else norm.running_var
    x = (x - mean.view(shape)) / torch.sqrt(variance.view(shape) + 1e-5)
    return x * norm.weight.view(shape) + norm.bias.view(shape)


def branches(part: Any, x: Tensor, training: bool) -> tuple[Tensor, Tensor]:
    """Return Mc (B, C) and Ms (B, 1, H, W) as the released code's layers make them, from the same weights."""
    channel, layers = part.channel, part.spatial.layers
    hidden = x.sum((2, 3)) / x[0, 0].numel() @ channel.fc1.weight.T + channel.fc1.bias
    m_c = normalised(hidden, channel.norm, training).clamp(min=0) @ channel.fc2.weight.T + channel.fc2.bias
    y = torch.einsum("oc,bchw->bohw", layers.reduce.weight[:, :, 0, 0], x) + layers.reduce.bias[:, None, None]
    y = normalised(y, layers.norm, training).clamp(min=0)
    for conv, norm in ((layers.conv1, layers.norm1), (layers.conv2, layers.norm2)):
        y = normalised(dilated(y, conv.weight, conv.bias), norm, training).clamp(min=0)
    plane = torch.einsum("oc,bchw->bohw", layers.plane.weight[:, :, 0, 0], y) + layers.plane.bias[:, None, None]
    return m_c, plane


def dilated(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return a 3x3 convolution dilated by 4, zero beyond the border, as a sum over its nine shifts."""
    height, width = x.shape[-2:]
    padded = F.pad(x, (4, 4, 4, 4))
    total = bias[:, None, None].expand(len(x), -1, height, width)
    for i in range(3):
        for j in range(3):
            shifted = padded[..., 4 * i : 4 * i + height, 4 * j : 4 * j + width]
            total = total + torch.einsum("oc,bchw->bohw", weight[:, :, i, j], shifted)
    return total


@pytest.mark.parametrize("training", [False, True])
def test_the_gate_is_the_papers_with_the_released_codes_layers(x: Tensor, training: bool) -> None:
    part = module().train(training)
    m_c, m_s = branches(part, x, training)
    y, messages = part(
        Passage(), x, lambda dimension, raw, read: raw, dict.fromkeys(("channel", "spatial"), send_message)
    )
    torch.testing.assert_close(y, x + x * torch.sigmoid(m_c[:, :, None, None] + m_s), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(messages["channel"], (torch.sigmoid(m_c) * x.mean((2, 3)),), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(messages["spatial"], (torch.sigmoid(m_s) * m_s,), rtol=1e-9, atol=1e-9)


def test_it_stands_after_every_stage_but_the_last_outside_the_residual(x: Tensor) -> None:
    model = built(bam()).eval()
    assert [name for name in model.attention if name.startswith("stage")] == ["stage1", "stage2", "stage3"]
    backbone: Any = model.backbone
    with torch.no_grad():
        expected = backbone.stem(images())
        for n, host in enumerate(backbone.blocks()):
            expected = host(expected)
            if n in (1, 3, 5):
                part = cast(AttentionBlock, model.attention[f"stage{(n + 1) // 2}"])
                m_c, m_s = branches(part, expected, training=False)
                expected = expected + expected * torch.sigmoid(m_c[:, :, None, None] + m_s)
        torch.testing.assert_close(model(images()), backbone.head(expected), rtol=1e-4, atol=1e-4)


def parameters(c: int, r: int = 16) -> int:
    """Count by hand: two fully connected layers and four convolutions, all with biases, and their BatchNorms."""
    h = c // r
    channel = (c * h + h) + 2 * h + (h * c + c)
    spatial = (c * h + h) + 2 * h + 2 * ((9 * h * h + h) + 2 * h) + (h + 1)
    return channel + spatial


def test_parameters_and_multiply_adds_are_those_counted_by_hand() -> None:
    plain = cost(Architecture.parse({"backbone": {"name": "resnet50"}}), 224, 1000)
    counted = cost(Architecture.parse(bam({"name": "resnet50"})), 224, 1000)
    assert counted.params - plain.params == sum(map(parameters, (256, 512, 1024))) == 358_067
    assert round(counted.params / 1e6, 2) == 25.92  # the paper's ResNet50 + BAM
    macs = [
        2 * c * c // 16 + (c * c // 16 + 18 * (c // 16) ** 2 + c // 16) * s * s
        for c, s in ((256, 56), (512, 28), (1024, 14))
    ]
    assert counted.macs - plain.macs == sum(macs)


def test_options_change_the_bottleneck_and_the_dilation() -> None:
    part: Any = built({**bam(), "stage_attention": {"name": "bam", "reduction": 2, "dilation": 3}}).attention["stage2"]
    assert part.channel.fc1.out_features == part.spatial.layers.reduce.out_channels == 16
    assert part.spatial.layers.conv2.dilation == part.spatial.layers.conv2.padding == (3, 3)


def test_its_messages_are_a_vector_and_one_plane() -> None:
    [first, *_] = [node for node in Architecture.parse(bam()).network.nodes if node.after_stage]
    assert first.ports == {"channel": Port(16), "spatial": Port(1, 1, ("H", "W"), planes=True)}
    edges = Architecture.parse(bam(connections={})).network.edges
    assert [(edge.dimension, edge.source, edge.target) for edge in edges] == [
        ("channel", 2, 5), ("channel", 5, 8), ("spatial", 2, 5), ("spatial", 5, 8)
    ]  # fmt: skip


@pytest.mark.parametrize("function", ["direct", "weighted"])
@pytest.mark.parametrize("attention", ["none", "se", "cbam", "ge_theta"])
def test_zero_alpha_equals_the_vanilla_network_to_the_last_bit(attention: str, function: str) -> None:
    written = bam(attention={"name": attention})
    connected = built({**written, "connections": {"function": function, "topology": "dense", "alpha": {"init": 0}}})
    assert connected.network.edges
    for training in (False, True):
        vanilla = built(written)
        assert torch.equal(connected.train(training)(images()), vanilla.train(training)(images()))


def test_its_messages_reach_attention_in_blocks_and_those_of_blocks_reach_it() -> None:
    network = Architecture.parse(bam(attention={"name": "cbam"}, connections={})).network
    for dimension in ("channel", "spatial"):
        edges = [edge for edge in network.edges if edge.dimension == dimension]
        assert [(edge.source, edge.target) for edge in edges] == [(n, n + 1) for n in range(10)]
    [into] = network.incoming(2, "spatial")
    assert (network.nodes[into.source].kind, network.nodes[into.target].kind) == ("cbam", "bam")
    model = built(bam(attention={"name": "cbam"}, connections={}))
    perturb(model)
    model.double()(images(4).double()).square().sum().backward()
    alphas = {name: p.grad for name, p in model.named_parameters() if name.endswith("alpha")}
    assert len(alphas) == 20
    assert all(grad is not None and grad.abs() > 1e-12 for grad in alphas.values())
