from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.trial import TrialState

from dcasearch.errors import TrialFailure
from dcasearch.search.work import Job
from dcasearch.store import Store
from dcasearch.trial import State
from tests.search.support import HALVING, Bench, proxy, train
from tests.support import Simulated, make_epoch, make_evaluation, with_top1


def test_a_complete_trial_has_values_curve_and_record_alike_in_both_tables(bench: Callable[..., Bench]) -> None:
    run = bench(objectives={"top1": "maximize", "params": "minimize"})
    row = run.run()[0]
    told = run.optuna()[0]
    store = Store.open(run.url)
    record = store.evaluation(row.evaluation or "")
    cost = store.get_costs(row.architecture_id, 16, 10)
    assert cost is not None
    assert row.values == (record.last.values["top1"], float(cost["params"])) == tuple(told.values)
    assert told.intermediate_values == {epoch.epoch: epoch.values["top1"] for epoch in record.history}
    assert told.user_attrs["state"] == "complete"
    assert told.user_attrs["architecture"] == row.architecture_id


@pytest.mark.parametrize("objectives", [{"top1": "maximize"}, {"top1": "maximize", "macs": "minimize"}])
def test_pruned_trials_keep_their_curve_and_rung_with_one_and_several_objectives(
    bench: Callable[..., Bench], objectives: dict[str, str]
) -> None:
    run = bench(
        objectives=objectives, fidelities=proxy(pruner=HALVING, trials=12), sampler={"name": "tpe", "startup": 4}
    )
    pruned = [trial for trial in run.run() if trial.state is State.PRUNED]
    assert pruned
    for trial in pruned:
        told = run.optuna()[trial.number]
        assert told.state is TrialState.PRUNED
        assert trial.values is None
        assert sorted(told.intermediate_values) == list(range(1, trial.epochs + 1))
        assert trial.epochs == {0: 1, 1: 2}[int(trial.attributes["rung"] or 0)]


@pytest.mark.parametrize("kind", ["oom", "nan", "bug"])
def test_a_model_failure_fails_its_trial_and_the_study_goes_on(bench: Callable[..., Bench], kind: str) -> None:
    run = bench()
    first: list[int] = []

    def fail(job: Job) -> TrialFailure | None:
        first.append(job.number)
        return TrialFailure(kind, "made to") if job.number == first[0] else None  # type: ignore[arg-type]  # parametrized

    ledger = run.run(Simulated(fail=fail))
    failed = ledger[first[0]]
    assert (failed.state, failed.failure, failed.message) == (State.FAILED, kind, "made to")
    assert run.optuna()[first[0]].state is TrialState.FAIL
    assert sum(trial.state is State.COMPLETE for trial in ledger) == 4


def test_a_lost_worker_is_retried_under_the_same_number_and_then_failed(bench: Callable[..., Bench]) -> None:
    run = bench(executor={"retries": 2})
    attempts: list[int] = []

    def fail(job: Job) -> TrialFailure | None:
        if job.number == 1:
            attempts.append(job.number)
            return TrialFailure("lost", "killed")
        return None

    ledger = run.run(Simulated(fail=fail))
    assert len(attempts) == 3
    assert (ledger[1].state, ledger[1].failure, ledger[1].retries) == (State.FAILED, "lost", 2)


@pytest.mark.parametrize("end", ["worker", "driver"])
def test_a_rung_that_was_passed_stays_passed_though_better_curves_have_come(
    bench: Callable[..., Bench], end: str
) -> None:
    run = bench(fidelities=proxy(epochs=9, pruner={**HALVING, "startup": 1}))
    work = run.trials()
    job = work.ask()
    assert job is not None
    seen = train(work, job, 50.0, 7)
    assert len(seen) == 7
    for level in range(70, 74):  # four better ones
        other = work.ask()
        assert other is not None
        work.finish(other, make_evaluation(other, train(work, other, level, 9)))
    if end == "worker":
        work.fail(job, TrialFailure("lost", "its worker has died"))
    else:
        work = run.trials()
    again = work.ask()
    assert again is not None
    assert (again.number, again.resumed) == (job.number, True)
    assert [work.report(again, epoch) for epoch in seen] == [True] * 7
    assert not work.report(again, with_top1(make_epoch(again, 8), 58.0))  # a rung it has not passed
