from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from dcasearch.config.study import Study
from dcasearch.errors import FailureKind, TrialFailure
from dcasearch.evaluation import Epoch
from dcasearch.search.costing import Costs
from dcasearch.search.retrying import take_up_again
from dcasearch.search.trials import REPEATS_BEFORE_COUNTING, UNUSABLE_AFTER_A_DRAW, UNUSABLE_IN_A_ROW, Trials
from dcasearch.search.work import Event, Job
from dcasearch.space import read_space
from dcasearch.store import Store
from dcasearch.trial import State, Trial
from tests.support import DriverDied, Simulated, accuracy, make_epoch, make_evaluation, make_study, with_top1

HALVING = {"name": "successive_halving", "min_epochs": 1, "reduction_factor": 2, "startup": 2}


def proxy(**changes: Any) -> list[dict[str, Any]]:
    return [{"name": "proxy", "trials": 8, "resolution": 16, "epochs": 4, **changes}]


class Bench:
    """A study on a database of its own; `trials()` is a new driver each time."""

    def __init__(self, folder: Path, study: Study, events: list[Event] | None = None) -> None:
        self.folder, self.study = folder, study
        folder.mkdir(exist_ok=True)
        self.url = f"sqlite:///{folder}/study.db"
        self.events = events if events is not None else []

    def trials(self) -> Trials:
        store = Store.open(self.url, create=True)
        store.put_study(self.study.name, {}, self.study.model_dump_json(exclude={"storage"}))
        return Trials(
            study=self.study,
            fidelity=self.study.fidelities[0],
            space=read_space(self.study.space),
            store=store,
            costs=Costs(store, 16, 10),
            data_fingerprint="digits",
            artifacts=self.folder,
            observe=self.events.append,
        )

    def run(self, executor: Simulated | None = None) -> list[Trial]:
        work = self.trials()
        (executor or Simulated()).run(work)
        return self.ledger()

    def ledger(self) -> list[Trial]:
        return Store.open(self.url).trials(self.study.name, "proxy")

    def optuna(self) -> list[optuna.trial.FrozenTrial]:
        storage = Store.open(self.url).optuna
        return optuna.load_study(study_name=f"{self.study.name}.proxy", storage=storage).trials

    def whole(self) -> list[tuple[Any, ...]]:
        """Everything of both ledgers that must not depend on when a driver died."""
        ours = {trial.number: trial for trial in self.ledger()}
        return [
            (t.number, t.state, t.params, t.values, t.intermediate_values, t.user_attrs, ours[t.number])
            for t in self.optuna()
        ]


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda **changes: Bench(tmp_path / str(len(list(tmp_path.iterdir()))), make_study(**changes))


def test_the_budget_counts_trained_trials_only(bench: Callable[..., Bench]) -> None:
    ledger = bench(fidelities=proxy(trials=8)).run()
    trained = [trial for trial in ledger if trial.state is State.COMPLETE]
    assert len(trained) == 8
    assert {trial.state for trial in ledger} <= {State.COMPLETE, State.DUPLICATE}


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
    assert len(executor.ran) == len({job.task.architecture.id for job in executor.ran})


def test_on_duplicate_new_seed_trains_the_network_again_with_the_next_seed(bench: Callable[..., Bench]) -> None:
    ledger = bench(fidelities=proxy(trials=40), on_duplicate="new_seed").run()
    pairs = [(trial.architecture_id, trial.seed) for trial in ledger]
    assert {trial.state for trial in ledger} == {State.COMPLETE}
    assert len(set(pairs)) == 40
    assert max(seed for _, seed in pairs) > 0


def test_a_space_that_is_used_up_ends_cleanly(bench: Callable[..., Bench]) -> None:
    space = {"backbone": {"name": "resnet18", "stem": "small"}, "attention": {"name": "se", "reduction": [4, 8, 16]}}
    run = bench(space=space, fidelities=proxy(trials=50))
    work = run.trials()
    Simulated().run(work)
    assert sum(trial.state is State.COMPLETE for trial in run.ledger()) == 3
    assert work.ended is not None
    assert "used up" in work.ended
    assert len(run.ledger()) < 3 + 2 * REPEATS_BEFORE_COUNTING  # it takes note of repeats soon


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")  # of the sampler that this test uses
def test_a_sampler_that_repeats_itself_gives_way_to_random_draws_and_the_sooner_the_second_time(
    bench: Callable[..., Bench],
) -> None:
    run = bench(fidelities=proxy(trials=6))
    work = run.trials()
    point = next(iter(read_space(run.study.space).enumerate()))
    study = work.ledger.optuna
    study.sampler = optuna.samplers.PartialFixedSampler(point.params, study.sampler)
    Simulated().run(work)
    trained = [trial for trial in run.ledger() if trial.state is not State.DUPLICATE]
    assert [trial.origin for trial in trained] == ["sampled"] + ["random"] * 5
    assert len(run.ledger()) == 6 + UNUSABLE_IN_A_ROW + 4 * UNUSABLE_AFTER_A_DRAW


def test_grid_trains_every_distinct_architecture_once(bench: Callable[..., Bench]) -> None:
    run = bench(
        sampler={"name": "grid"}, fidelities=[{"name": "proxy", "resolution": 16, "epochs": 2, "trials": 10_000}]
    )
    ledger = run.run()
    expected = {point.architecture.id for point in read_space(run.study.space).enumerate()}
    assert {trial.architecture_id for trial in ledger} == expected
    assert len(ledger) == len(expected)
    assert {trial.state for trial in ledger} == {State.COMPLETE}


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


def train(work: Trials, job: Job, level: float, epochs: int) -> tuple[Epoch, ...]:
    """Report epochs of a made-up top-1 that starts above `level`, until a rung stops them; return them."""
    history: list[Epoch] = []
    for number in range(1, epochs + 1):
        history.append(with_top1(make_epoch(job, number), level + number))
        if not work.report(job, history[-1]):
            break
    return tuple(history)


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


@pytest.mark.parametrize("failure", ["lost", "nan"])
def test_a_lost_trial_that_is_taken_up_again_keeps_its_rungs_and_one_that_starts_anew_does_not(
    bench: Callable[..., Bench], failure: FailureKind
) -> None:
    run = bench(fidelities=proxy(epochs=9, pruner={**HALVING, "startup": 1}), executor={"retries": 0})
    work = run.trials()
    job = work.ask()
    assert job is not None
    seen = train(work, job, 50.0, 7)
    for level in range(70, 74):  # four better ones
        other = work.ask()
        assert other is not None
        work.finish(other, make_evaluation(other, train(work, other, level, 9)))
    work.fail(job, TrialFailure(failure, "its worker has died"))
    take_up_again(run.study, Store.open(run.url), [failure])
    assert run.trials().ask() is not None
    work = run.trials()  # a further driver, which reads from the database what was passed
    again = work.ask()
    assert again is not None
    assert again.number != job.number
    assert [work.report(again, epoch) for epoch in seen[:1]] == [failure == "lost"]
    if failure == "lost":
        assert [work.report(again, epoch) for epoch in seen[1:]] == [True] * 6


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


def test_recovery_settles_each_of_several_waiting_duplicates_once(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    space = {"backbone": {"name": "resnet18", "stem": "small"}, "attention": {"name": "se", "reduction": [8, 16]}}
    for failure in (None, TrialFailure("lost", "its worker has died"), TrialFailure("nan", "the loss is nan")):
        run = bench(space=space, fidelities=proxy(trials=3), executor={"retries": 0})
        work = run.trials()
        job, _other = work.ask(), work.ask()
        assert job is not None
        assert work.ask() is None
        waiting = [t.number for t in run.ledger() if t.state is State.WAITING and t.duplicate_of == job.number]
        assert len(waiting) >= 2

        def die(original: Trial) -> None:
            raise DriverDied

        monkeypatch.setattr(work, "_settle_waiting", die)
        record = make_evaluation(job, train(work, job, 50.0, 4))
        with pytest.raises(DriverDied):
            work.finish(job, record) if failure is None else work.fail(job, failure)
        successor = run.trials()
        handed_out = list(iter(successor.ask, None))
        assert len({job.number for job in handed_out}) == len(handed_out)
        states = {t.number: t.state for t in run.ledger()}
        if failure is not None and failure.kind == "lost":
            assert states[waiting[0]] is State.RUNNING  # the first of them takes over, the others wait for it
            assert {states[number] for number in waiting[1:]} == {State.WAITING}
        else:
            assert {states[number] for number in waiting} == {State.DUPLICATE}
        run.trials()  # and a third driver finds nothing wrong


STUDIES = {
    "random": {"fidelities": proxy(pruner=HALVING)},
    "tpe": {"sampler": {"name": "tpe", "seed": 1, "startup": 3}, "fidelities": proxy(pruner=HALVING)},
    "tpe, two objectives": {
        "sampler": {"name": "tpe", "seed": 1, "startup": 3},
        "objectives": {"top1": "maximize", "macs": "minimize"},
        "fidelities": proxy(pruner={"name": "median", "startup": 2}),
    },
    "nsga2": {
        "sampler": {"name": "nsga2", "seed": 1, "population": 4},
        "objectives": {"top1": "maximize", "macs": "minimize"},
        "fidelities": proxy(),
    },
    "grid": {"sampler": {"name": "grid"}, "fidelities": proxy()},
}


@pytest.mark.parametrize("name", STUDIES)
def test_a_driver_that_dies_at_any_call_leaves_the_same_ledger_in_the_end(
    bench: Callable[..., Bench], name: str
) -> None:
    undisturbed = bench(**STUDIES[name])
    executor = Simulated()
    undisturbed.run(executor)
    disturbed = bench(**STUDIES[name])
    deaths = 0
    while True:
        try:
            disturbed.run(Simulated(die_at=8))
            break
        except DriverDied:
            deaths += 1
    assert deaths >= executor.calls // 12
    assert disturbed.whole() == undisturbed.whole()


@pytest.mark.parametrize("table", ["store.put_trial", "store.record_and_put", "optuna.tell", "optuna.set_trial_param"])
def test_a_driver_that_dies_between_two_writes_leaves_the_same_ledger_in_the_end(
    bench: Callable[..., Bench], table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, disturbed = bench(**STUDIES["tpe"]), bench(**STUDIES["tpe"])
    undisturbed.run()
    owner: Any = Store if table.startswith("store.") else optuna.Study
    method = table.split(".")[1]
    if method == "set_trial_param":
        owner = optuna.storages._CachedStorage
    original = getattr(owner, method)
    countdown = [0]

    def dying(*args: Any, **kwargs: Any) -> Any:
        countdown[0] -= 1
        if countdown[0] == 0:
            raise DriverDied
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, method, dying)
    ended = False
    for attempt in range(200):
        countdown[0] = 3 + attempt // 2  # parameters are written together: what dies within them has none
        try:
            disturbed.run()
            ended = True
            break
        except DriverDied:
            continue
    assert ended
    monkeypatch.setattr(owner, method, original)
    assert disturbed.whole() == undisturbed.whole()


def test_simulated_accuracies_differ_between_architectures(bench: Callable[..., Bench]) -> None:
    executor = Simulated()
    bench().run(executor)
    assert len({accuracy(job, 1) for job in executor.ran}) == len(executor.ran)
