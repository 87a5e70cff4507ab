"""Each private part of Optuna that is used is where it was, and Optuna still calls the steps that are replaced."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.storages import RDBStorage

from dcasearch.store.optuna_private import (
    OpenStorage,
    View,
    id_of,
    pareto_front,
    set_constraints,
    share_search_space,
    storage_of,
    taken_up,
    uncached,
)
from tests.private_names import listed, look_up

STEPS = {
    "_set_trial_param": "write_param",
    "_create_new_trial": "make_trial",
    "_get_prepared_new_trial": "make_row",
    "_get_trials": "read_trials",
    "_get_best_trial_id": "best_trial_id",
}
"""Optuna's private step -> the method that a subclass replaces."""


@pytest.fixture(scope="module")
def instances() -> Iterator[dict[str, Any]]:
    with ExitStack() as stack:
        storage = RDBStorage("sqlite://")
        stack.callback(storage.engine.dispose)
        stack.callback(storage.remove_session)
        yield {
            "optuna.study:Study": optuna.create_study(),
            "optuna.trial:FrozenTrial": optuna.trial.create_trial(value=0.0),
            "optuna.samplers:NSGAIISampler": optuna.samplers.NSGAIISampler(),
            "optuna.storages:RDBStorage": storage,
            "optuna.storages._cached_storage:_CachedStorage": optuna.storages.get_storage(storage),
        }


@pytest.fixture
def study() -> Iterator[optuna.Study]:
    storage = OpenStorage("sqlite://")
    yield optuna.create_study(storage=storage, directions=["minimize", "minimize"])
    storage.close()


@pytest.mark.parametrize("name", listed("optuna"))
def test_optuna_has_not_moved(name: str, instances: dict[str, Any]) -> None:
    look_up(name, instances)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_is_replaced_takes_what_optuna_gives_it(step: str) -> None:
    ours, theirs = (inspect.signature(getattr(owner, step)).parameters for owner in (OpenStorage, RDBStorage))
    assert [(p.name, p.kind, p.default) for p in ours.values()] == [
        (p.name, p.kind, p.default) for p in theirs.values()
    ]


def test_every_replaced_step_is_listed_and_has_a_name_of_ours() -> None:
    replaced = {name for name in vars(OpenStorage) if name.startswith("_") and name in vars(RDBStorage)}
    assert {name for name in replaced if not name.startswith("__") and name != "_abc_impl"} == set(STEPS)
    assert {f"optuna.storages:RDBStorage.{step}" for step in STEPS} <= set(listed("optuna"))


@pytest.mark.parametrize("ours", STEPS.values())
def test_optuna_calls_the_step_that_a_subclass_replaces(ours: str) -> None:
    calls: list[str] = []

    def replaced(self: OpenStorage, *args: Any, **kwargs: Any) -> Any:
        calls.append(ours)
        return getattr(OpenStorage, ours)(self, *args, **kwargs)

    storage = type("Replacing", (OpenStorage,), {ours: replaced})("sqlite://")
    try:
        study = optuna.create_study(storage=storage)
        trial = study.ask()
        trial.suggest_int("n", 0, 1)
        study.tell(trial, 0.5)
        assert [t.params.keys() for t in study.get_trials()] == [{"n"}]
        assert study.best_value == 0.5
    finally:
        storage.close()
    assert calls


def test_a_trial_is_written_to_by_its_number_and_taken_up_again(study: optuna.Study) -> None:
    study.ask()
    number = study.ask().number
    storage_of(study).set_trial_intermediate_value(id_of(study, number), 1, 0.25)
    set_constraints(study, number, {"params": 3.0, "macs": 0.0}.items())
    (frozen,) = (t for t in study.get_trials() if t.number == number)
    assert frozen.intermediate_values == {1: 0.25}
    assert frozen.constraints == {"0": 3.0, "1": 0.0, "params": 3.0, "macs": 0.0}
    trial = taken_up(study, frozen)
    assert trial.number == number
    assert trial.suggest_int("n", 4, 4) == 4
    assert study.get_trials()[number].params == {"n": 4}


def test_a_view_shows_a_sampler_these_trials_alone(study: optuna.Study) -> None:
    for _ in range(3):
        study.tell(study.ask(), [0.0, 0.0])
    view = View(study, study.get_trials()[1:])
    assert [t.number for t in view.get_trials()] == [1, 2]
    assert view.get_trials(states=[optuna.trial.TrialState.RUNNING]) == []
    assert view.directions == study.directions


def test_the_pareto_front_is_optunas(study: optuna.Study) -> None:
    for values in ([0.0, 1.0], [1.0, 0.0], [1.0, 1.0]):
        study.tell(study.ask(), values)
    assert [t.number for t in pareto_front(study.get_trials(), study.directions)] == [0, 1]


def test_a_new_sampler_goes_on_with_the_search_space_of_another(study: optuna.Study) -> None:
    class Counting(optuna.search_space.IntersectionSearchSpace):
        asked = 0

        def calculate(self, study: optuna.Study) -> dict[str, Any]:
            self.asked += 1
            return {"n": IntDistribution(0, 3)}

    space, sampler = Counting(), optuna.samplers.NSGAIISampler(seed=1)
    share_search_space(sampler, space)
    study.sampler = sampler
    study.ask().suggest_int("n", 0, 3)
    assert space.asked


def test_a_storage_is_reached_behind_its_cache(study: optuna.Study) -> None:
    cached = storage_of(study)
    assert not isinstance(cached, OpenStorage)
    assert isinstance(uncached(cached), OpenStorage)
    assert uncached(uncached(cached)) is uncached(cached)
