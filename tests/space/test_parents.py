from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcasearch.space import load_study, parents_of, read_space
from tests.space.test_loaded_study import mistakes, write_study

BACKBONE: dict[str, Any] = {"name": "resnet18", "stem": "small"}


def space_of(**attention: Any) -> dict[str, Any]:
    return {
        "backbone": BACKBONE,
        "attention": {"name": "se", **attention},
        "connections": {"dimensions": {"channel": [True, False]}, "function": ["direct", "weighted"]},
    }


def fidelity(**changes: Any) -> dict[str, Any]:
    return {"name": "proxy", "trials": 2, "resolution": 16, "epochs": 2, "initialize": "vanilla", **changes}


def test_parents_differ_by_backbone_and_attention_alone() -> None:
    space = read_space(space_of(name=["se", "cbam"], reduction=[4, 8]))
    parents = parents_of(space, 4)
    assert parents is not None
    assert len({parent.id for parent in parents}) == 4
    assert all(not parent.network.edges for parent in parents)
    assert parents_of(space, 3) is None


def test_a_space_of_few_parents_starts_from_them(tmp_path: Path) -> None:
    loaded = load_study(write_study(tmp_path, space=space_of(reduction=[4, 8]), fidelities=[fidelity()]))
    assert loaded.notes == ()
    parent = loaded.study.fidelities[0].parent
    assert parent is not None
    assert (parent.epochs, parent.parent) == (2, None)


def test_a_parent_may_have_other_epochs_and_a_recipe_of_its_own(tmp_path: Path) -> None:
    initialize = {"name": "vanilla", "epochs": 7, "recipe": {"base": "small", "lr": 0.3}}
    loaded = load_study(write_study(tmp_path, space=space_of(), fidelities=[fidelity(initialize=initialize)]))
    parent = loaded.study.fidelities[0].parent
    assert parent is not None
    assert (parent.epochs, parent.recipe.lr, parent.recipe.label_smoothing) == (7, 0.3, 0.1)
    assert loaded.study.fidelities[0].recipe.lr == 0.1


def test_a_space_of_too_many_parents_is_trained_from_scratch_as_long_and_says_so(tmp_path: Path) -> None:
    initialize = {"name": "vanilla", "epochs": 7, "max_parents": 2}
    path = write_study(tmp_path, space=space_of(reduction=[4, 8, 16]), fidelities=[fidelity(initialize=initialize)])
    loaded = load_study(path)
    assert loaded.study.fidelities[0].parent is None
    assert loaded.study.fidelities[0].epochs == 9
    (note,) = loaded.notes
    assert "more than 2 vanilla parents" in note
    assert "9 epochs each" in note


@pytest.mark.parametrize("function", ["softmax", "learned", "concat", {"weighted": {"form": ["safe", "literal"]}}])
def test_functions_that_cannot_start_as_their_parent_are_refused_unless_the_jump_is_allowed(
    tmp_path: Path, function: Any
) -> None:
    space = space_of()
    space["connections"]["function"] = ["direct", function]
    (mistake,) = mistakes(write_study(tmp_path, space=space, fidelities=[fidelity()]))
    assert "no α makes such a network its vanilla parent" in mistake
    assert "allow_jump" in mistake
    allowed = fidelity(initialize={"name": "vanilla", "allow_jump": True})
    assert load_study(write_study(tmp_path, space=space, fidelities=[allowed])).study.fidelities[0].parent is not None


def test_scratch_has_no_options(tmp_path: Path) -> None:
    wrong = fidelity(initialize={"name": "scratch", "epochs": 3})
    (mistake,) = mistakes(write_study(tmp_path, space=space_of(), fidelities=[wrong]))
    assert "scratch has no options" in mistake


def test_constant_messages_need_trained_parents_from_scratch(tmp_path: Path) -> None:
    space = space_of()
    space["connections"]["message"] = ["sender", "constant"]
    (mistake,) = mistakes(write_study(tmp_path, space=space, fidelities=[fidelity()]))
    assert "message: constant is measured in a vanilla parent that is trained from scratch" in mistake
    scored = {"name": "score", "kind": "zero_cost", "score": "synflow", "trials": 2, "resolution": 16}
    later = {"name": "proxy", "promote": {"top": 1}, "resolution": 16, "epochs": 2}
    (mistake,) = mistakes(write_study(tmp_path, space=space, fidelities=[scored, later]))
    assert "message: constant is measured in the trained vanilla parent, and a score trains nothing" in mistake
    load_study(write_study(tmp_path, space=space, fidelities=[fidelity(initialize="scratch")]))
