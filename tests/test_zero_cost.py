"""A rung before the proxy: networks are scored, the best scores are trained; in simulation, and once for real."""

from __future__ import annotations

import io
import itertools
import json
import random
import signal
from pathlib import Path
from typing import Any

import optuna
import pytest
from rich.console import Console

from dcasearch import study as study_room
from dcasearch.analysis.reproduction import not_reproduced
from dcasearch.analysis.standing import standing_of
from dcasearch.analysis.wholeness import broken_invariants, differences, ledger_of
from dcasearch.cli.plain import as_json
from dcasearch.cli.standing import print_standing
from dcasearch.errors import StudyChanged
from dcasearch.search.work import Event
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from dcasearch.trial import State
from tests.chaos.support import STUDY, write_study
from tests.executors.support import InProcess
from tests.support import DriverDied, Simulated, make_study
from tests.test_kill import killed_run, ledger, start

RECIPE: dict[str, Any] = {"batch_size": 32, "lr": 0.02, "bn_momentum": 0.1}
ZERO: dict[str, Any] = {
    "name": "zero",
    "kind": "zero_cost",
    "score": "zico",
    "batches": 2,
    "trials": 6,
    "resolution": 16,
    "recipe": RECIPE,
}
PROXY: dict[str, Any] = {
    "name": "proxy",
    "promote": {"top": 2, "random": 1},
    "resolution": 16,
    "epochs": 2,
    "train_fraction": 0.2,
    "recipe": RECIPE,
}
SMALL = {**STUDY["space"], "backbone": {"name": "mobilenet_v2", "width": 0.1, "stem": "small"}}


def load(folder: Path, **changes: Any) -> LoadedStudy:
    written = {"artifacts": str(folder), "fidelities": [ZERO, PROXY], "space": SMALL, "baselines": True, **changes}
    study = make_study(**written)
    return LoadedStudy(study, read_space(study.space), folder / "study.yaml", frozenset())


def open_store(folder: Path) -> Store:
    return Store.open(f"sqlite:///{folder}/study.db", create=True)


@pytest.mark.slow
def test_a_study_scores_promotes_by_score_trains_and_shows_it(tmp_path: Path) -> None:
    loaded, store = load(tmp_path), open_store(tmp_path)
    outcome = study_room.run(loaded, store, InProcess(tmp_path))
    assert outcome.winner is not None
    assert broken_invariants(store, "tiny") == []
    scored, trained = store.trials("tiny", "zero"), store.trials("tiny", "proxy")
    complete = [trial for trial in scored if trial.state is State.COMPLETE]
    assert len(complete) == 6
    best = sorted(complete, key=lambda trial: -(trial.values or (0.0,))[0])
    assert [trial.attributes["of"] for trial in trained[:2]] == [best[0].number, best[1].number]
    assert [trial.origin for trial in trained] == ["promoted", "promoted", "promoted_random"]
    for trial in complete:
        record = store.evaluation(trial.evaluation or "")
        assert (record.last.values["score"],) == trial.values
        assert record.weights is None
    assert not_reproduced(store, "tiny", loaded.space, complete[:2]) == []

    told = optuna.load_study(study_name="tiny.zero", storage=store.optuna)
    assert told.metric_names == ["score"]
    assert told.best_value == (best[0].values or ())[0]

    console = Console(width=200, record=True, file=io.StringIO())
    print_standing(console, standing_of(store, "tiny"), words={})
    zero, proxy = console.export_text().split("\nproxy, 2 epochs")
    assert "zero (zico, nothing is trained): 6 complete" in zero
    assert "top-1" not in zero
    assert "score" in zero
    assert "top-1 %" in proxy
    plain = as_json(standing_of(store, "tiny"))
    assert "NaN" not in json.dumps(plain)
    assert plain["fidelities"][0]["leader"]["scores"] == (told.best_value,)


@pytest.mark.slow  # so do others in tests/search/test_trials.py
def test_a_driver_that_dies_at_any_moment_is_followed_by_one_that_ends_with_the_same_ledger(
    tmp_path: Path,
) -> None:
    undisturbed = open_store(tmp_path)
    study_room.run(load(tmp_path), undisturbed, Simulated())
    expected = ledger_of(undisturbed, "tiny")
    for moment in itertools.count(1, 4):
        folder = tmp_path / str(moment)
        folder.mkdir()
        store = open_store(folder)
        try:
            study_room.run(load(folder), store, Simulated(die_at=moment))
            died = False
        except DriverDied:
            died = True
            study_room.run(load(folder), store, Simulated())
        assert differences(expected, ledger_of(store, "tiny")) == []
        store.close()
        if not died:
            assert moment > 30
            return


def test_costs_stay_objectives_beside_the_score(tmp_path: Path) -> None:
    objectives = {"top1": "maximize", "macs": "minimize"}
    promote = {**PROXY, "promote": {"top": 3, "by": "pareto"}}
    store = open_store(tmp_path)
    study_room.run(load(tmp_path, objectives=objectives, fidelities=[ZERO, promote]), store, Simulated())
    told = optuna.load_study(study_name="tiny.zero", storage=store.optuna)
    assert told.metric_names == ["score", "macs"]
    assert [direction.name for direction in told.directions] == ["MAXIMIZE", "MINIMIZE"]
    front = {trial.number for trial in told.best_trials}
    promoted = {trial.attributes["of"] for trial in store.trials("tiny", "proxy")}
    assert front <= promoted or promoted <= front


def test_another_score_under_the_same_name_is_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    study_room.run(load(tmp_path), store, Simulated())
    for change in ({"score": "snip"}, {"batches": 3}, {"kind": "training", "score": None, "batches": 1, "epochs": 1}):
        with pytest.raises(StudyChanged, match=r"fidelities\.zero\.(score|kind): "):
            study_room.run(load(tmp_path, fidelities=[{**ZERO, **change}, PROXY]), store, Simulated())


def test_a_score_that_tells_nothing_apart_is_said_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = []
    monkeypatch.setattr("tests.support.accuracy", lambda job, epoch: 7.0)
    study_room.run(load(tmp_path), open_store(tmp_path), Simulated(), events.append)
    notes = [(event.label, event.message) for event in events if event.kind == "note"]
    assert ("zero", "every score is equal: it cannot tell these apart") in notes
    assert sum("every score" in message for _, message in notes) == 1


@pytest.mark.slow
def test_a_run_with_scores_that_is_killed_at_random_moments_ends_with_the_ledger_of_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zero = {**ZERO, "trials": 12}
    first = {**STUDY["fidelities"][0], "promote": {"top": 3}}
    first.pop("trials")
    write = write_study
    monkeypatch.setattr(
        "tests.test_kill.write_study", lambda file, **changes: write(file, **changes, fidelities=[zero, first])
    )
    output, _ = (undisturbed := start(tmp_path / "undisturbed")).communicate()
    assert undisturbed.returncode == 0, output
    expected, moments, done = ledger(tmp_path / "undisturbed"), random.Random("scores"), 0
    while done < 6:
        folder = tmp_path / f"killed after {done}"
        done += killed_run(folder, signal.SIGKILL, lambda: moments.uniform(3.0, 9.0), 6 - done)
        assert differences(expected, ledger(folder)) == []
