"""A network of a library is trained, interrupted and taken up again as any other one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.models.traced.support import needs_timm
from tests.training.support import curve, make_assignment
from tests.training.test_session import STEPS, assert_equal, train, train_interrupted_at

pytestmark = needs_timm
TINY = {"backbone": {"name": "timm/test_byobnet"}, "attention": {"name": "cbam"}, "connections": {"topology": "dense"}}
REAL = [
    ("timm/efficientnet_lite0", {"drop_path_rate": 0.2, "drop_rate": 0.2}),
    ("timm/convnext_atto", {"drop_path_rate": 0.2}),
    ("timm/regnety_002", {"drop_path_rate": 0.2}),
]


def test_an_interrupted_training_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    assignment = make_assignment(TINY, resolution=32, epochs=1)
    whole = train(assignment, tmp_path / "whole")
    assert_equal(train_interrupted_at(assignment, tmp_path / "killed", STEPS), whole)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arguments"), REAL, ids=[name for name, _ in REAL])
def test_an_interrupted_training_with_stochastic_depth_ends_as_an_undisturbed_one(
    name: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    written = {**TINY, "backbone": {"name": name, "arguments": arguments}}
    assignment = make_assignment(written, resolution=32, epochs=2)
    whole = train(assignment, tmp_path / "whole")
    assert_equal(train_interrupted_at(assignment, tmp_path / "killed", 1, STEPS + 1), whole)


def test_seeds_differ_from_the_start(tmp_path: Path) -> None:
    first, second = (
        train(make_assignment(TINY, resolution=32, epochs=1, seed=seed), tmp_path / str(seed)) for seed in (0, 1)
    )
    assert curve(first) != curve(second)


def test_the_key_of_a_training_holds_the_arguments_of_the_constructor() -> None:
    dropped = {**TINY, "backbone": {"name": "timm/test_byobnet", "arguments": {"drop_rate": 0.5}}}
    assert make_assignment(dropped).key != make_assignment(TINY).key
