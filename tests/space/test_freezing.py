"""A recipe may freeze as many stages as every network of the space has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcasearch.space import load_study
from tests.space.test_loaded_study import mistakes, write_study

CHOICES: dict[str, Any] = {"backbone": {"name": ["mobilenet_v2", "resnet18"], "stem": "small"}}
LIST: dict[str, Any] = {
    "architectures": [
        {"label": "wide", "backbone": {"name": "resnet18"}},
        {"label": "light", "backbone": {"name": "mobilenet_v2"}},
    ]
}
START: dict[str, Any] = {"name": "vanilla", "recipe": {"batch_size": 16}}


def study(folder: Path, space: dict[str, Any], stages: int, **start: Any) -> Path:
    recipe = {"freeze": ["stem", *range(1, stages + 1)]}
    level = {"name": "proxy", "trials": 2, "resolution": 32, "epochs": 2, "recipe": recipe}
    return write_study(folder, space=space, fidelities=[{**level, "initialize": {**START, **start}}])


@pytest.mark.parametrize("space", [CHOICES, LIST], ids=["choices", "list"])
def test_stages_that_some_network_lacks_are_told(tmp_path: Path, space: dict[str, Any]) -> None:
    found = mistakes(study(tmp_path, space, 5))
    assert sum("freezes 5 stages, and a backbone of the space has 4" in said for said in found) == 1


@pytest.mark.parametrize("space", [CHOICES, LIST], ids=["choices", "list"])
def test_stages_that_all_networks_have_are_frozen(tmp_path: Path, space: dict[str, Any]) -> None:
    assert load_study(study(tmp_path, space, 4)).study.fidelities[0].recipe.freeze == ("stem", 1, 2, 3, 4)


def test_more_parents_than_are_trained_are_a_mistake_where_a_recipe_needs_them(tmp_path: Path) -> None:
    found = mistakes(study(tmp_path, CHOICES, 1, max_parents=1))
    assert sum("more than 1 vanilla parents (initialize.max_parents)" in said for said in found) == 1
    assert any("raise max_parents" in said for said in found)
