from __future__ import annotations

import json
from typing import Any

import pytest

from dcasearch.data import DataInfo
from dcasearch.errors import StorageError, StudyChanged
from dcasearch.meaning import check_unchanged, meaning_of
from dcasearch.space import read_space
from tests.support import make_study

DATA = DataInfo(fingerprint="digits", classes=10, train_images=100, validation_images=10, test_images=10)
PROXY: dict[str, Any] = {"name": "proxy", "trials": 5, "resolution": 16, "epochs": 4}
FULL: dict[str, Any] = {"name": "full", "promote": {"top": 2}, "resolution": 32, "epochs": 8}
COSTLY: dict[str, Any] = {"objectives": {"top1": "maximize", "macs": "minimize"}}


def meaning(**changes: Any) -> dict[str, Any]:
    """A study's meaning as it comes back from the database."""
    study = make_study(**changes)
    read: dict[str, Any] = json.loads(json.dumps(meaning_of(study, read_space(study.space), DATA)))
    return read


@pytest.mark.parametrize(
    "changes",
    [
        {"fidelities": [{**PROXY, "trials": 9, "seeds": [0, 1]}]},
        {"fidelities": [PROXY, FULL]},
        {"executor": {"max_concurrent": 8, "retries": 0}},
        {"stop": {"wall_hours": 3}},
        {"final": {"seeds": [5]}},
        {"final": {"splits": 3}},
        {"keep_weights": 1, "baselines": True, "storage": "sqlite:///other.db", "artifacts": "elsewhere"},
        {"enqueue": [{"attention.reduction": 8}]},
        {"metrics": ["top1"]},
    ],
)
def test_what_leaves_values_as_they_are_may_change(changes: dict[str, Any]) -> None:
    check_unchanged("tiny", meaning(fidelities=[PROXY]), meaning(**{"fidelities": [PROXY], **changes}))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"fidelities": [{**PROXY, "resolution": 32}]}),
        ({}, {"fidelities": [{**PROXY, "train_fraction": 0.5}]}),
        ({}, {"fidelities": [{**PROXY, "recipe": {"lr": 0.5}}]}),
        ({}, {"fidelities": [{**PROXY, "pruner": {"name": "median"}}]}),
        ({}, {"constraints": {"params": {"max": 5}}}),
        ({}, {"on_duplicate": "new_seed"}),
        ({}, {"sampler": {"name": "tpe", "seed": 0}}),
        (COSTLY, {**COSTLY, "fidelities": [PROXY, FULL]}),
        ({}, {"metrics": ["auroc"]}),
        ({"metrics": ["auroc"]}, {}),
        ({"metrics": ["auroc"]}, {"metrics": ["macro_f1", "auroc"]}),
        (COSTLY, {"objectives": {"macs": "minimize", "top1": "maximize"}}),
    ],
)
def test_what_gives_values_another_meaning_is_refused(before: dict[str, Any], after: dict[str, Any]) -> None:
    with pytest.raises(StudyChanged, match="'tiny' holds values that mean something else"):
        check_unchanged(
            "tiny", meaning(**{"fidelities": [PROXY], **before}), meaning(**{"fidelities": [PROXY], **after})
        )


ALWAYS: dict[str, Any] = {"space": "s", "data": "d", "objectives": ["top1 maximize"], "sampler": "tpe"}


def test_every_difference_is_told_with_what_is_stored_and_what_is_written() -> None:
    with pytest.raises(StudyChanged) as caught:
        check_unchanged("tiny", {**ALWAYS, "a": 1, "b": 2, "c": 3}, {**ALWAYS, "a": 1, "b": 4})
    lines = str(caught.value).splitlines()
    assert lines[1:3] == ["  b: 2 in the database, 4 in the YAML", "  c: 3 in the database, nothing in the YAML"]


def test_a_damaged_meaning_is_none_that_a_study_goes_on_with() -> None:
    with pytest.raises(StorageError, match="study 'tiny' is damaged: its stored meaning lacks data, space; put a copy"):
        check_unchanged("tiny", {"objectives": [], "sampler": {}}, ALWAYS)


def without(stored: dict[str, Any], *paths: str) -> dict[str, Any]:
    return {path: value for path, value in stored.items() if path not in paths}


ADDED = "fidelities.proxy.recipe.accumulate"
"""A field that studies were stored without before it existed."""


def test_a_study_stored_before_a_field_existed_goes_on() -> None:
    stored = without(meaning(fidelities=[PROXY]), ADDED)
    stored["fidelities.proxy.recipe.schedule"].pop("factor")
    stored["sampler"].pop("window")
    check_unchanged("tiny", stored, meaning(fidelities=[PROXY]))


def test_a_field_that_is_switched_on_for_a_study_stored_before_it_existed_is_refused() -> None:
    stored = without(meaning(fidelities=[PROXY]), ADDED)
    with pytest.raises(StudyChanged, match=f"{ADDED}: 1 in the database, 4 in the YAML"):
        check_unchanged("tiny", stored, meaning(fidelities=[{**PROXY, "recipe": {"accumulate": 4}}]))


def test_a_nested_field_that_is_changed_for_a_study_stored_before_it_existed_is_refused() -> None:
    stored = meaning(fidelities=[PROXY])
    stored["fidelities.proxy.recipe.schedule"].pop("factor")
    with pytest.raises(StudyChanged, match=r"recipe\.schedule"):
        check_unchanged("tiny", stored, meaning(fidelities=[{**PROXY, "recipe": {"schedule": {"factor": 0.5}}}]))


def test_a_further_fidelity_may_use_new_fields() -> None:
    full = {**FULL, "recipe": {"accumulate": 4}}
    check_unchanged("tiny", without(meaning(fidelities=[PROXY]), ADDED), meaning(fidelities=[PROXY, full]))


def race(**changes: Any) -> dict[str, Any]:
    promote = {"top": 2, "race": {"max_seeds": 4, **changes}}
    return meaning(fidelities=[PROXY, {**FULL, "promote": promote}])


def test_a_race_may_be_added_and_its_seeds_may_grow() -> None:
    check_unchanged("tiny", meaning(fidelities=[PROXY, FULL]), race())
    check_unchanged("tiny", race(), race(max_seeds=6))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (race(max_seeds=3), "race.max_seeds: 4 in the database, 3 in the YAML"),
        (race(confidence=0.9), "race: "),
        (meaning(fidelities=[PROXY, FULL]), "nothing in the YAML"),
        (meaning(fidelities=[PROXY, {**FULL, "seeds": [1, 2], "promote": {"race": {"max_seeds": 4}}}]), "race: "),
    ],
)
def test_what_decides_a_race_may_not_change_otherwise(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyChanged, match=words):
        check_unchanged("tiny", race(), changed)


@pytest.mark.parametrize("init", ["small", "torchvision"])
def test_a_study_stored_before_the_start_of_the_classifier_could_be_chosen_goes_on_with_either(init: str) -> None:
    stored = without(meaning(fidelities=[PROXY]), "fidelities.proxy.recipe.classifier_init")
    check_unchanged("tiny", stored, meaning(fidelities=[{**PROXY, "recipe": {"classifier_init": init}}]))
