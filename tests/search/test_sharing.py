"""Two studies of one database and artifact store share records: none takes away what the other needs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from dcasearch import study as study_room
from dcasearch.search.retention import Disk
from dcasearch.search.sharing import trainings_elsewhere, weights_needed
from dcasearch.search.winner import winner_of
from dcasearch.search.work import Job, Work
from dcasearch.space import LoadedStudy, load_study
from dcasearch.store import Store
from dcasearch.training import checkpoint_path, weights_path
from dcasearch.trial import Role, State
from tests.support import SPACE, Simulated, make_study


class Writes(Simulated):
    """Leaves weights and a checkpoint of every training."""

    def __init__(self, artifacts: Path) -> None:
        super().__init__()
        self.artifacts = artifacts

    def _train(self, work: Work, job: Job) -> None:
        for place in (
            weights_path(self.artifacts, job.assignment.key.id),
            checkpoint_path(job.assignment.key, self.artifacts),
        ):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"x" * 10)
        super()._train(work, job)


class Both:
    """Studies that are run one after another on one database and one artifact store."""

    def __init__(self, folder: Path) -> None:
        self.artifacts, self._folder = folder / "artifacts", folder
        self.store = Store.open(f"sqlite:///{folder}/study.db", create=True)

    def run(self, name: str, **changes: Any) -> tuple[LoadedStudy, int]:
        """Run a study to its end; return it and how many trainings it needed."""
        study = make_study(name=name, artifacts=str(self.artifacts), **changes)
        path = self._folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(study.model_dump(mode="json", exclude_unset=True)))
        loaded = load_study(path)
        executor = Writes(self.artifacts)
        study_room.run(loaded, self.store, executor)
        return loaded, len(executor.ran)

    def best(self, name: str, count: int) -> list[str]:
        trials = [trial for trial in self.store.trials(name) if trial.state is State.COMPLETE]
        return [t.evaluation or "" for t in sorted(trials, key=lambda t: t.values or (), reverse=True)][:count]

    def weights(self) -> set[str]:
        return {place.stem for place in (self.artifacts / "weights").iterdir()}


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return Both(tmp_path)


@pytest.mark.parametrize("keep", [0, 1])
def test_a_study_that_keeps_fewer_weights_leaves_those_that_another_one_keeps(keep: int, both: Both) -> None:
    first, _ = both.run("first", keep_weights=2)
    kept = set(both.best("first", 2))
    assert both.weights() == kept
    _, trained = both.run("second", keep_weights=keep)
    assert trained == 0, "its records are those of the first"
    assert both.weights() == kept
    assert winner_of(first.study, both.store).trials[0].evaluation in both.weights()


def test_a_study_that_finds_others_best_leaves_the_winner_of_another_one(both: Both) -> None:
    narrower = {**SPACE, "connections": {**SPACE["connections"], "function": ["direct"]}}
    both.run("accuracy", keep_weights=2)
    both.run("smaller", keep_weights=2, space=narrower, objectives={"params": "minimize", "top1": "maximize"})
    assert set(both.best("accuracy", 2)) <= both.weights()


def test_what_no_study_keeps_any_more_is_deleted(both: Both) -> None:
    both.run("first", keep_weights=2)
    both.run("second", keep_weights=0)
    both.run("first", keep_weights=0)
    assert both.weights() == set()


def test_a_trial_whose_record_is_a_baselines_too_keeps_its_weights(both: Both) -> None:
    both.run("first", keep_weights=5)
    trial = both.store.trials("first")[0]
    role = Role(
        study="first",
        fidelity="proxy",
        role="baseline",
        name="vanilla",
        architecture_id=trial.architecture_id,
        seed=trial.seed,
        evaluation=trial.evaluation,
    )
    both.store.put_role(role)
    both.run("first", keep_weights=0)
    assert both.weights() == {trial.evaluation}


def test_a_budget_of_disk_leaves_the_weights_that_another_study_keeps(both: Both) -> None:
    first, _ = both.run("first", keep_weights=2)
    second, _ = both.run("second", keep_weights=5)
    study = second.study.model_copy(update={"disk": 1.0})
    Disk(study, both.store, both.artifacts, "digits").make_room([])
    assert both.weights() == set(both.best("first", 2))
    assert first.study.keep_weights == 2


def test_a_study_that_another_version_stored_keeps_all_that_it_has(both: Both) -> None:
    both.run("first", keep_weights=1)
    ids = [trial.evaluation or "" for trial in both.store.trials("first")]
    assert weights_needed(both.store, "second", ids) == set(both.best("first", 1))
    both.store.put_study("first", {}, "{}")
    assert weights_needed(both.store, "second", ids) == set(ids)
    assert weights_needed(both.store, "first", ids) == set()


def test_a_training_that_another_study_still_runs_is_known(both: Both) -> None:
    loaded, _ = both.run("first", keep_weights=1)
    trial = both.store.trials("first")[0]
    assert trainings_elsewhere(both.store, "second") == set()
    both.store.put_trial(dataclasses.replace(trial, state=State.RUNNING, evaluation=None))
    assert trainings_elsewhere(both.store, "second") == {(trial.architecture_id, trial.seed)}
    assert trainings_elsewhere(both.store, loaded.study.name) == set()
