"""ECA by itself; what every kind must do is tested where all kinds are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from dcasearch.architecture import Architecture
from dcasearch.errors import ArchitectureError
from dcasearch.models import build_model
from tests.models.samples import images


def eca(backbone: str = "resnet18", **options: Any) -> dict[str, Any]:
    return {"backbone": {"name": backbone}, "attention": {"name": "eca", **options}}


def kernel_sizes(written: dict[str, Any]) -> set[Any]:
    return {block.options["kernel_size"] for block in Architecture.parse(written).network.blocks}


def test_the_adaptive_kernel_size_is_the_papers() -> None:
    blocks = Architecture.parse(eca("resnet50")).network.blocks
    sizes = {block.layout.channels: block.options["kernel_size"] for block in blocks}
    assert sizes == {256: 5, 512: 5, 1024: 5, 2048: 7}


def test_a_given_kernel_size_holds_in_every_block() -> None:
    assert kernel_sizes(eca(kernel_size=9)) == {9}


def test_a_kernel_size_that_the_adaptive_one_equals_is_the_same_network() -> None:
    narrow = {"backbone": {"name": "resnet18", "width": 0.125}, "attention": {"name": "eca"}}
    assert kernel_sizes(narrow) == {3}
    given = {**narrow, "attention": {"name": "eca", "kernel_size": 3}}
    assert Architecture.parse(given).id == Architecture.parse(narrow).id
    assert len({Architecture.parse(eca(kernel_size=k)).id for k in (0, 3, 5, 7)}) == 4


@pytest.mark.parametrize("size", [2, -1, 17])
def test_a_kernel_size_is_odd(size: int) -> None:
    with pytest.raises(ArchitectureError, match=r"kernel_size.* 0, 1, 3, 5, 7, 9, 11, 13, 15"):
        Architecture.parse(eca(kernel_size=size))


def test_each_gate_sees_the_channels_around_its_own() -> None:
    model = build_model(eca(kernel_size=3), 5)
    part: Any = model.get_submodule("attention.layer1_0.channel")
    x = images(2)[:, :1].expand(-1, 64, -1, -1) * torch.linspace(0, 1, 64)[:, None, None]
    g = x.mean((2, 3))
    left, middle, right = part.conv.weight.flatten()
    around = F.pad(g, (1, 1))
    expected = torch.sigmoid(left * around[:, :-2] + middle * g + right * around[:, 2:])
    torch.testing.assert_close(part.transform(part.extract(x)), expected)
    torch.testing.assert_close(part.message((g,), expected), (expected * g,))
    torch.testing.assert_close(part.fuse(x, expected), x * expected[:, :, None, None])


def test_it_adds_one_kernel_a_block() -> None:
    plain = build_model({"backbone": {"name": "resnet18"}}, 5)
    counts = [sum(p.numel() for p in model.parameters()) for model in (build_model(eca(kernel_size=5), 5), plain)]
    assert counts[0] - counts[1] == 8 * 5
