"""The paper's tables: learnable parameters to the last one, multiply-adds to six decimals of a billion.

`paper_counts.json` holds each row's architecture with the counts of the parameters that get a gradient; the
printed counts of connected rows also contain the connections of a first block that receives nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dcasearch.architecture import Architecture
from dcasearch.models import build_model, cost
from dcasearch.models.cost import measure

ROWS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "paper_counts.json").read_text())


DEEP = ("101", "152")
"""How the names of the rows of the deepest networks end, which are slow: their blocks are those of ResNet-50."""


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=row["row"], marks=pytest.mark.slow if row["row"].endswith(DEEP) else []) for row in ROWS],
)
def test_counts_equal_the_papers(row: dict[str, Any]) -> None:
    with torch.device("meta"):
        counted = measure(build_model(row["architecture"]), torch.empty(1, 3, 224, 224))
    assert counted.params == row["params"]
    assert round(counted.macs / 1e9, 6) == row["gmacs"]
    assert cost(Architecture.parse(row["architecture"]), 224, 1000) == counted


PRINTED_AGAIN = {
    "t1_resnet50": ["t3_resnet50"],
    "t1_se_resnet50": ["t2_se", "t3_se50", "t4_se"],
    "t1_dca_se_resnet50": ["t2_direct", "t3_dca_se50", "t4_1fc"],
    "t1_cbam_resnet50": ["t5_cbam", "t6_cbam"],
    "t6_dca_s": ["t5_avg"],
    "t1_dca_cbam_resnet50": ["t6_dca_all"],
}
"""Rows of other tables that hold the same network."""
WITHOUT_CODE = ["t2_softmax", "t2_weighted"]
"""Rows whose count is printed, but of which no code says how their connections are made."""


def test_all_but_two_of_the_papers_52_rows_are_here() -> None:
    rows = [row["row"] for row in ROWS]
    again = [name for row, names in PRINTED_AGAIN.items() if row in rows for name in names]
    assert len(rows) == len({*rows}) == 39
    assert len({*rows, *again}) == 50 == 52 - len(WITHOUT_CODE)


def test_every_required_table_row_is_here() -> None:
    rows = {row["row"] for row in ROWS}
    assert {f"t1_{name}resnet50" for name in ("", "se_", "dca_se_", "sk_", "dca_sk_", "gc_", "cbam_")} <= rows
    assert {f"t3_{name}{depth}" for name in ("resnet", "se", "dca_se") for depth in (101, 152)} <= rows
    assert {f"t1_{name}{light}" for name in ("", "se_", "cbam_") for light in ("mnas", "mbv2")} | {"t1_sk_mbv2"} <= rows
    assert {f"t1_{name}{net}" for name in ("ge_", "dca_ge_") for net in ("resnet50", "mnas", "mbv2")} <= rows
