from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.reproduction import draw_trained, not_reproduced
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from dcasearch.trial import State
from tests.executors.support import InProcess
from tests.support import make_study

SPACE = {
    "backbone": {"name": "mobilenet_v2", "width": 0.25, "stem": "small"},
    "attention": {"name": "se", "reduction": [4, 8]},
    "connections": {"granularity": "stage", "dimensions": {"channel": [True, False]}},
}
PROXY = {
    "name": "proxy",
    "trials": 6,
    "resolution": 16,
    "epochs": 2,
    "train_fraction": 0.1,
    "recipe": {"batch_size": 32, "lr": 0.05, "bn_momentum": 0.1},
    "pruner": {"name": "successive_halving", "metric": "loss", "reduction_factor": 2, "startup": 2},
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedStudy:
    """A study that was trained for real."""
    folder = tmp_path_factory.mktemp("trained")
    study = make_study(space=SPACE, objectives={"loss": "minimize"}, fidelities=[PROXY], artifacts=str(folder))
    loaded = LoadedStudy(study, read_space(study.space), folder / "study.yaml", frozenset())
    with Store.open(f"sqlite:///{folder}/study.db", create=True) as store:
        study_room.run(loaded, store, InProcess(folder))
    return loaded


@pytest.fixture
def store(loaded: LoadedStudy, tmp_path: Path) -> Iterator[Store]:
    """A copy of its database."""
    (tmp_path / "study.db").write_bytes((loaded.path.parent / "study.db").read_bytes())
    with Store.open(f"sqlite:///{tmp_path}/study.db") as store:
        yield store


def test_trials_that_are_trained_anew_come_out_again_complete_and_pruned_ones(
    store: Store, loaded: LoadedStudy
) -> None:
    trials = draw_trained(store, "tiny", 6, seed=0)
    assert {trial.state for trial in trials} == {State.COMPLETE, State.PRUNED}
    turns: list[int] = []
    assert not_reproduced(store, "tiny", loaded.space, trials, lambda trial: turns.append(trial.number)) == []
    assert turns == [trial.number for trial in trials]


def test_a_record_that_is_off_by_its_last_bit_does_not_come_out_again(
    store: Store, loaded: LoadedStudy, tmp_path: Path
) -> None:
    trial = next(t for t in draw_trained(store, "tiny", 6, seed=0) if t.state is State.COMPLETE)
    with sqlite3.connect(tmp_path / "study.db") as connection:
        path = "'$[1].loss'"
        changed = f"json_replace(history, {path}, json_extract(history, {path}) * (1 + 3e-16))"
        connection.execute(f"UPDATE dca_evaluations SET history = {changed} WHERE id = ?", (trial.evaluation,))
    connection.close()
    (problem,) = not_reproduced(store, "tiny", loaded.space, [trial])
    assert problem.startswith(f"proxy trial {trial.number}: recorded Epoch(epoch=2, ")


def test_weights_that_are_not_those_of_the_record_are_found(store: Store, loaded: LoadedStudy, tmp_path: Path) -> None:
    trial = next(t for t in draw_trained(store, "tiny", 6, seed=0) if t.state is State.COMPLETE)
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.execute("UPDATE dca_evaluations SET weights_sha256 = 'another' WHERE id = ?", (trial.evaluation,))
    connection.close()
    assert not_reproduced(store, "tiny", loaded.space, [trial]) == [
        f"proxy trial {trial.number}: trained anew, it has other weights"
    ]


def test_the_sample_is_drawn_by_its_seed_from_trials_that_have_records(store: Store, tmp_path: Path) -> None:
    def numbers(seed: int) -> list[int]:
        return [trial.number for trial in draw_trained(store, "tiny", 2, seed)]

    assert numbers(0) == numbers(0)
    assert len({tuple(numbers(seed)) for seed in range(10)}) > 1
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.execute("DELETE FROM dca_evaluations")
    connection.close()
    assert numbers(0) == []
