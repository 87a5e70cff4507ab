from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from dcasearch.config.numbers import MAX_TRIALS
from dcasearch.config.study import Sampler
from dcasearch.search.samplers import SAMPLERS, SeededPerTrial, _Window

NAMES = [name for name in SAMPLERS if name != "grid"]


def open_study(name: str, storage: Any = None, directions: int = 1, window: int = 1000) -> optuna.Study:
    sampler = SeededPerTrial(Sampler(name=name, seed=3, startup=4, population=4, window=window))  # type: ignore[arg-type]  # registry names
    return optuna.create_study(
        storage=storage or optuna.storages.InMemoryStorage(),
        sampler=sampler,
        directions=["maximize"] * directions,
        study_name="s",
        load_if_exists=True,
    )


def suggest(trial: optuna.Trial, names: str = "abcd") -> list[int]:
    return [trial.suggest_categorical(name, (0, 1, 2, 3)) for name in names]


def tell(study: optuna.Study, trial: optuna.Trial, values: list[int]) -> None:
    objective = [float(sum(values))] + [float(values[0])] * (len(study.directions) - 1)
    study.tell(trial, objective)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("seed", [2**32 - 1, 2**32, 2**63 - 1 - MAX_TRIALS])
def test_a_sampler_takes_every_seed_of_a_study(name: str, seed: int) -> None:
    sampler = SeededPerTrial(Sampler(name=name, seed=seed, startup=1, population=2))  # type: ignore[arg-type]
    study = optuna.create_study(sampler=sampler, direction="maximize")
    for _ in range(4):
        trial = study.ask()
        tell(study, trial, suggest(trial))
    assert len(study.trials) == 4


@pytest.mark.parametrize("name", NAMES)
def test_a_driver_that_starts_anew_suggests_what_the_old_one_would_have(name: str, tmp_path: Any) -> None:
    undisturbed = open_study(name, f"sqlite:///{tmp_path}/a.db")
    expected = []
    for _ in range(12):
        trial = undisturbed.ask()
        expected.append(suggest(trial))
        tell(undisturbed, trial, expected[-1])
    for number in range(12):
        study = open_study(name, f"sqlite:///{tmp_path}/b.db")  # a new driver for every trial
        trial = study.ask()
        assert suggest(trial) == expected[number]
        tell(study, trial, expected[number])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("drawn", ["", "a", "abc"])
def test_a_half_drawn_trial_is_completed_as_it_would_have_been(name: str, drawn: str, tmp_path: Any) -> None:
    whole, broken = open_study(name, f"sqlite:///{tmp_path}/a.db"), open_study(name, f"sqlite:///{tmp_path}/b.db")
    for _ in range(9):
        for study in (whole, broken):
            trial = study.ask()
            tell(study, trial, suggest(trial))
    expected = suggest(whole.ask())
    suggest(broken.ask(), drawn)  # ... and here the driver dies
    again = open_study(name, f"sqlite:///{tmp_path}/b.db")
    [frozen] = again.get_trials(states=(TrialState.RUNNING,))
    assert suggest(optuna.trial.Trial(again, frozen._trial_id)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_suggestions_differ_from_trial_to_trial(name: str) -> None:
    study = open_study(name)
    points = set()
    for _ in range(8):
        trial = study.ask()
        values = suggest(trial)
        points.add(tuple(values))
        tell(study, trial, values)
    assert len(points) > 3


def test_tpe_samples_two_objectives_after_trials_that_were_pruned_with_a_curve() -> None:
    study = open_study("tpe", directions=2)
    for number in range(20):
        trial = study.ask()
        values = suggest(trial)
        if number % 2:
            study._storage.set_trial_intermediate_value(trial._trial_id, 1, 1.0)
            study.tell(trial, state=TrialState.PRUNED)
        else:
            tell(study, trial, values)
    assert len(study.trials) == 20


def test_tpe_learns_from_violated_constraints() -> None:
    study = open_study("tpe")
    for _ in range(60):
        trial = study.ask()
        values = suggest(trial, "ab")
        if values[0] != 2:
            trial.set_constraint("a", 1.0)
            study.tell(trial, state=TrialState.PRUNED)
        else:
            trial.set_constraint("a", -1.0)
            tell(study, trial, values)
    late = [trial.params["a"] for trial in study.trials[30:]]
    assert late.count(2) > len(late) / 2  # one in four by chance


@pytest.mark.parametrize("directions", [1, 2])
def test_within_its_window_tpe_suggests_what_it_would_without_one(directions: int) -> None:
    suggestions = []
    for window in (40, 1000):
        study = open_study("tpe", directions=directions, window=window)
        made: list[list[int]] = []
        for _ in range(40):
            trial = study.ask()
            made.append(suggest(trial))
            tell(study, trial, made[-1])
        suggestions.append(made)
    assert suggestions[0] == suggestions[1]


@pytest.mark.parametrize("directions", [1, 2])
def test_beyond_its_window_tpe_sees_the_latest_the_best_and_the_running(directions: int) -> None:
    study = open_study("tpe", directions=directions, window=20)
    for _ in range(60):
        trial = study.ask()
        tell(study, trial, suggest(trial))
    study.tell(study.ask(), state=TrialState.FAIL)
    running = study.ask()
    trials = study.get_trials(deepcopy=False)
    seen = {t.number for t in _Window(study, 20).get_trials(deepcopy=False)}
    assert seen >= {*range(40, 60), running.number}
    assert 60 not in seen
    before = seen & set(range(40))
    assert before
    assert len(before) <= 20
    left_out = set(range(40)) - before
    assert max(trials[n].values for n in before) >= max(trials[n].values for n in left_out)


def test_a_new_driver_suggests_the_same_beyond_the_window(tmp_path: Any) -> None:
    undisturbed = open_study("tpe", f"sqlite:///{tmp_path}/a.db", window=5)
    expected = []
    for _ in range(14):
        trial = undisturbed.ask()
        expected.append(suggest(trial, "ab"))
        tell(undisturbed, trial, expected[-1])
    for number in range(14):
        study = open_study("tpe", f"sqlite:///{tmp_path}/b.db", window=5)
        trial = study.ask()
        assert suggest(trial, "ab") == expected[number]
        tell(study, trial, expected[number])
