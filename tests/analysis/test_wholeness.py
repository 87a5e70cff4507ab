from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.wholeness import broken_invariants, differences, ledger_of, trained_twice, trainings_of
from dcasearch.errors import TrialFailure
from dcasearch.search.work import Job
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from dcasearch.trial import State, Trial
from tests.support import DriverDied, Simulated, make_study

PROXY: dict[str, Any] = {
    "name": "proxy",
    "trials": 12,
    "resolution": 16,
    "epochs": 4,
    "pruner": {"name": "successive_halving", "reduction_factor": 2, "startup": 2},
}
FULL: dict[str, Any] = {"name": "full", "promote": {"top": 2}, "resolution": 16, "epochs": 3}


def failing(job: Job) -> TrialFailure | None:
    return TrialFailure("nan", "the loss is nan") if job.label == "proxy trial 4" else None


ONE, TWO = {"top1": "maximize"}, {"top1": "maximize", "macs": "minimize"}


def run(folder: Path, *lives: Simulated, objectives: dict[str, str] = TWO) -> str:
    """A study that ends with every state there is; return its database."""
    study = make_study(
        artifacts=str(folder),
        fidelities=[PROXY, FULL],
        objectives=objectives,
        constraints={"params": {"max": 11_480_000}},
        baselines=True,
        final={"seeds": [100]},
    )
    url = f"sqlite:///{folder}/study.db"
    loaded = LoadedStudy(study, read_space(study.space), folder / "study.yaml", frozenset())
    for life in lives:
        with Store.open(url, create=True) as store:
            try:
                study_room.run(loaded, store, life)
            except DriverDied:
                continue
    return url


@pytest.fixture(scope="module", params=[ONE, TWO], ids=["one objective", "two objectives"])
def objectives(request: pytest.FixtureRequest) -> dict[str, str]:
    """Optuna gives a pruned trial a value where there is one objective, and none where there are several."""
    asked: dict[str, str] = request.param
    return asked


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, objectives: dict[str, str]) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    run(folder, Simulated(fail=failing), objectives=objectives)
    return folder / "study.db"


@pytest.fixture
def file(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished study's database, to be damaged."""
    return Path(shutil.copy(finished, tmp_path / "damaged.db"))


Damage = Callable[..., None]


@pytest.fixture
def damage(file: Path) -> Iterator[Damage]:
    connection = sqlite3.connect(file)

    def execute(statement: str, *values: Any) -> None:
        assert connection.execute(statement, values).rowcount > 0, "the damage hit nothing"
        connection.commit()

    yield execute
    connection.close()


def problems(file: Path) -> list[str]:
    with Store.open(f"sqlite:///{file}") as store:
        return broken_invariants(store, "tiny")


def compared(expected: Path, got: Path) -> list[str]:
    with Store.open(f"sqlite:///{expected}") as one, Store.open(f"sqlite:///{got}") as other:
        return differences(ledger_of(one, "tiny"), ledger_of(other, "tiny"))


def trial_in(file: Path, state: State) -> Trial:
    with Store.open(f"sqlite:///{file}") as store:
        return next(trial for trial in store.trials("tiny", "proxy") if trial.state is state)


def optuna_id(number: int) -> str:
    return (
        "(SELECT trial_id FROM trials JOIN studies USING (study_id) "
        f"WHERE study_name = 'tiny.proxy' AND number = {number})"
    )


def test_the_study_of_these_tests_has_every_state_that_a_finished_one_can_have(finished: Path) -> None:
    with Store.open(f"sqlite:///{finished}") as store:
        states = {trial.state for trial in store.trials("tiny")}
    assert states == set(State) - {State.RUNNING, State.WAITING}


def test_a_finished_study_is_whole_in_both_senses(file: Path, finished: Path) -> None:
    assert problems(file) == []
    assert compared(finished, file) == []


@pytest.mark.parametrize("die_at", [3, 20, 60])
def test_a_study_whose_driver_died_and_was_followed_by_another_is_whole_in_both_senses(
    die_at: int, finished: Path, tmp_path: Path, objectives: dict[str, str]
) -> None:
    run(tmp_path, Simulated(fail=failing, die_at=die_at), Simulated(fail=failing), objectives=objectives)
    assert problems(tmp_path / "study.db") == []
    assert compared(finished, tmp_path / "study.db") == []


def test_a_study_that_has_not_ended_is_not_whole(finished: Path, tmp_path: Path, objectives: dict[str, str]) -> None:
    run(tmp_path, Simulated(fail=failing, die_at=40), objectives=objectives)
    assert any("left running" in problem for problem in problems(tmp_path / "study.db"))
    assert any(problem.endswith(": lost") for problem in compared(finished, tmp_path / "study.db"))


def test_a_trial_that_is_lost_from_our_tables_is_found(file: Path, finished: Path, damage: Damage) -> None:
    number = trial_in(file, State.COMPLETE).number
    damage("DELETE FROM dca_trials WHERE study = 'tiny' AND fidelity = 'proxy' AND number = ?", number)
    assert f"proxy trial {number}: in Optuna's tables, not in ours" in problems(file)
    assert f"proxy trial {number}: lost" in compared(finished, file)


def test_a_trial_that_is_lost_from_both_sets_of_tables_is_found(file: Path, damage: Damage) -> None:
    damage("DELETE FROM dca_trials WHERE study = 'tiny' AND fidelity = 'proxy' AND number = 2")
    damage(f"DELETE FROM trials WHERE trial_id = {optuna_id(2)}")
    assert "proxy trial 2: missing in our tables" in problems(file)
    assert "proxy trial 2: missing in Optuna's tables" in problems(file)


def test_a_trial_that_is_there_twice_is_found(file: Path, finished: Path, damage: Damage) -> None:
    damage(
        "INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete) SELECT number, study_id, "
        f"state, datetime_start, datetime_complete FROM trials WHERE trial_id = {optuna_id(1)}"
    )
    assert "proxy trial 1: 2 times in Optuna's tables" in problems(file)
    assert "proxy trial 1 in Optuna's tables, again: should not be there" in compared(finished, file)


@pytest.mark.parametrize("state", [State.RUNNING, State.WAITING])
def test_a_trial_that_is_left_unfinished_is_found(state: State, file: Path, damage: Damage) -> None:
    damage("UPDATE dca_trials SET state = ? WHERE fidelity = 'proxy' AND number = 0", str(state))
    assert f"proxy trial 0: left {state}" in problems(file)


def test_a_trial_that_is_left_running_in_optunas_tables_alone_is_found(file: Path, damage: Damage) -> None:
    damage(f"UPDATE trials SET state = 'RUNNING' WHERE trial_id = {optuna_id(0)}")
    assert "proxy trial 0: left RUNNING in Optuna's tables" in problems(file)


def test_states_that_do_not_match_are_found(file: Path, damage: Damage) -> None:
    number = trial_in(file, State.PRUNED).number
    damage(f"UPDATE trials SET state = 'FAIL' WHERE trial_id = {optuna_id(number)}")
    assert f'proxy trial {number}: state: "PRUNED" in our tables, "FAIL" in Optuna\'s' in problems(file)


def test_a_value_that_is_off_by_its_last_bit_is_found(file: Path, finished: Path, damage: Damage) -> None:
    trial = trial_in(file, State.COMPLETE)
    damage(
        f"UPDATE trial_values SET value = value + 1e-14 WHERE objective = 0 AND trial_id = {optuna_id(trial.number)}"
    )
    assert any(problem.startswith(f"proxy trial {trial.number}: values: ") for problem in problems(file))
    (difference,) = compared(finished, file)
    assert difference.startswith(f"proxy trial {trial.number} in Optuna's tables: values: expected [")


def test_a_value_that_differs_from_its_record_is_found_though_both_tables_agree(file: Path, damage: Damage) -> None:
    number = trial_in(file, State.COMPLETE).number
    damage(
        "UPDATE dca_trials SET \"values\" = json_replace(\"values\", '$[0]', 99.5) WHERE fidelity = 'proxy' "
        "AND number = ?",
        number,
    )
    damage(f"UPDATE trial_values SET value = 99.5 WHERE objective = 0 AND trial_id = {optuna_id(number)}")
    (problem,) = (problem for problem in problems(file) if problem.startswith(f"proxy trial {number}: "))
    assert problem.startswith(f"proxy trial {number}: values [99.5")
    assert "its record says" in problem


def test_a_hole_in_a_curve_is_found(file: Path, damage: Damage) -> None:
    number = trial_in(file, State.COMPLETE).number
    damage(f"DELETE FROM trial_intermediate_values WHERE step = 2 AND trial_id = {optuna_id(number)}")
    assert any(problem.startswith(f"proxy trial {number}: curve: ") for problem in problems(file))


def test_a_record_that_is_lost_is_found(file: Path, finished: Path, damage: Damage) -> None:
    trial = trial_in(file, State.COMPLETE)
    damage("DELETE FROM dca_evaluations WHERE id = ?", trial.evaluation)
    assert f"proxy trial {trial.number}: complete without a record" in problems(file)
    assert f"evaluation {trial.evaluation}: lost" in compared(finished, file)


def test_a_duplicate_with_another_outcome_than_its_original_is_found(file: Path, damage: Damage) -> None:
    trial = trial_in(file, State.DUPLICATE)
    damage("UPDATE dca_trials SET epochs = 99 WHERE fidelity = 'proxy' AND number = ?", trial.number)
    expected = (
        f"proxy trial {trial.number}: another outcome than trial {trial.duplicate_of}, of which it is a duplicate"
    )
    assert expected in problems(file)


def test_a_baseline_without_a_record_is_found(file: Path, damage: Damage) -> None:
    damage("UPDATE dca_roles SET evaluation = NULL WHERE name = 'plain' AND fidelity = 'full' AND role = 'baseline'")
    assert problems(file) == ["full baseline plain seed 0: neither a record nor a failure"]


def test_more_trials_than_were_asked_for_are_found(file: Path, damage: Damage) -> None:
    damage(
        "UPDATE dca_studies SET yaml = json_replace(yaml, '$.fidelities[0].trials', 11) WHERE name = 'tiny'",
    )
    assert problems(file) == ["proxy: 12 trials were trained, 11 were asked for"]


def test_retries_seconds_and_provenance_are_no_differences(file: Path, finished: Path, damage: Damage) -> None:
    damage("UPDATE dca_trials SET retries = 7")
    damage('UPDATE dca_evaluations SET seconds = 7, provenance = \'{"commit": "another"}\'')
    assert compared(finished, file) == []


def test_an_epoch_that_a_checkpoint_held_and_that_was_trained_again_is_found(file: Path) -> None:
    trial = trial_in(file, State.COMPLETE)
    with Store.open(f"sqlite:///{file}") as store:
        record = store.evaluation(trial.evaluation or "")
        as_recorded = [epoch.seconds for epoch in record.history]
        assert trained_twice(store, "tiny", {record.key.id: as_recorded[:2], "0" * 16: [1.0]}) == []
        found = trained_twice(store, "tiny", {record.key.id: [as_recorded[0], as_recorded[1] + 0.5]})
    assert found == [f"evaluation {record.key.id}: epoch 2 was in a checkpoint and was trained again"]


def test_the_trainings_of_a_study_are_the_records_of_all_that_was_trained(file: Path) -> None:
    with Store.open(f"sqlite:///{file}") as store:
        ids = {trial.evaluation for trial in store.trials("tiny")} | {role.evaluation for role in store.roles("tiny")}
        assert set(trainings_of(store, "tiny")) == {f"evaluation {id}" for id in ids if id is not None}


def test_nan_equals_nan_and_zero_differs_from_minus_zero() -> None:
    row = {"a": {"x": float("nan"), "y": 0.0}}
    assert differences(row, {"a": {"x": float("nan"), "y": 0.0}}) == []
    assert differences(row, {"a": {"x": float("nan"), "y": -0.0}}) == ["a: y: expected 0.0, got -0.0"]
