from __future__ import annotations

import time
from itertools import product
from typing import Any

import pytest
import torch

from dcasearch.architecture import Architecture
from dcasearch.evaluation import Cost
from dcasearch.models import build_model, cost
from dcasearch.models.cost import measure
from tests.models.samples import FUNCTIONS, KINDS, MATCHINGS, pairwise, spec

ROWS = pairwise(
    {
        "kind": list(KINDS),
        "function": [name for name in FUNCTIONS if name != "literal"],
        "backbone": ["resnet18", "mobilenet_v2"],
        "topology": ["chain", "dense", "tree"],
        "matching": list(MATCHINGS),
        "pixels": [224, 100, 32],
    }
)


def whole(architecture: Any, resolution: int, classes: int) -> Cost:
    with torch.device("meta"):
        return measure(build_model(architecture, classes), torch.empty(1, 3, resolution, resolution))


def rows() -> list[Any]:
    """Every row; half of them are slow."""
    return [
        pytest.param(
            row,
            id="-".join(str(row[name]) for name in sorted(row)),
            marks=[pytest.mark.slow] if number % 2 else [],
        )
        for number, row in enumerate(ROWS)
    ]


def test_every_option_is_among_the_rows_that_are_not_slow() -> None:
    kept = [row.values[0] for row in rows() if not row.marks]
    for name in ROWS[0]:
        assert {row[name] for row in kept} == {row[name] for row in ROWS}


@pytest.mark.parametrize("row", rows())
def test_the_sum_over_components_equals_the_whole_network(row: dict[str, Any]) -> None:
    written = spec(
        row["kind"],
        {"name": row["backbone"]},
        function=FUNCTIONS[row["function"]],
        topology=row["topology"],
        channel_matching=MATCHINGS[row["matching"]],
    )
    assert cost(Architecture.parse(written), row["pixels"], 10) == whole(written, row["pixels"], 10)


@pytest.mark.parametrize(
    ("coupling", "resize", "stem"),
    [
        pytest.param(*row, marks=[] if number in (0, 3, 4, 7, 8, 11) else [pytest.mark.slow])  # these hold every pair
        for number, row in enumerate(
            product(["coupled", "decoupled"], ["average", "max", "conv"], ["imagenet", "small"])
        )
    ],
)
def test_coupled_maps_and_their_resizing_are_counted(coupling: str, resize: str, stem: str) -> None:
    backbone = {"name": "mobilenet_v2", "width": 0.5, "stem": stem}
    written = spec("cbam", backbone, coupling=coupling, spatial_matching=resize)
    assert cost(Architecture.parse(written), 50, 7) == whole(written, 50, 7)


def test_the_number_of_classes_counts() -> None:
    architecture = Architecture.parse({"backbone": {"name": "resnet18"}})
    ten, hundred = cost(architecture, 64, 10), cost(architecture, 64, 100)
    assert (hundred.params - ten.params, hundred.macs - ten.macs) == (90 * 513, 90 * 512)


def test_a_block_without_a_connection_costs_what_it_does_in_the_vanilla_network() -> None:
    silent = spec("se", dimensions={"channel": False})
    assert cost(Architecture.parse(silent), 32, 10) == cost(Architecture.parse(spec("se")), 32, 10)


def test_the_next_architecture_of_a_space_costs_milliseconds() -> None:
    def connected(receivers: list[bool]) -> Architecture:
        return Architecture.parse(spec("se", {"name": "resnet50"}, dimensions={"channel": {"stages": receivers}}))

    cost(connected([True] * 4), 224, 1000)
    architectures = [connected([bool(n & bit) for bit in (1, 2, 4, 8)]) for n in range(16)]
    start = time.process_time()
    for architecture in architectures:
        cost(architecture, 224, 1000)
    assert (time.process_time() - start) / 16 < 0.02
