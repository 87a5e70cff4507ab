"""Coordinate Attention by itself; what every kind must do is tested where all kinds are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from dcasearch.architecture import Architecture
from tests.models.samples import added, attended, block_of


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 64, 9, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("training", [True, False])
def test_it_is_timms_module(training: bool, x: Tensor) -> None:
    timm = pytest.importorskip("timm.layers.coord_attn", reason="in newer versions of timm")
    block = block_of({"name": "coord", "reduction": 4}).train(training)
    theirs = timm.CoordAttn(64, rd_channels=16, bias=True).double().train(training)
    ours = block.state_dict()
    renamed = {"conv": "conv1", "norm": "bn1", "height.conv": "conv_h", "width.conv": "conv_w"}
    state = {
        f"{there}.{key[len(here) + 1 :]}": value
        for here, there in renamed.items()
        for key, value in ours.items()
        if key.rpartition(".")[0] == here
    }
    theirs.load_state_dict(state | {"conv1.bias": torch.zeros(16)})
    y, _ = attended(block, x)
    torch.testing.assert_close(y, theirs(x), rtol=0, atol=1e-12)


def test_it_is_the_papers_equations(x: Tensor) -> None:
    block = block_of({"name": "coord", "reduction": 4})
    z_h, z_w = x.sum(3) / 7, x.sum(2) / 9
    f = torch.einsum("rc,bcn->brn", block.conv.weight[:, :, 0, 0], torch.cat((z_h, z_w), 2))
    f = f / (1 + block.norm.eps) ** 0.5 * block.norm.weight[:, None] + block.norm.bias[:, None]
    f = f * (f + 3).clamp(0, 6) / 6
    gates: list[Any] = []
    for part, strip in ((block.height, f[:, :, :9]), (block.width, f[:, :, 9:])):
        projected = torch.einsum("cr,brn->bcn", part.conv.weight[:, :, 0, 0], strip) + part.conv.bias[:, None]
        gates.append(1 / (1 + torch.exp(-projected)))
    y, messages = attended(block, x)
    torch.testing.assert_close(y, x * gates[0][:, :, :, None] * gates[1][:, :, None, :], rtol=0, atol=1e-12)
    torch.testing.assert_close(messages["height"], ((gates[0] * z_h)[:, :, :, None],))
    torch.testing.assert_close(messages["width"], ((gates[1] * z_w)[:, :, None, :],))


def test_the_hidden_width_is_at_least_eight() -> None:
    network = Architecture.parse({"backbone": {"name": "resnet50"}, "attention": {"name": "coord"}}).network
    assert {b.layout.channels: b.options["hidden"] for b in network.blocks} == {256: 8, 512: 16, 1024: 32, 2048: 64}
    light = Architecture.parse({"backbone": {"name": "mobilenet_v2"}, "attention": {"name": "coord"}}).network
    assert {block.options["hidden"] for block in light.blocks} == {8, 10}


def test_it_costs_three_convolutions_on_strips() -> None:
    assert added({"name": "coord"}) == {
        c: (3 * c * h + 2 * h + 2 * c, c * h * (56 + 56) + h * c * 56 + h * c * 56)
        for c, h in ((256, 8), (512, 16), (1024, 32), (2048, 64))
    }
