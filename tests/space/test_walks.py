"""Spaces that were shipped are walked as they always were: questions, networks, ids, baselines and pictures."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import yaml

from dcasearch.report.drawing import draw
from dcasearch.space import Space, read_space

FOLDER = Path(__file__).parents[2] / "search_spaces"
ONCE_SHIPPED = Path(__file__).parent / "ablations"
"""Spaces of choices that lists in search_spaces/paper have replaced."""
POINTS = 20
"""Of the beginning of the walk, and as many at random."""
DIGESTS = {
    "ablation_dimensions": "8779b1d2752cbc5f",
    "ablation_function": "f54743c98021bb6b",
    "ablation_matching": "ce0b82d4ae94d471",
    "ablation_pooling": "05de80d5b8960c4a",
    "attention_connections": "6dafc954c2f00d78",
    "blocks": "3a0cb6aaca6c1619",
    "digits": "788040ebefc21448",
    "mobilenetv2_connections": "a8795f4162851467",
    "resnet50_connections": "83300c3887ac411c",
    "se_connections": "d373ed715f262653",
}
"""Written down before attention could stand after stages. A change of one orphans stored trials."""


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
    for point in points[::10]:
        yield draw(point.architecture.network, resolution=224)


def digest(name: str) -> str:
    folder = ONCE_SHIPPED if name.startswith("ablation") else FOLDER
    space = read_space(yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8")))
    return hashlib.sha256("\n".join(told(space)).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", DIGESTS)
def test_a_shipped_space_is_walked_as_before(name: str) -> None:
    assert digest(name) == DIGESTS[name]
