"""SGE by itself; what every kind must do is tested where all kinds are."""

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


def groups(backbone: dict[str, Any], **options: Any) -> dict[int, Any]:
    """Return by channels the number of groups that blocks are built with."""
    network = Architecture.parse({"backbone": backbone, "attention": {"name": "sge", **options}}).network
    return {block.layout.channels: block.options["groups"] for block in network.blocks}


def printed(x: Tensor, groups: int, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    """Return Eq. 1 to 5 as the paper prints them, image by image and group by group: the output, and c."""
    outputs, similarities = [], []
    for image in x:
        for n, group in enumerate(image.chunk(groups)):
            vectors = group.flatten(1)  # x_1 ... x_m, one a column
            m = vectors.shape[1]
            g = vectors.sum(1) / m
            c = torch.stack([g @ vectors[:, i] for i in range(m)])
            mu = c.sum() / m
            sigma = (((c - mu) ** 2).sum() / m).sqrt()
            a = gamma[n] * (c - mu) / (sigma + 1e-5) + beta[n]
            outputs.append((vectors * torch.sigmoid(a)).reshape(group.shape))
            similarities.append(c.reshape(group.shape[1:]))
    return torch.cat(outputs).reshape(x.shape), torch.stack(similarities).reshape(len(x), groups, *x.shape[2:])


@pytest.mark.parametrize("count", [1, 8, 64])
def test_it_is_the_papers_equations(count: int, x: Tensor) -> None:
    block = block_of({"name": "sge", "groups": count})
    y, messages = attended(block, x)
    expected, similarity = printed(x, count, block.spatial.weight, block.spatial.bias)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-7)
    torch.testing.assert_close(block.spatial.extract(x), (similarity,), rtol=0, atol=1e-12)
    gates = block.spatial.transform((similarity,))
    torch.testing.assert_close(messages["spatial"], (gates * similarity,))


def test_the_number_of_groups_divides_the_channels_of_every_block() -> None:
    assert groups({"name": "resnet50"}) == dict.fromkeys((256, 512, 1024, 2048), 64)
    light = groups({"name": "mobilenet_v2"})
    assert light == {16: 16, 24: 8, 32: 32, 64: 64, 96: 32, 160: 32, 320: 64}
    assert groups({"name": "mobilenet_v2"}, groups=7) == dict.fromkeys(light, 1)


def test_numbers_of_groups_that_build_the_same_are_the_same_network() -> None:
    narrow = {"backbone": {"name": "resnet18", "width": 0.125}, "attention": {"name": "sge", "groups": 64}}
    assert {block.ports["spatial"].channels for block in Architecture.parse(narrow).network.blocks} == {8, 16, 32, 64}
    wider = narrow | {"attention": {"name": "sge", "groups": 192}}
    assert Architecture.parse(narrow).id == Architecture.parse(wider).id


def test_a_map_of_one_pixel_has_finite_gates_and_gradients() -> None:
    part = block_of({"name": "sge"}).spatial
    x = torch.randn(2, 64, 1, 1, dtype=torch.float64, requires_grad=True)
    part.fuse(x, part.transform(part.extract(x))).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_it_starts_with_equal_gates_everywhere(x: Tensor) -> None:
    part = block_of({"name": "sge"}).spatial
    part.draw(torch.Generator())
    torch.testing.assert_close(part.transform(part.extract(x)), torch.sigmoid(torch.ones(2, 64, 9, 7)).double())


def test_it_costs_two_parameters_a_group_and_one_product_a_pixel() -> None:
    assert added({"name": "sge"}) == {c: (128, c * 56 * 56) for c in (256, 512, 1024, 2048)}
