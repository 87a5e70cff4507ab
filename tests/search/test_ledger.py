from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from dcasearch.architecture import Architecture
from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey
from dcasearch.search.ledger import Ledger
from dcasearch.store import Store
from dcasearch.trial import State, Trial
from tests.support import make_study

ARCHITECTURE = Architecture.parse({"backbone": {"name": "resnet18"}, "attention": {"name": "se"}})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/study.db", create=True) as opened:
        opened.put_study("tiny", {}, "")
        opened.put_architecture(ARCHITECTURE)
        yield opened


def open_ledger(store: Store, **changes: Any) -> Ledger:
    study = make_study(**changes)
    return Ledger(store, study, study.fidelities[0])


def epochs(*top1: float) -> tuple[Epoch, ...]:
    return tuple(
        Epoch(epoch=n, train_loss=1.0, values={"loss": 1.0, "top1": value, "top5": 100.0}, seconds=0.0, device="cpu")
        for n, value in enumerate(top1, start=1)
    )


def evaluation(*top1: float) -> Evaluation:
    key = EvaluationKey(architecture_id=ARCHITECTURE.id, fidelity="f", data="d", protocol="search", seed=0)
    return Evaluation(key=key, history=epochs(*top1), seconds=0.0, images=1, device="cpu")


def begin(ledger: Ledger) -> Trial:
    """Ask, draw one parameter and store the row."""
    asked = ledger.optuna.ask()
    drawn = asked.suggest_categorical("attention.reduction", (8, 16))
    trial = Trial(
        study="tiny",
        fidelity="proxy",
        number=asked.number,
        state=State.RUNNING,
        origin="sampled",
        params={"attention.reduction": drawn},
        architecture_id=ARCHITECTURE.id,
        seed=0,
    )
    ledger.annotate(asked.number, architecture=ARCHITECTURE.id)
    ledger.put(trial)
    return trial


def changed(trial: Trial, **changes: Any) -> Trial:
    return Trial(**{**vars(trial), **changes})


def test_a_stored_row_never_knows_parameters_that_optunas_tables_do_not(store: Store) -> None:
    ledger = open_ledger(store)
    trials = [begin(ledger) for _ in range(3)]
    with Store.open(f"{store.url}") as other:  # ... a driver that follows this one at any moment
        for trial, frozen in zip(trials, open_ledger(other).unfinished(), strict=True):
            assert frozen.params == trial.params
            assert frozen.user_attrs["architecture"] == ARCHITECTURE.id


def test_an_end_stands_in_both_tables(store: Store) -> None:
    ledger = open_ledger(store)
    trial = begin(ledger)
    record = evaluation(40.0, 50.0)
    for epoch in record.history:
        ledger.report(trial.number, epoch)
    ledger.settle(changed(trial, state=State.COMPLETE, evaluation=record.key.id, values=(50.0,), epochs=2), record)
    [told] = ledger.optuna.get_trials()
    assert (told.state, told.values, told.intermediate_values) == (TrialState.COMPLETE, [50.0], {1: 40.0, 2: 50.0})
    assert told.user_attrs["state"] == "complete"
    assert ledger.complete() == [store.trial("tiny", "proxy", 0)]
    assert ledger.unfinished() == []


def test_an_infeasible_trial_tells_optuna_by_how_much(store: Store) -> None:
    ledger = open_ledger(store)
    trial = begin(ledger)
    ledger.settle(changed(trial, state=State.INFEASIBLE, constraint="params 7 > 5"), violation={"params": 2.0})
    [told] = ledger.optuna.get_trials()
    assert (told.state, told.values, told.constraints) == (TrialState.PRUNED, None, {"0": 2.0, "params": 2.0})
    assert told.user_attrs["reason"] == "params 7 > 5"


def test_a_duplicate_has_its_originals_state_values_and_curve(store: Store) -> None:
    ledger = open_ledger(store)
    first, second = begin(ledger), begin(ledger)
    record = evaluation(40.0, 50.0)
    for epoch in record.history:
        ledger.report(first.number, epoch)
    original = changed(first, state=State.COMPLETE, evaluation=record.key.id, values=(50.0,), epochs=2)
    ledger.settle(original, record)
    ledger.settle(changed(original, number=second.number, state=State.DUPLICATE, duplicate_of=first.number))
    told, again = ledger.optuna.get_trials()
    assert (again.state, again.values, again.intermediate_values) == (told.state, told.values, told.intermediate_values)
    assert again.user_attrs["duplicate_of"] == first.number


@pytest.mark.parametrize(("reached", "curve"), [(1, [40.0]), (2, [40.0, 50.0])])
def test_a_new_driver_reads_the_curves_up_to_where_each_trial_went(
    store: Store, reached: int, curve: list[float]
) -> None:
    ledger = open_ledger(store)
    trial = begin(ledger)
    record = evaluation(40.0, 50.0)  # another study trained it longer
    ledger.settle(changed(trial, state=State.PRUNED, evaluation=record.key.id, epochs=reached), record)
    again = open_ledger(store)
    assert again.curves == {trial.number: curve}
    assert again.trials == ledger.trials


def test_an_epoch_that_is_reported_again_is_held_once(store: Store) -> None:
    ledger = open_ledger(store)
    number = begin(ledger).number
    first, second = epochs(40.0, 50.0)
    ledger.report(number, first)
    ledger.report(number, second)
    assert ledger.report(number, first) == [40.0]  # a resumed training starts over
    assert ledger.report(number, second) == [40.0, 50.0]
    assert ledger.unfinished()[0].intermediate_values == {1: 40.0, 2: 50.0}


def test_planned_trials_are_asked_for_in_their_order(store: Store) -> None:
    ledger = open_ledger(store)
    ledger.enqueue({"attention.reduction": 16}, origin="enqueued", enqueued="a")
    ledger.enqueue({"attention.reduction": 8}, origin="enqueued", enqueued="b")
    assert len(ledger.planned()) == 2
    assert ledger.attributes("enqueued") == {"a", "b"}
    assert ledger.attributes("origin", "enqueued") == {("enqueued", "a"), ("enqueued", "b")}
    assert [begin(ledger).params["attention.reduction"] for _ in range(2)] == [16, 8]
    assert ledger.planned() == []
