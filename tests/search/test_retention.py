from __future__ import annotations

import dataclasses
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from dcasearch.artifacts import Place
from dcasearch.config.study import Resources, Study
from dcasearch.errors import StorageError, TrialFailure
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.search.pipeline import Phase, Pipeline
from dcasearch.search.retention import Disk, Retention, discard_failed
from dcasearch.search.sharing import kept_weights
from dcasearch.search.work import Job
from dcasearch.space import read_space
from dcasearch.store import Store
from dcasearch.training import Assignment, checkpoint_path, weights_path
from dcasearch.trial import Role, State, Trial
from tests.support import dead_process, make_study

SIZE = 1000
"""Bytes of every checkpoint and of all weights."""


class Shelf:
    """A study's database and artifact store; every training leaves a checkpoint, and weights where it is complete."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        two = [
            {"name": "proxy", "trials": 5, "resolution": 16, "epochs": 4},
            {"name": "full", "promote": {"top": 2}, "resolution": 32, "epochs": 4},
        ]
        self.artifacts: Place = folder / "artifacts"
        self.study: Study = make_study(**{"fidelities": two, **changes})
        folder.mkdir(exist_ok=True)
        self.store = Store.open(f"sqlite:///{folder}/study.db", create=True)
        self.store.put_study(self.study.name, {}, self.study.model_dump_json(exclude={"storage"}))
        points = read_space(self.study.space).enumerate()
        self._architectures = list({point.architecture.id: point.architecture for point in points}.values())

    def disk(self) -> Disk:
        return Disk(self.study, self.store, self.artifacts, "digits")

    def assignment(self, number: int, fidelity: str, protocol: Any = "search") -> Assignment:
        architecture = self._architectures[number]
        self.store.put_architecture(architecture)
        return Assignment(
            architecture=architecture,
            fidelity=next(f for f in self.study.fidelities if f.name == fidelity),
            data=self.study.data,
            data_fingerprint="digits",
            protocol=protocol,
            seed=0,
        )

    def write(self, place: Place, size: int = SIZE) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(bytes(size))

    def checkpoint(self, assignment: Assignment) -> Assignment:
        self.write(checkpoint_path(assignment.key, self.artifacts))
        return assignment

    def record(self, assignment: Assignment, top1: float) -> Evaluation:
        epoch = Epoch(epoch=1, train_loss=1.0, values={"loss": 1.0, "top1": top1, "top5": 100.0}, seconds=0.0)
        made = Evaluation(key=assignment.key, history=(epoch,), seconds=0.0, images=10, device="cpu")
        self.checkpoint(assignment)
        self.write(weights_path(self.artifacts, assignment.key.id))
        return made

    def trial(self, number: int, state: State, fidelity: str = "proxy", top1: float = 0.0, **changes: Any) -> Trial:
        """Put a trial of the n-th architecture, with its record and its files where it has ended."""
        assignment = self.assignment(number, fidelity)
        row = Trial(
            study=self.study.name,
            fidelity=fidelity,
            number=number,
            state=state,
            origin="sampled",
            params={},
            architecture_id=assignment.architecture.id,
            seed=0,
            **changes,
        )
        if state in (State.COMPLETE, State.PRUNED):
            made = self.record(assignment, top1)
            values = (top1,) if state is State.COMPLETE else None
            row = dataclasses.replace(row, evaluation=made.key.id, values=values)
            self.store.record_and_put(made, row)
        else:
            self.checkpoint(assignment)
            self.store.put_trial(row)
        return row

    def role(self, number: int, role: Any, top1: float | None) -> str:
        fidelity = "full" if role == "final" else "proxy"
        assignment = self.assignment(number, fidelity, "test" if role == "final" else "search")
        entry = Role(
            study=self.study.name,
            fidelity=fidelity,
            role=role,
            name=f"{role} {number}",
            architecture_id=assignment.architecture.id,
            seed=0,
        )
        if top1 is None:
            self.checkpoint(assignment)
        else:
            made = self.store.record(self.record(assignment, top1))
            entry = dataclasses.replace(entry, evaluation=made.key.id)
        self.store.put_role(entry)
        return assignment.key.id

    def checkpoints(self) -> set[str]:
        return {place.stem for place in (self.artifacts / "checkpoints").iterdir()}

    def weights(self) -> set[str]:
        return {place.stem for place in (self.artifacts / "weights").iterdir()}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def ids(*trials: Trial) -> set[str]:
    return {trial.evaluation or "" for trial in trials}


def test_the_best_weights_of_a_fidelity_stay_and_checkpoints_of_recorded_trainings_go(shelf: Shelf) -> None:
    retention = Retention(shelf.artifacts, 2, shelf.study.objectives, [])
    trials = [shelf.trial(n, State.COMPLETE, top1=top1) for n, top1 in enumerate((50.0, 70.0, 60.0))]
    for trial in trials:
        retention.ended(trial, shelf.store.evaluation(trial.evaluation or ""))
    assert shelf.weights() == ids(trials[1], trials[2])
    assert shelf.checkpoints() == set()


def test_a_new_driver_keeps_the_same_weights(shelf: Shelf) -> None:
    trials = [shelf.trial(n, State.COMPLETE, top1=top1) for n, top1 in enumerate((50.0, 70.0, 60.0))]
    Retention(shelf.artifacts, 1, shelf.study.objectives, trials)
    assert shelf.weights() == ids(trials[1])


@pytest.mark.parametrize(("kind", "stays"), [("nan", False), ("oom", False), ("bug", False), ("lost", True)])
def test_the_checkpoint_of_a_failed_training_goes_unless_its_machine_failed(
    shelf: Shelf, kind: Any, stays: bool
) -> None:
    assignment = shelf.checkpoint(shelf.assignment(0, "proxy"))
    discard_failed(assignment.key, TrialFailure(kind, "why"), shelf.artifacts)
    assert (assignment.key.id in shelf.checkpoints()) == stays


def test_checkpoints_that_ended_trainings_left_behind_are_deleted_and_others_are_not(shelf: Shelf) -> None:
    shelf.trial(0, State.COMPLETE)
    shelf.trial(1, State.PRUNED)
    shelf.trial(2, State.FAILED, failure="nan")
    running = shelf.trial(3, State.RUNNING)
    shelf.role(4, "baseline", 50.0)
    coming = shelf.role(5, "baseline", None)
    shelf.write(shelf.artifacts / "checkpoints" / "anotherstudys.pt")
    shelf.disk().clear()
    assert shelf.checkpoints() == {shelf.assignment(running.number, "proxy").key.id, coming, "anotherstudys"}


def test_a_training_that_ended_as_one_trial_and_runs_as_another_keeps_its_checkpoint(shelf: Shelf) -> None:
    failed = shelf.trial(2, State.FAILED, failure="lost")
    shelf.store.put_trial(dataclasses.replace(failed, number=9, state=State.RUNNING, failure=None))
    shelf.disk().clear()
    assert shelf.checkpoints() == {shelf.assignment(2, "proxy").key.id}


def test_a_training_whose_machine_failed_for_good_keeps_its_checkpoint_until_room_is_needed(shelf: Shelf) -> None:
    shelf.trial(2, State.FAILED, failure="lost")
    lost = shelf.assignment(2, "proxy").key.id
    shelf.disk().clear()
    assert shelf.checkpoints() == {lost}
    running = shelf.checkpoint(shelf.assignment(5, "proxy")).key
    shelf.study = shelf.study.model_copy(update={"disk": float(2 * SIZE)})
    shelf.disk().make_room([running])
    assert shelf.checkpoints() == {lost, running.id}
    shelf.study = shelf.study.model_copy(update={"disk": float(2 * SIZE - 1)})
    shelf.disk().make_room([running])
    assert shelf.checkpoints() == {running.id}


def test_clearing_a_store_without_checkpoints_is_safe(shelf: Shelf) -> None:
    shelf.disk().clear()


def test_without_a_budget_nothing_is_deleted(shelf: Shelf) -> None:
    trial = shelf.trial(0, State.COMPLETE)
    shelf.disk().make_room([])
    assert shelf.weights() == ids(trial)


def test_weights_beyond_the_budget_go_baselines_and_early_fidelities_first_and_the_worst_of_each(
    tmp_path: Path,
) -> None:
    shelf = Shelf(tmp_path)
    baseline = shelf.role(4, "baseline", 90.0)
    proxy = [shelf.trial(n, State.COMPLETE, top1=top1) for n, top1 in enumerate((50.0, 70.0, 60.0))]
    full = [shelf.trial(n, State.COMPLETE, "full", top1=top1) for n, top1 in enumerate((40.0, 30.0))]
    final = shelf.role(5, "final", 10.0)
    running = shelf.checkpoint(shelf.assignment(5, "proxy")).key
    order = [baseline, *(trial.evaluation for trial in (proxy[0], proxy[2], proxy[1], full[1], full[0])), final]
    for gone in range(len(order) + 1):
        shelf.study = shelf.study.model_copy(update={"disk": float(SIZE * (1 + len(order) - gone))})
        shelf.disk().make_room([running])
        assert shelf.weights() == set(order[gone:])
    assert running.id in shelf.checkpoints()


def test_another_studys_weights_count_for_nothing_and_stay(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, disk=2 * SIZE)
    shelf.write(shelf.artifacts / "weights" / "anotherstudys.safetensors", 10 * SIZE)
    trials = [shelf.trial(n, State.COMPLETE, top1=float(n)) for n in range(2)]
    shelf.disk().make_room([])
    assert shelf.weights() == ids(*trials) | {"anotherstudys"}


class OneJob:
    """A source of one job."""

    def __init__(self, job: Job) -> None:
        self.jobs = [job]

    def ask(self) -> Job | None:
        return self.jobs.pop() if self.jobs else None


def test_room_is_made_before_each_job_and_a_run_without_room_stops(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, disk=1.5 * SIZE)
    jobs = [
        Job(
            label=f"job {n}", number=n, assignment=shelf.checkpoint(shelf.assignment(n, "proxy")), resources=Resources()
        )
        for n in range(2)
    ]
    parts = [Phase(lambda job=job: OneJob(job)) for job in jobs]
    pipeline = Pipeline(parts, make_room=shelf.disk().make_room)
    assert pipeline.ask() is not None
    with pytest.raises(StorageError, match="checkpoints of 2 running trainings"):
        pipeline.ask()


def test_of_final_weights_the_first_seeds_stay_longest_since_they_are_exported(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, disk=SIZE)
    first, second = shelf.role(4, "final", 10.0), shelf.role(5, "final", 90.0)
    shelf.store.put_role(shelf.store.roles("tiny")[0])  # stored once more, it keeps its place
    shelf.disk().clear()
    shelf.disk().make_room([])
    assert shelf.weights() == {first}
    assert second != first


def test_checkpoints_alone_beyond_the_budget_stop_the_run(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, disk=1.5 * SIZE)
    running = [shelf.checkpoint(shelf.assignment(n, "proxy")).key for n in range(2)]
    trial = shelf.trial(4, State.COMPLETE)
    shelf.disk().make_room(running[:1])
    assert shelf.weights() == set()
    with pytest.raises(StorageError, match=r"checkpoints of 2 running trainings take .* raise `disk`"):
        shelf.disk().make_room(running)
    assert {key.id for key in running} <= shelf.checkpoints()
    assert trial.evaluation is not None


def test_in_a_race_weights_are_kept_for_every_seed_of_the_best() -> None:
    proxy = {"name": "proxy", "trials": 5, "resolution": 16, "epochs": 1}
    full = {"name": "full", "promote": {"top": 2, "race": {"max_seeds": 4}}, "resolution": 16, "epochs": 1}
    study = make_study(fidelities=[proxy, full], keep_weights=3)
    assert [kept_weights(study, fidelity) for fidelity in study.fidelities] == [3, 12]


STEP = {"schedule": {"name": "step"}}
CONTINUED = [
    {"name": "proxy", "trials": 5, "resolution": 16, "epochs": 1, "recipe": STEP},
    {"name": "full", "promote": {"top": 2}, "resolution": 16, "epochs": 4, "recipe": STEP},
]


def test_checkpoints_that_a_later_fidelity_goes_on_from_stay_until_it_has_ended(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, fidelities=CONTINUED)
    complete, pruned = shelf.trial(0, State.COMPLETE), shelf.trial(1, State.PRUNED)
    baseline = shelf.role(2, "baseline", 50.0)
    shelf.disk().clear()
    assert shelf.checkpoints() == {*ids(complete), baseline}, "the pruned one is never promoted"
    shelf.disk().drop_beginnings(shelf.study.fidelities[0])
    assert shelf.checkpoints() == {*ids(complete), baseline}
    shelf.disk().drop_beginnings(shelf.study.fidelities[1])
    assert shelf.checkpoints() == set()
    assert pruned.evaluation not in shelf.checkpoints()


def test_a_complete_trials_checkpoint_is_kept_for_a_later_fidelity_only_where_that_goes_on_from_it(
    tmp_path: Path,
) -> None:
    for continued in (True, False):
        shelf = Shelf(tmp_path / str(continued), fidelities=CONTINUED)
        retention = Retention(shelf.artifacts, 5, shelf.study.objectives, [], continued=continued)
        for number, state in enumerate((State.COMPLETE, State.PRUNED)):
            trial = shelf.trial(number, state)
            retention.ended(trial, shelf.store.evaluation(trial.evaluation or ""))
        assert len(shelf.checkpoints()) == (1 if continued else 0)


def test_checkpoints_to_go_on_from_are_the_first_to_go_where_disk_is_short(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, fidelities=CONTINUED, disk=3 * SIZE)
    worst, best = shelf.trial(0, State.COMPLETE, top1=1.0), shelf.trial(1, State.COMPLETE, top1=2.0)
    shelf.disk().make_room([])
    assert shelf.checkpoints() == ids(best)
    assert shelf.weights() == ids(worst, best)


def test_what_a_killed_process_had_not_finished_goes_with_the_next_run(shelf: Shelf) -> None:
    trial = shelf.trial(0, State.RUNNING)
    shelf.trial(1, State.COMPLETE)
    folders = [shelf.artifacts / name for name in ("checkpoints", "weights")]
    for folder in folders:
        shelf.write(folder / f"{trial.number}.pt.{socket.gethostname()}-{dead_process()}.tmp")
        shelf.write(folder / f"{trial.number}.pt.{socket.gethostname()}-{os.getpid()}.tmp")
    shelf.disk().clear()
    for folder in folders:
        (left,) = folder.glob("*.tmp")
        assert left.name.endswith(f"-{os.getpid()}.tmp")


@pytest.mark.parametrize("suffix", [".pt.elsewhere-1.tmp", ".broken"])
def test_half_written_files_and_those_set_aside_count_in_the_budget(suffix: str, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, disk=2.5 * SIZE)
    running = shelf.checkpoint(shelf.assignment(0, "proxy")).key
    shelf.trial(1, State.COMPLETE)
    shelf.disk().make_room([running])
    assert len(shelf.weights()) == 1
    shelf.write(shelf.artifacts / "checkpoints" / f"{running.id}{suffix}")
    shelf.disk().make_room([running])
    assert shelf.weights() == set()
