"""The vanilla network of equal size, by numbers that follow from the formula of SE: 2C·h + h + C with h = C // r."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import pytest

from dcasearch.architecture import Architecture
from dcasearch.errors import ArchitectureError
from dcasearch.models import cost, vanilla_of_equal_size
from tests.models.samples import SMALL, spec

RESNET50 = [(256, 3), (512, 4), (1024, 6), (2048, 3)]
"""Channels and blocks of each stage."""


def se(backbone: dict[str, Any], reduction: int = 16, **connections: Any) -> Architecture:
    written = {"backbone": backbone, "attention": {"name": "se", "reduction": reduction}}
    return Architecture.parse(written | ({"connections": connections} if connections else {}))


def parameters(architecture: Architecture) -> int:
    return cost(architecture, 32, 1000).params


def added(reductions: tuple[int, ...]) -> int:
    """Return what the SE blocks of a ResNet-50 have more than at reduction 16."""
    widths = [(c, blocks, c // r - c // 16) for (c, blocks), r in zip(RESNET50, reductions, strict=True)]
    return sum(blocks * (2 * c + 1) * more for c, blocks, more in widths)


def test_the_papers_dca_se_resnet50_has_an_se_resnet50_of_its_size() -> None:
    """One FC with bias, norm and ReLU at three stage changes, and 15 mixes of 2 weights, a bias and a norm each."""
    changes = [(256, 512), (512, 1024), (1024, 2048)]
    mixes = 15 * 3 + 2 * (15_104 - 256)
    wanted = sum(c * d + 3 * d for c, d in changes) + mixes
    assert wanted == 2_793_005
    connected = se({"name": "resnet50"}, function="learned", channel_matching={"fc": {"norm_act": True}})
    found = vanilla_of_equal_size(connected)
    assert parameters(connected) - 28_088_024 == wanted
    best = min((abs(added(r) - wanted), r) for r in product(range(16, 0, -1), repeat=4))[0]
    assert abs(found.difference) == best == abs(parameters(found.architecture) - parameters(connected))
    reductions = tuple(r for r in found.reductions if r is not None)
    assert added(reductions) - wanted == found.difference
    assert found.architecture.connections is None


def test_a_lower_reduction_adds_what_the_formula_says() -> None:
    """A ResNet-18's first stage has C = 64: at r = 2 in place of 16 both blocks have 28 more features."""
    vanilla = se({"name": "resnet18"})
    stages = [{"name": "se", "reduction": r} for r in (2, 16, 16, 16)]
    larger = Architecture.parse({"backbone": {"name": "resnet18"}, "attention": {"stages": stages}})
    assert parameters(larger) - parameters(vanilla) == 2 * 28 * (2 * 64 + 1)


def test_the_small_backbone_gets_within_the_step_of_its_narrowest_stage() -> None:
    """MobileNetV2 of width 0.25: a direct chain of SE adds a matching C'C at each change of width, and 16 alphas."""
    connected = se(SMALL, 4, function="direct")
    widths = [8, 8, 8, 16, 24, 40, 80]
    changes = [(a, b) for a, b in pairwise(widths) if a != b]
    assert parameters(connected) - parameters(se(SMALL, 4)) == sum(a * b for a, b in changes) + 16
    found = vanilla_of_equal_size(connected)
    assert abs(found.difference) <= 2 * 8 + 1
    assert found.difference == parameters(found.architecture) - parameters(connected)
    assert all(r is not None and 1 <= r <= 4 for r in found.reductions)


def test_where_the_attention_cannot_grow_as_much_the_difference_says_what_is_missing() -> None:
    connected = se({"name": "resnet18"}, 1, function="direct")
    found = vanilla_of_equal_size(connected)
    assert found.reductions == (1, 1, 1, 1)
    assert found.difference == -(64 * 128 + 128 * 256 + 256 * 512 + 7)


@pytest.mark.slow
def test_kinds_and_blocks_that_differ_stay_and_share_a_reduction_in_each_stage() -> None:
    blocks = [
        {"name": "se", "reduction": 8},
        {"name": "cbam"},
        *[{"name": "none"}] * 4,
        {"name": "gc"},
        {"name": "eca"},
    ]
    written = {"backbone": {"name": "resnet18"}, "attention": {"blocks": blocks}, "init": "authors", "connections": {}}
    found = vanilla_of_equal_size(Architecture.parse(written))
    assert found.reductions[1] is found.reductions[2] is None
    assert [node.kind for node in found.architecture.network.blocks] == [block["name"] for block in blocks]
    assert found.architecture.init == "authors"


def test_attention_without_a_reduction_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="no attention has a reduction"):
        vanilla_of_equal_size(Architecture.parse(spec("simam", topology="chain")))
