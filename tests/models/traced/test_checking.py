"""A sample of the table of `dcasearch backbones` is tried again."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dcasearch.architecture.measured import NO, NOT_TRIED, YES, Measured, measured
from tests.models.traced.support import needs_timm

pytestmark = needs_timm
SCRIPT = Path(__file__).parents[3] / "benchmarks" / "backbones.py"
SAMPLE = sorted(measured(), key=lambda row: row.parameters)[:24:4]


def check(name: str, **how: Any) -> Measured:
    found: Measured = runpy.run_path(str(SCRIPT))["check"](name, **how)
    return found


def test_a_network_that_works_says_so() -> None:
    found = check("timm/test_resnet", quick=True)
    assert (found.built, found.same, found.chain, found.dense) == (YES, YES, YES, YES)
    assert (found.export, found.compile) == (NOT_TRIED, NOT_TRIED)


def test_a_network_without_blocks_says_why() -> None:
    found = check("timm/test_vit", quick=True)
    assert found.built == NO
    assert found.note == "the network has no blocks for attention: its residual blocks add tokens, not maps"


@pytest.mark.slow
@pytest.mark.parametrize("row", SAMPLE, ids=lambda row: row.name)
def test_a_row_is_found_again(row: Measured) -> None:
    found = check(row.name)
    assert replace(found, seconds=0.0) == replace(row, seconds=0.0)
