from __future__ import annotations

from collections.abc import Callable

from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState

from dcasearch.architecture.words import sentence_of
from dcasearch.errors import TrialFailure
from dcasearch.store import Store
from dcasearch.trial import State
from tests.search.support import Bench, proxy, train
from tests.support import Simulated, make_epoch, make_evaluation


def test_infeasible_trials_are_never_trained_and_say_which_constraint(bench: Callable[..., Bench]) -> None:
    free = bench(fidelities=proxy(trials=8)).run()
    del free
    unconstrained = bench(fidelities=proxy(trials=8))
    unconstrained.run()
    store = Store.open(unconstrained.url)
    costs = sorted(store.get_costs(t.architecture_id, 16, 10)["params"] for t in unconstrained.ledger())
    limit = costs[len(costs) // 2]
    run = bench(fidelities=proxy(trials=4), constraints={"params": {"max": limit}})
    executor = Simulated()
    ledger = run.run(executor)
    infeasible = [trial for trial in ledger if trial.state is State.INFEASIBLE]
    assert infeasible
    assert {job.number for job in executor.ran}.isdisjoint(trial.number for trial in infeasible)
    for trial in infeasible:
        told = run.optuna()[trial.number]
        assert trial.constraint is not None
        assert trial.constraint.startswith("params ")
        assert told.state is TrialState.PRUNED
        assert told.values is None
        assert told.constraints["params"] > 0
    assert sum(trial.state is State.COMPLETE for trial in ledger) == 4


def test_every_trial_shows_its_network_and_its_drawing_in_optuna_s_tables(bench: Callable[..., Bench]) -> None:
    run = bench(fidelities=proxy(trials=8), constraints={"params": {"max": 11_480_000}})
    ledger = run.run()
    assert {State.COMPLETE, State.DUPLICATE, State.INFEASIBLE} <= {trial.state for trial in ledger}
    store = Store.open(run.url)
    for trial, told in zip(ledger, run.optuna(), strict=True):
        network = store.get_architecture(trial.architecture_id).network
        assert told.user_attrs["architecture"] == trial.architecture_id
        assert told.user_attrs["network"] == sentence_of(network)
        assert told.user_attrs["params"] == store.get_costs(trial.architecture_id, 16, 10)["params"]
        [drawing] = get_all_artifact_meta(told, storage=store.optuna)
        assert (drawing.artifact_id, drawing.mimetype) == (trial.architecture_id, "image/svg+xml")


def test_duplicates_are_replayed_with_state_values_and_curve_of_their_original(bench: Callable[..., Bench]) -> None:
    run = bench(fidelities=proxy(trials=20))
    executor = Simulated()
    ledger = run.run(executor)
    duplicates = [trial for trial in ledger if trial.state is State.DUPLICATE]
    assert duplicates
    told = run.optuna()
    for trial in duplicates:
        original = ledger[trial.duplicate_of or 0]
        assert (trial.architecture_id, trial.values) == (original.architecture_id, original.values)
        assert told[trial.number].values == told[original.number].values
        assert told[trial.number].intermediate_values == told[original.number].intermediate_values
        assert told[trial.number].user_attrs["duplicate_of"] == original.number
    assert len(executor.ran) == len({job.assignment.architecture.id for job in executor.ran})


def test_on_duplicate_new_seed_trains_the_network_again_with_the_next_seed(bench: Callable[..., Bench]) -> None:
    ledger = bench(fidelities=proxy(trials=40), on_duplicate="new_seed").run()
    pairs = [(trial.architecture_id, trial.seed) for trial in ledger]
    assert {trial.state for trial in ledger} == {State.COMPLETE}
    assert len(set(pairs)) == 40
    assert max(seed for _, seed in pairs) > 0


def test_a_duplicate_of_a_running_trial_waits_and_is_told_when_that_ends(bench: Callable[..., Bench]) -> None:
    space = {"backbone": {"name": "resnet18", "stem": "small"}, "attention": {"name": "se", "reduction": [8, 16]}}
    run = bench(space=space, fidelities=proxy(trials=2))
    work = run.trials()
    jobs = [work.ask(), work.ask()]
    assert work.ask() is None
    waiting = [trial for trial in run.ledger() if trial.state is State.WAITING]
    for job in jobs:
        assert job is not None
        history = tuple(make_epoch(job, n) for n in range(1, 5))
        for epoch in history:
            work.report(job, epoch)
        work.finish(job, make_evaluation(job, history))
    assert {trial.state for trial in run.ledger()} <= {State.COMPLETE, State.DUPLICATE}
    assert all(run.optuna()[trial.number].state is TrialState.COMPLETE for trial in waiting)


def test_a_duplicate_that_takes_over_keeps_the_rungs_that_its_original_passed(bench: Callable[..., Bench]) -> None:
    space = {"backbone": {"name": "resnet18", "stem": "small"}, "attention": {"name": "se", "reduction": [8, 16]}}
    pruner = {"name": "successive_halving", "reduction_factor": 2, "startup": 1}
    run = bench(space=space, fidelities=proxy(trials=3, pruner=pruner), executor={"retries": 0})
    work = run.trials()
    first, second = work.ask(), work.ask()
    assert first is not None
    assert second is not None
    assert work.ask() is None
    waiting = [t.number for t in run.ledger() if t.state is State.WAITING and t.duplicate_of == first.number]
    assert waiting
    seen = train(work, first, 50.0, 3)
    work.finish(second, make_evaluation(second, train(work, second, 70.0, 4)))
    work.fail(first, TrialFailure("lost", "its worker has died"))
    heir = work.ask()
    assert heir is not None
    assert heir.number == waiting[0]
    assert [work.report(heir, epoch) for epoch in seen] == [True] * 3
