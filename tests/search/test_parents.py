from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.architecture import vanilla_of
from dcasearch.errors import TrialFailure
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.search.work import Event, Job, Work
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from dcasearch.study import Outcome
from dcasearch.training import weights_path
from dcasearch.trial import Role, State
from tests.support import DriverDied, Simulated, make_epoch, make_study

SPACE: dict[str, Any] = {
    "backbone": {"name": "resnet18", "stem": "small"},
    "attention": {"name": "se", "reduction": [8, 16]},
    "connections": {"granularity": "stage", "dimensions": {"channel": [True, False]}, "topology": ["chain", "dense"]},
}
WARM: dict[str, Any] = {
    "name": "proxy",
    "trials": 6,
    "resolution": 16,
    "epochs": 2,
    "initialize": {"name": "vanilla", "epochs": 3},
}


class Weighing(Simulated):
    """As `Simulated`, and leaves a file of weights behind, as a training does."""

    def __init__(self, artifacts: Path, **options: Any) -> None:
        super().__init__(**options)
        self.artifacts = artifacts

    def _train(self, work: Work, job: Job) -> None:
        failure = self.fail(job)
        if failure is not None:
            work.fail(job, failure)
            return
        history = tuple(make_epoch(job, n + 1) for n in range(job.assignment.fidelity.epochs))
        for epoch in history:
            self._tick()
            work.report(job, epoch)
        self._tick()
        work.finish(job, self._record(job, history))

    def _record(self, job: Job, history: tuple[Epoch, ...]) -> Evaluation:
        path = weights_path(self.artifacts, job.assignment.key.id)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"weights")
        return Evaluation(
            key=job.assignment.key,
            history=history,
            seconds=float(len(history)),
            images=10,
            device="cpu",
            weights=f"weights/{path.name}",
            weights_sha256="0" * 64,
        )


class Bench:
    """A study whose trials start from their parents, in a database of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.store = Store.open(f"sqlite:///{folder}/study.db", create=True)
        self.events: list[Event] = []

    def run(self, executor: Simulated | None = None, **changes: Any) -> Outcome:
        study = make_study(**{"space": SPACE, "artifacts": str(self.folder), "fidelities": [WARM], **changes})
        loaded = LoadedStudy(study, read_space(study.space), self.folder / "study.yaml", frozenset())
        return study_room.run(loaded, self.store, executor or Weighing(self.folder), self.events.append)

    def parents(self) -> list[Role]:
        return [role for role in self.store.roles("tiny") if role.role == "parent"]


@pytest.fixture
def bench(tmp_path: Path) -> Callable[[], Bench]:
    return lambda: Bench(tmp_path / str(len(list(tmp_path.iterdir()))))


def parents_first(jobs: list[Job]) -> bool:
    """Whether each job came after its parent."""
    trained = set()
    for job in jobs:
        if job.assignment.parent is not None and job.assignment.parent.key not in trained:
            return False
        trained.add(job.assignment.key)
    return True


def test_each_parent_is_trained_once_before_those_that_start_from_it(bench: Callable[[], Bench]) -> None:
    one = bench()
    executor = Weighing(one.folder)
    one.run(executor)
    parents = [job for job in executor.ran if job.assignment.parent is None]
    assert parents_first(executor.ran)
    assert len({job.assignment.key for job in parents}) == len(parents) == len(one.parents()) == 2
    assert {job.assignment.fidelity.epochs for job in parents} == {3}
    started = [event.label for event in one.events if event.kind == "started"]
    assert started == [job.label for job in executor.ran]  # a trial that waits for its parent has not started
    children = [job.assignment for job in executor.ran if job.assignment.parent is not None]
    assert len(children) == 6
    assert {assignment.parent_sha256 for assignment in children} == {"0" * 64}
    assert {
        assignment.architecture.network.alpha_init for assignment in children if assignment.architecture.network.edges
    } == {0.0}


def test_baselines_start_from_their_parents_as_the_trials_do(bench: Callable[[], Bench]) -> None:
    one = bench()
    executor = Weighing(one.folder)
    one.run(executor, baselines=True)
    assert parents_first(executor.ran)
    vanilla = next(job for job in executor.ran if job.label == "proxy baseline vanilla se")
    assert vanilla.assignment.parent is not None
    assert vanilla.assignment.parent.architecture.id == vanilla.assignment.architecture.id
    assert vanilla.assignment.fidelity.epochs == 2
    assert {"plain", "vanilla se"} <= {parent.name for parent in one.parents()}


def test_the_parents_seconds_are_part_of_the_studys(bench: Callable[[], Bench]) -> None:
    from dcasearch.analysis.standing import standing_of

    one = bench()
    one.run()
    trained = [t for t in one.store.trials("tiny", "proxy") if t.state is State.COMPLETE]
    assert standing_of(one.store, "tiny").seconds == 2 * len(trained) + 3 * 2


def test_another_study_of_the_database_takes_the_parents_over(bench: Callable[[], Bench]) -> None:
    one = bench()
    one.run()
    executor = Weighing(one.folder)
    one.run(executor, name="other", sampler={"name": "random", "seed": 5})
    assert all(job.assignment.parent is not None for job in executor.ran)
    assert {role.evaluation for role in one.store.roles("other")} <= {role.evaluation for role in one.parents()}


def test_a_parent_whose_weights_are_gone_is_trained_again(bench: Callable[[], Bench]) -> None:
    one = bench()
    one.run()
    for parent in one.parents():
        weights_path(one.folder, str(parent.evaluation)).unlink()
    executor = Weighing(one.folder)
    one.run(executor, fidelities=[{**WARM, "trials": 12}])
    again = [job for job in executor.ran if job.assignment.parent is None]
    assert again
    assert len(one.parents()) == 2


def test_children_of_a_parent_that_cannot_be_trained_fail_as_it_did(bench: Callable[[], Bench]) -> None:
    one = bench()

    def diverge(job: Job) -> TrialFailure | None:
        assignment = job.assignment
        if assignment.parent is None and '"hidden": 64' in assignment.architecture.network.canonical.replace(":", ": "):
            return TrialFailure("nan", "the loss is nan")
        return None

    executor = Weighing(one.folder, fail=diverge)
    one.run(executor)
    failed = [trial for trial in one.store.trials("tiny", "proxy") if trial.state is State.FAILED]
    assert failed
    assert {trial.failure for trial in failed} == {"nan"}
    assert all(trial.message.startswith("its parent vanilla") for trial in failed)
    assert sum(job.assignment.parent is None for job in executor.ran) == 2  # the broken one is not tried again
    assert [parent.failure for parent in one.parents()].count("nan") == 1


def test_a_parent_that_lost_its_worker_is_tried_again(bench: Callable[[], Bench]) -> None:
    one = bench()
    lost: list[str] = []

    def lose_once(job: Job) -> TrialFailure | None:
        if job.assignment.parent is None and job.label not in lost:
            lost.append(job.label)
            return TrialFailure("lost", "its worker is gone")
        return None

    one.run(Weighing(one.folder, fail=lose_once))
    assert len(lost) == 2
    assert {trial.state for trial in one.store.trials("tiny", "proxy")} <= {State.COMPLETE, State.DUPLICATE}


@pytest.mark.slow  # so do others in tests/search/test_trials.py
def test_a_driver_that_dies_at_any_call_leaves_the_same_ledger_in_the_end(bench: Callable[[], Bench]) -> None:
    small = {"baselines": ["plain"], "fidelities": [{**WARM, "trials": 3}]}
    undisturbed = bench()
    whole = Weighing(undisturbed.folder)
    undisturbed.run(whole, **small)
    for call in range(1, whole.calls, 4):
        one = bench()
        with pytest.raises(DriverDied):
            one.run(Weighing(one.folder, die_at=call), **small)
        one.run(**small)
        assert one.store.trials("tiny") == undisturbed.store.trials("tiny"), call
        assert {*one.store.roles("tiny")} == {*undisturbed.store.roles("tiny")}, call


# Constant messages

CONSTANT: dict[str, Any] = {
    **SPACE,
    "connections": {"dimensions": {"channel": [True, False]}, "message": ["sender", "constant"]},
}
COLD = {"name": "proxy", "trials": 6, "resolution": 16, "epochs": 2}


def constants(jobs: list[Job]) -> list[Job]:
    return [job for job in jobs if job.assignment.architecture.network.has_constants]


def test_the_parent_of_a_constant_message_is_trained_first_with_its_fidelity_and_seed(
    bench: Callable[[], Bench],
) -> None:
    one = bench()
    executor = Weighing(one.folder)
    one.run(executor, space=CONSTANT, fidelities=[COLD], sampler={"name": "grid"})
    assert parents_first(executor.ran)
    children = constants(executor.ran)
    assert len(children) == 2
    for job in children:
        parent = job.assignment.parent
        assert parent is not None
        assert parent.fidelity == job.assignment.fidelity
        assert parent.seed == job.assignment.seed
        assert parent.architecture.id == vanilla_of(job.assignment.architecture).id
        assert job.assignment.parent_sha256 == "0" * 64
    assert all(job.assignment.parent is None for job in executor.ran if job not in children)
    keys = [job.assignment.key for job in executor.ran]
    assert len(keys) == len(set(keys)) == 6  # two vanilla networks, which are the parents, and four connected ones


def test_a_vanilla_baseline_is_the_parent_and_not_trained_twice(bench: Callable[[], Bench]) -> None:
    one = bench()
    executor = Weighing(one.folder)
    one.run(executor, space=CONSTANT, fidelities=[COLD], sampler={"name": "grid"}, baselines=True)
    keys = [job.assignment.key for job in executor.ran]
    assert len(keys) == len(set(keys))
    assert constants(executor.ran)


def test_a_constant_message_whose_parent_failed_fails_with_words(bench: Callable[[], Bench]) -> None:
    one = bench()

    def diverge(job: Job) -> TrialFailure | None:
        vanilla = not job.assignment.architecture.network.edges
        return TrialFailure("nan", "the loss is nan") if vanilla else None

    one.run(Weighing(one.folder, fail=diverge), space=CONSTANT, fidelities=[COLD], sampler={"name": "grid"})
    trials = one.store.trials("tiny", "proxy")
    failed = [trial for trial in trials if trial.message.startswith("its parent vanilla")]
    assert {trial.params.get("connections.message") for trial in failed} == {"constant"}
    assert len(failed) == 2
    assert {trial.state for trial in failed} == {State.FAILED}
    senders = [trial for trial in trials if trial.params.get("connections.message") == "sender"]
    assert {trial.state for trial in senders} == {State.COMPLETE}
