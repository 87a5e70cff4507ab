from __future__ import annotations

from itertools import pairwise

import pytest

from dcasearch.architecture import BACKBONES


@pytest.mark.parametrize(
    ("name", "per_stage"),
    [
        ("resnet18", [2, 2, 2, 2]),
        ("resnet50", [3, 4, 6, 3]),
        ("resnet101", [3, 4, 23, 3]),
        ("resnet152", [3, 8, 36, 3]),
        ("mnasnet1_0", [3, 3, 3, 2, 4, 1]),
        ("mobilenet_v2", [1, 2, 3, 4, 3, 3, 1]),
    ],
)
def test_a_stage_is_torchvision_s_group(name: str, per_stage: list[int]) -> None:
    layout = BACKBONES[name](1.0, "imagenet")
    assert [layout.in_stage(stage) for stage in range(layout.stages)] == per_stage


@pytest.mark.parametrize("name", BACKBONES)
def test_the_last_block_sees_an_image_thirty_two_times_smaller(name: str) -> None:
    assert BACKBONES[name](1.0, "imagenet").blocks[-1].scale == 32


@pytest.mark.parametrize("name", BACKBONES)
def test_the_small_stem_keeps_the_image_s_size(name: str) -> None:
    first = BACKBONES[name](1.0, "small").blocks[0]
    assert first.scale == first.stride


@pytest.mark.parametrize("name", BACKBONES)
def test_the_scale_is_the_product_of_the_strides(name: str) -> None:
    blocks = BACKBONES[name](1.0, "imagenet").blocks
    for before, block in pairwise(blocks):
        assert block.scale == before.scale * block.stride


def test_the_sum_of_mnasnet_s_channels_is_the_paper_s() -> None:
    assert sum(block.channels for block in BACKBONES["mnasnet1_0"](1.0, "imagenet").blocks) == 1712


def test_width_makes_a_mobilenet_v2_narrower_in_multiples_of_eight() -> None:
    blocks = BACKBONES["mobilenet_v2"](0.35, "imagenet").blocks
    assert [block.channels for block in blocks[:4]] == [8, 8, 8, 16]
    assert all(block.channels % 8 == 0 for block in blocks)
