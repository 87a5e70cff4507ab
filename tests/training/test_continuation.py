from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcasearch.config.study import Fidelity
from dcasearch.training import Session, checkpoint_of, checkpoint_path, continues, later_continues
from dcasearch.training.continuation import beginnings
from tests.support import make_study
from tests.training.support import curve, make_assignment, run

STEP: dict[str, Any] = {"schedule": {"name": "step", "every": 2, "warmup_epochs": 0.5}, "ema": 0.5, "mixup": 0.2}


def test_a_longer_budget_goes_on_from_a_shorter_one_with_the_values_of_a_training_from_scratch(tmp_path: Path) -> None:
    short, long = (make_assignment(recipe=STEP, epochs=epochs) for epochs in (2, 4))
    whole = run(long, tmp_path / "scratch")
    first = run(short, tmp_path / "both")
    continued = run(long, tmp_path / "both")
    assert curve(continued) == curve(whole)
    assert continued.weights_sha256 == whole.weights_sha256
    assert continued.history[:2] == first.history, "taken over, their seconds too"
    assert continued.reused_seconds == pytest.approx(first.seconds)
    assert continued.images == whole.images
    assert whole.reused_seconds == 0.0
    assert curve(first) == curve(whole)[:2]


def test_what_was_taken_over_is_still_known_after_an_interruption(tmp_path: Path) -> None:
    short, long = (make_assignment(recipe=STEP, epochs=epochs) for epochs in (1, 3))
    first = run(short, tmp_path)
    training = Session(long, artifacts=tmp_path, threads=1, device="cpu")
    training.next()
    training.next()
    del training
    checkpoint_path(short.key, tmp_path).unlink()
    assert run(long, tmp_path).reused_seconds == pytest.approx(first.seconds)


def test_the_longest_of_several_beginnings_is_taken_and_a_broken_one_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assignments = {epochs: make_assignment(recipe=STEP, epochs=epochs) for epochs in (1, 2, 3, 4)}
    recorded = {epochs: run(assignments[epochs], tmp_path) for epochs in (1, 3)}
    assert recorded[3].reused_seconds > 0
    checkpoint_path(assignments[3].key, tmp_path).write_bytes(b"broken")
    assert run(assignments[4], tmp_path).reused_seconds == pytest.approx(recorded[1].seconds)
    assert "cannot use checkpoint" in caplog.text


@pytest.fixture(scope="module")
def one_epoch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the checkpoint of a training of one epoch."""
    folder = tmp_path_factory.mktemp("one_epoch")
    assignment = make_assignment(recipe=STEP, epochs=1)
    run(assignment, folder)
    assert checkpoint_path(assignment.key, folder).exists()
    return folder


@pytest.mark.parametrize(
    "other",
    [
        {"recipe": {**STEP, "schedule": {"name": "cosine"}}},
        {"recipe": {**STEP, "lr": 0.1}},
        {"resolution": 32},
        {"train_fraction": 0.1},
        {"seed": 1},
        {"protocol": "test"},
    ],
)
def test_a_training_that_differs_in_anything_but_its_epochs_starts_from_scratch(
    other: dict[str, Any], one_epoch: Path
) -> None:
    assert run(make_assignment(**{"recipe": STEP, "epochs": 2, **other}), one_epoch).reused_seconds == 0.0


def test_under_a_schedule_that_knows_its_end_no_training_begins_another(tmp_path: Path) -> None:
    run(make_assignment(epochs=1), tmp_path)
    assert run(make_assignment(epochs=2), tmp_path).reused_seconds == 0.0
    assert beginnings(make_assignment(epochs=3)) == {}


def test_beginnings_are_the_same_training_with_fewer_epochs() -> None:
    assert beginnings(make_assignment(recipe=STEP, epochs=3)) == {
        make_assignment(recipe=STEP, epochs=epochs).key.id: epochs for epochs in (1, 2)
    }


def test_ones_own_checkpoint_comes_before_that_of_a_beginning(tmp_path: Path) -> None:
    short, long = (make_assignment(recipe=STEP, epochs=epochs) for epochs in (2, 3))
    training = Session(long, artifacts=tmp_path, threads=1, device="cpu")
    training.next()
    run(short, tmp_path)
    assert run(long, tmp_path).reused_seconds == 0.0


LEVEL: dict[str, Any] = {"name": "proxy", "trials": 4, "resolution": 16, "epochs": 2, "recipe": STEP}
LONGER: dict[str, Any] = {**LEVEL, "name": "full", "epochs": 4, "trials": None, "promote": {"top": 1}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"seeds": [0, 1], "pruner": {"name": "median"}}, True),
        ({"epochs": 2}, False),
        ({"resolution": 32}, False),
        ({"train_fraction": 0.5}, False),
        ({"recipe": {**STEP, "schedule": {"name": "cosine"}}}, False),
        ({"initialize": "vanilla"}, False),
    ],
)
def test_a_fidelity_continues_an_earlier_one_of_equal_data_resolution_and_recipe(
    changes: dict[str, Any], expected: bool
) -> None:
    longer = Fidelity.model_validate({**LONGER, **changes})
    assert continues(longer, Fidelity.model_validate(LEVEL)) is expected
    study = make_study(fidelities=[LEVEL, {**LONGER, **changes}])
    assert later_continues(study, study.fidelities[0]) is expected
    assert not later_continues(study, study.fidelities[1])


def test_fidelities_with_one_parent_continue_each_other() -> None:
    own, shared = "vanilla", {"name": "vanilla", "epochs": 3}
    for initialize, expected in ((own, False), (shared, True)):
        both = [Fidelity.model_validate({**level, "initialize": initialize}) for level in (LEVEL, LONGER)]
        assert continues(both[1], both[0]) is expected


def test_checkpoints_are_found_by_the_id_of_their_key(tmp_path: Path) -> None:
    assignment = make_assignment()
    assert checkpoint_of(assignment.key.id, tmp_path) == checkpoint_path(assignment.key, tmp_path)
