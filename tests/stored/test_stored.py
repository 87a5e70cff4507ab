"""What an older version left is gone on with: see `tests.stored.make` for what the archive holds."""

from __future__ import annotations

import json
import shutil
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from dcasearch import study as study_room
from dcasearch.analysis.data import described
from dcasearch.artifacts import open_artifacts
from dcasearch.export import load_model, load_spec
from dcasearch.meaning import check_unchanged, meaning_of
from dcasearch.search.assignments import assignment_of
from dcasearch.search.work import Work
from dcasearch.space import LoadedStudy, load_study
from dcasearch.store import Store
from dcasearch.store.table_versions import upgrade
from dcasearch.training import Assignment, evaluate
from dcasearch.trial import State

STEPS = 98
"""Batches of one epoch: those trained on, then those measured."""


@dataclass
class InThisProcess:
    """Trains one job after another, and counts its steps."""

    artifacts: Path
    labels: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Of the epochs that were reported."""
    steps: int = 0

    def run(self, work: Work) -> None:
        while (job := work.ask()) is not None:
            self.labels.append(job.label)

            def report(epoch: Any, job: Any = job) -> bool:
                self.seconds.append(epoch.seconds)
                return work.report(job, epoch)

            def look() -> bool:
                self.steps += 1
                return False

            made = evaluate(job.assignment, artifacts=self.artifacts, report=report, threads=1, interrupted=look)
            work.finish(job, made)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with tarfile.open(Path(__file__).with_name("unfinished.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    upgrade(f"sqlite:///{tmp_path}/study.db")  # `dcasearch db upgrade`, as its user is told to
    return tmp_path


@pytest.fixture
def expected(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "expected.json").read_text())
    return content


@pytest.fixture
def loaded(folder: Path) -> LoadedStudy:
    path = folder / "study.yaml"
    path.write_text(path.read_text().replace("artifacts: artifacts", f"artifacts: {folder / 'artifacts'}"))
    return load_study(path)


def assignment_of_trial(loaded: LoadedStudy, params: Any) -> Assignment:
    (fidelity,) = loaded.study.fidelities
    architecture = loaded.space.point(params).architecture
    data = described(loaded)
    return assignment_of(loaded.study, fidelity, architecture, 0, data_fingerprint=data.fingerprint)


def test_ids_keys_and_the_meaning_of_a_stored_study_are_those_of_today(
    folder: Path, loaded: LoadedStudy, expected: dict[str, Any]
) -> None:
    with Store.open(f"sqlite:///{folder}/study.db") as store:
        stored = store.get_study("stored")
        assert stored is not None
        check_unchanged("stored", stored.meaning, meaning_of(loaded.study, loaded.space, described(loaded)))
        found = {t.number: (t.state, t.params) for t in store.trials("stored", "proxy")}
    for number, state, id, evaluation in expected["trials"]:
        assert found[number][0] == state
        assignment = assignment_of_trial(loaded, found[number][1])
        assert assignment.architecture.id == id
        assert assignment.key.id == (evaluation or expected["running"])


def go_on(folder: Path, loaded: LoadedStudy, expected: dict[str, Any], checkpoint: str) -> InThisProcess:
    """Run the study to its end from one of the checkpoints; check what holds for each of them."""
    if checkpoint != "between":
        shutil.copy(folder / f"{checkpoint}.pt", folder / "artifacts" / "checkpoints" / f"{expected['running']}.pt")
    executor = InThisProcess(folder / "artifacts")
    artifacts = open_artifacts(loaded.study.artifacts)
    with Store.open(f"sqlite:///{folder}/study.db") as store:
        assert study_room.run(loaded, store, executor).winner is not None
        trials = store.trials("stored", "proxy")
        records = store.evaluations(t.evaluation for t in trials if t.evaluation is not None)
    assert executor.labels == ["proxy trial 2"]  # the complete ones are not trained anew
    assert [trial.state for trial in trials] == [State.COMPLETE] * 3
    assert [trial.architecture_id for trial in trials] == [id for _, _, id, _ in expected["trials"]]
    assert trials[2].evaluation == expected["running"]
    assert {id: [e.values["loss"] for e in records[id].history] for id in expected["histories"]} == expected[
        "histories"
    ]
    # A clock never measures the same seconds twice: these epochs are those of the checkpoint.
    saved = expected["checkpoints"][checkpoint]
    assert executor.seconds[: len(saved)] == saved
    assert len(executor.seconds) == 3
    assert not list((artifacts / "checkpoints").iterdir())
    return executor


def test_a_stored_trial_goes_on_within_its_epoch(folder: Path, loaded: LoadedStudy, expected: dict[str, Any]) -> None:
    executor = go_on(folder, loaded, expected, "mid_epoch")
    assert executor.steps == STEPS - expected["batches"]


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", ["between", "first_format"])
def test_a_stored_trial_goes_on_after_its_last_epoch(
    checkpoint: str, folder: Path, loaded: LoadedStudy, expected: dict[str, Any]
) -> None:
    executor = go_on(folder, loaded, expected, checkpoint)
    assert executor.steps == STEPS * (3 - len(expected["checkpoints"][checkpoint]))


def test_a_stored_spec_is_still_the_network_it_was(folder: Path, expected: dict[str, Any]) -> None:
    model = load_model(folder / "spec.yaml")
    torch.manual_seed(0)
    with torch.no_grad():
        logits = model(torch.rand(2, 3, 8, 8))
    torch.testing.assert_close(logits, torch.tensor(expected["logits"]), rtol=1e-4, atol=1e-4)
    assert load_spec(folder / "spec.yaml").build().id in {id for _, _, id, _ in expected["trials"]}
