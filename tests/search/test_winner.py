from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from dcasearch.architecture import Architecture
from dcasearch.config.study import Study
from dcasearch.errors import UserError
from dcasearch.search.winner import winner_of
from dcasearch.store import Store
from dcasearch.trial import State
from tests.search.test_promotion import make_trial
from tests.support import make_study

ARCHITECTURES = [
    Architecture.parse({"backbone": {"name": "resnet18"}, "attention": {"name": "se", "reduction": r}}) for r in (4, 8)
]


def stored(folder: Path, study: Study, *results: tuple[int, int, float]) -> Store:
    """A store whose proxy holds (which architecture, seed, value)."""
    store = Store.open(f"sqlite:///{folder}/s.db", create=True)
    store.put_study(study.name, {}, "{}")
    for architecture in ARCHITECTURES:
        store.put_architecture(architecture)
    for number, (which, seed, value) in enumerate(results):
        trial = make_trial(number, value, architecture=ARCHITECTURES[which].id)
        store.put_trial(dataclasses.replace(trial, study=study.name, seed=seed))
    return store


def test_the_winner_is_the_best_mean_over_its_seeds(tmp_path: Path) -> None:
    study = make_study(fidelities=[{"name": "proxy", "trials": 5, "resolution": 16, "epochs": 1, "seeds": [0, 1]}])
    store = stored(tmp_path, study, (0, 0, 90.0), (0, 1, 50.0), (1, 0, 75.0), (1, 1, 75.0))
    winner = winner_of(study, store)
    assert (winner.architecture.id, winner.values) == (ARCHITECTURES[1].id, (75.0,))
    assert [trial.seed for trial in winner.trials] == [0, 1]


def test_an_architecture_without_all_seeds_does_not_win_over_one_with_them(tmp_path: Path) -> None:
    study = make_study(fidelities=[{"name": "proxy", "trials": 5, "resolution": 16, "epochs": 1, "seeds": [0, 1]}])
    store = stored(tmp_path, study, (0, 0, 90.0), (1, 0, 75.0), (1, 1, 75.0))
    assert winner_of(study, store).architecture.id == ARCHITECTURES[1].id


def test_an_architecture_that_was_drawn_more_often_does_not_win_for_that(tmp_path: Path) -> None:
    store = stored(tmp_path, make_study(), (0, 0, 50.0), (0, 1, 50.0), (1, 0, 75.0))
    assert winner_of(make_study(), store).architecture.id == ARCHITECTURES[1].id


def test_without_a_complete_trial_there_is_no_winner(tmp_path: Path) -> None:
    store = stored(tmp_path, make_study())
    trial = make_trial(0, state=State.PRUNED, architecture=ARCHITECTURES[0].id)
    store.put_trial(dataclasses.replace(trial, study="tiny"))
    with pytest.raises(UserError, match="no complete trial"):
        winner_of(make_study(), store)


def test_in_a_race_the_best_of_those_still_in_it_wins_over_the_seeds_that_all_of_them_have(tmp_path: Path) -> None:
    promote = {"top": 2, "race": {"max_seeds": 5}}
    full = {"name": "proxy", "promote": promote, "resolution": 16, "epochs": 1, "seeds": [0]}
    study = make_study(fidelities=[{"name": "first", "trials": 5, "resolution": 16, "epochs": 1}, full])
    results = [(0, 0, 90.0), (1, 0, 75.0), (0, 1, 90.1), (1, 1, 75.3), (0, 2, 20.0)]
    store = stored(tmp_path, study)
    for number, (which, seed, value) in enumerate(results):
        trial = make_trial(number, value, architecture=ARCHITECTURES[which].id)
        attributes = {"of": which, "probability": 1.0}
        store.put_trial(dataclasses.replace(trial, study=study.name, seed=seed, attributes=attributes))
    # A third seed of one alone, which would make it the worse of the two, is not looked at before the other has it.
    winner = winner_of(study, store, "proxy")
    assert (winner.architecture.id, [trial.seed for trial in winner.trials]) == (ARCHITECTURES[0].id, [0, 1])
