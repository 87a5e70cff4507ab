"""LCT by itself; what every kind must do is tested where all kinds are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dcasearch.architecture import Architecture
from tests.models.samples import added, attended, block_of


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 64, 9, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def printed(x: Tensor, groups: int, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return the paper's equations, image by image and group by group: the output, and the gates."""
    gates = torch.zeros(x.shape[:2], dtype=x.dtype)
    m = x.shape[1] // groups
    for n, image in enumerate(x):
        z = image.sum((1, 2)) / (image.shape[1] * image.shape[2])
        for i in range(groups):
            group = range(i * m, (i + 1) * m)
            mu = sum(z[k] for k in group) / m
            sigma = (sum((z[k] - mu) ** 2 for k in group) / m + 1e-5) ** 0.5
            for k in group:
                gates[n, k] = 1 / (1 + torch.exp(-(w[k] * (z[k] - mu) / sigma + b[k])))
    return x * gates[:, :, None, None], gates


@pytest.mark.parametrize("groups", [1, 8, 16])
def test_it_is_the_papers_equations(groups: int, x: Tensor) -> None:
    block = block_of({"name": "lct", "groups": groups})
    expected, gates = printed(x, groups, block.channel.weight, block.channel.bias)
    y, messages = attended(block, x)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(messages["channel"], (gates * x.mean((2, 3)),))


def test_a_group_has_at_least_four_channels() -> None:
    network = Architecture.parse({"backbone": {"name": "mobilenet_v2"}, "attention": {"name": "lct"}}).network
    built = {block.layout.channels: block.options["groups"] for block in network.blocks}
    assert built == {16: 4, 24: 4, 32: 8, 64: 16, 96: 16, 160: 32, 320: 64}
    papers = Architecture.parse({"backbone": {"name": "resnet50"}, "attention": {"name": "lct"}}).network
    assert {block.options["groups"] for block in papers.blocks} == {64}


def test_it_starts_with_equal_gates(x: Tensor) -> None:
    part = block_of({"name": "lct"}).channel
    part.draw(torch.Generator())
    torch.testing.assert_close(part.transform(part.extract(x)), torch.sigmoid(torch.ones(2, 64)).double())


def test_it_costs_two_parameters_a_channel() -> None:
    assert added({"name": "lct"}) == {c: (2 * c, 0) for c in (256, 512, 1024, 2048)}
