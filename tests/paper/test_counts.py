"""What the paper's networks count to here: parameters, unused ones, multiply-adds, GFLOPs in the authors' convention.

`counts.json` holds, for every row whose form is known, the parameters that get a gradient, those that the authors'
first block has beside them, and the GFLOPs that their counter gives on a network of this form.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dcasearch.architecture import Architecture
from dcasearch.paper import row_of
from dcasearch.paper.counts import Counts, count

ROWS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "counts.json").read_text())
QUICK = (
    "t1_dca_sk_resnet50",
    "t1_dca_cbam_mnas",
    "t1_ge_mbv2",
)
"""A row of each backbone; all others are slow together."""
UNRECONSTRUCTED = ("t1_dca_ge_mnas", "t1_ge_mbv2", "t1_dca_ge_mbv2")
_known: dict[str, Counts] = {}


def counted(architecture: Architecture) -> Counts:
    """Count each network once; tables repeat some."""
    if architecture.id not in _known:
        _known[architecture.id] = count(architecture)
    return _known[architecture.id]


@cache
def changed(id: str, attention: str = "", reduction: int = 0) -> Counts:
    """Count a row's network with another attention reduction, or with another one of its matching."""
    written = json.loads(json.dumps(row_of(id).written))
    if attention:
        written["attention"] = {"name": attention, "reduction": reduction}
    else:
        written["connections"]["channel_matching"]["fc2"]["reduction"] = reduction
    return counted(Architecture.parse(written))


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row["row"], marks=[] if row["row"] in QUICK else pytest.mark.slow) for row in ROWS]
)
def test_counts_are_those_of_the_paper(row: dict[str, Any]) -> None:
    paper = row_of(row["row"])
    counts = counted(paper.architecture)
    assert (counts.params, counts.unused) == (row["params"], row["unused"])
    assert round(counts.macs / 1e9, 6) == row["gmacs"]
    assert round(counts.operations / 1e9, 6) == row["gflops"]
    assert f"{counts.printed / 1e6:.2f}" == f"{paper.printed.params:.2f}"
    as_printed = f"{counts.operations / 1e9:.3f}" == f"{paper.printed.gflops:.3f}"
    assert as_printed == (row["row"] not in UNRECONSTRUCTED)


def test_all_rows_are_compared_but_the_two_whose_form_is_unknown() -> None:
    assert len(ROWS) == 50
    assert not {"t2_softmax", "t2_weighted"} & {row["row"] for row in ROWS}


@pytest.mark.parametrize("id", ["t2_softmax", pytest.param("t2_weighted", marks=pytest.mark.slow)])
def test_a_connection_as_printed_adds_one_matching_a_stage_and_one_alpha_a_block(id: str) -> None:
    counts = counted(row_of(id).architecture)
    matchings = 256 * 512 + 512 * 1024 + 1024 * 2048
    assert counts.params == 28_088_024 + matchings + 15
    assert counts.unused == 64 * 256 + 1
    assert f"{counts.printed / 1e6:.2f}" == "30.86"  # the paper prints 30.90


SQUARES, CHANNELS = 3 * 256**2 + 4 * 512**2 + 6 * 1024**2 + 3 * 2048**2, 3 * 256 + 4 * 512 + 6 * 1024 + 3 * 2048
"""Sums over the 16 blocks of ResNet-50 of C² and of C."""


def test_half_the_reduction_of_se_moves_both_numbers() -> None:
    before, after = changed("t1_se_resnet50", "se", 16), changed("t1_se_resnet50", "se", 8)
    # C/16 more features between two layers: their weights and their biases; their multiply-adds and their ReLU.
    more = 2 * SQUARES // 16 + CHANNELS // 16
    assert after.params - before.params == more == 2_515_888
    assert after.operations - before.operations == more


@pytest.mark.slow
def test_half_the_reduction_of_cbam_moves_gflops_twice_as_far_since_two_descriptors_pass_its_layers() -> None:
    before, after = changed("t1_cbam_resnet50", "cbam", 16), changed("t1_cbam_resnet50", "cbam", 8)
    more = 2 * SQUARES // 16 + CHANNELS // 16
    assert after.params - before.params == more
    assert after.operations - before.operations == 2 * more


def test_half_the_reduction_of_a_matching_moves_both_numbers_by_different_amounts() -> None:
    before, after = counted(row_of("t4_2fc_r16").architecture), changed("t4_2fc_r16", reduction=8)
    ends = [(256, 512), (512, 1024), (1024, 2048)]
    weights = sum(source * target + target**2 for source, target in ends) // 16
    features = sum(target for _, target in ends) // 16
    # Each further feature has a bias and LayerNorm's two numbers; it counts its multiply-adds and its ReLU alone.
    assert after.params - before.params == weights + 3 * features == 516_768
    assert after.operations - before.operations == weights + features == 516_320
    # The authors' first block matches 64 to 256 channels, by 256/8 features in place of 256/16.
    assert after.unused - before.unused == 16 * (64 + 256 + 3)


def test_a_network_without_connections_has_no_unused_parameters() -> None:
    assert changed("t1_se_resnet50", "se", 16).unused == 0
