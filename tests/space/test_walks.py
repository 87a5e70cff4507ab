"""Spaces that were shipped are walked as they always were: questions, networks, ids and baselines."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import yaml

from dcasearch.space import Space, read_space

FOLDER = Path(__file__).parents[2] / "search_spaces"
ONCE_SHIPPED = Path(__file__).parent / "ablations"
"""Spaces of choices that lists in search_spaces/paper have replaced."""
POINTS = 20
"""Of the beginning of the walk, and as many at random."""
DIGESTS = {
    "ablation_dimensions": "ca9a4c1102edacd1",
    "ablation_function": "8ee44110a71c36f5",
    "ablation_matching": "f5b2d63e739c88d3",
    "ablation_pooling": "6fe30886faa22d7c",
    "attention_connections": "b2e22e61c23854af",
    "blocks": "ace3245acc63d2c3",
    "digits": "236bbef1bee3bc20",
    "mobilenetv2_connections": "80e4173b157bd9ac",
    "resnet50_connections": "3f49166255f71950",
    "se_connections": "1e3c353d29afb81f",
}
"""A change of one orphans stored trials."""


def told(space: Space) -> Iterator[str]:
    """Yield what a walk asks and makes."""
    yield repr([(name, [option.label for option in options]) for name, options in space.parameters().items()])
    rng = random.Random(0)
    points = [*islice(space.enumerate(), POINTS), *(space.random(rng) for _ in range(POINTS))]
    for point in points:
        yield repr((list(point.params.items()), point.architecture.id, point.architecture.network.canonical))
        yield repr((point.architecture.to_dict(), point.architecture.written_out()))
    for baseline in space.baselines():
        yield repr((baseline.name, baseline.architecture.id))


def digest(name: str) -> str:
    folder = ONCE_SHIPPED if name.startswith("ablation") else FOLDER
    space = read_space(yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8")))
    return hashlib.sha256("\n".join(told(space)).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", DIGESTS)
def test_a_shipped_space_is_walked_as_before(name: str) -> None:
    assert digest(name) == DIGESTS[name]
