from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dcasearch.config.data_set import Data
from dcasearch.errors import DataError, Preempted, TrialFailure
from dcasearch.evaluation import Epoch
from dcasearch.scores import SCORES, Batches
from dcasearch.training import Assignment, Scoring, Session, begin, scoring
from tests.training.support import CONNECTED, VANILLA, make_assignment, run


def score_assignment(architecture: dict[str, Any] = CONNECTED, score: str = "snip", **changes: Any) -> Assignment:
    return make_assignment(architecture, kind="zero_cost", score=score, epochs=1, **changes)


def open_scoring(assignment: Assignment, artifacts: Path, **options: Any) -> Scoring:
    return Scoring(assignment, artifacts=artifacts, threads=1, device="cpu", **options)


@pytest.mark.parametrize("score", sorted(SCORES))
def test_a_score_is_recorded_as_one_entry_with_nothing_measured_and_no_files_of_its_own(
    score: str, tmp_path: Path
) -> None:
    assignment = score_assignment(score=score, batches=2 if score == "zico" else 1)
    reported: list[Epoch] = []
    evaluation = run(pickle.loads(pickle.dumps(assignment)), tmp_path, lambda epoch: reported.append(epoch) is None)
    assert evaluation.key == assignment.key
    assert list(evaluation.history) == reported
    (entry,) = reported
    assert math.isfinite(entry.values["score"])
    assert all(map(math.isnan, (entry.train_loss,)))
    assert entry.values.keys() == {"score"}
    assert evaluation.seconds == entry.seconds > 0
    assert evaluation.images == {"synflow": 0, "zico": 32}.get(score, 16)
    assert (evaluation.weights, evaluation.device) == (None, "cpu")
    assert evaluation.provenance["threads"] == "1"
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.slow
def test_a_score_is_the_same_to_the_last_bit_whatever_ran_before_and_in_a_fresh_process(tmp_path: Path) -> None:
    first = run(score_assignment(), tmp_path).last.values["score"]
    torch.manual_seed(123)
    run(make_assignment(VANILLA, seed=5, epochs=1), tmp_path)
    assert run(score_assignment(), tmp_path).last.values["score"] == first
    script = (
        "import json, sys; from pathlib import Path; from tests.training.support import run\n"
        "from tests.training.test_scoring import score_assignment\n"
        "print(json.dumps(run(score_assignment(), Path(sys.argv[1])).last.values['score']))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=True)
    assert json.loads(done.stdout) == first


def test_the_seed_changes_the_score(tmp_path: Path) -> None:
    assert (
        run(score_assignment(seed=1), tmp_path).last.values["score"]
        != run(score_assignment(), tmp_path).last.values["score"]
    )


def test_two_architectures_are_scored_on_equal_batches_from_equal_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[dict[str, torch.Tensor], Batches]] = []

    def record(network: nn.Module, batches: Batches) -> float:
        seen.append((network.state_dict(), batches))
        return 1.0

    monkeypatch.setattr(scoring, "SCORES", {"snip": record})
    for architecture in (VANILLA, CONNECTED):
        run(score_assignment(architecture, batches=2), tmp_path)
    (parameters, batches), (more, same) = seen
    assert len(batches) == 2
    for (images, labels), (again, equal) in zip(batches, same, strict=True):
        assert torch.equal(images, again)
        assert torch.equal(labels, equal)
    assert set(parameters) < set(more)
    assert all(torch.equal(value, more[name]) for name, value in parameters.items())


def test_a_score_that_is_no_number_fails_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "SCORES", {"snip": lambda network, batches: -math.inf})
    with pytest.raises(TrialFailure, match="snip is -inf") as failure:
        run(score_assignment(), tmp_path)
    assert failure.value.kind == "nan"


def test_whatever_goes_wrong_in_a_score_is_a_trial_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(network: nn.Module, batches: Batches) -> float:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(scoring, "SCORES", {"snip": fail})
    with pytest.raises(TrialFailure) as failure:
        run(score_assignment(), tmp_path)
    assert failure.value.kind == "oom"


def test_fewer_batches_than_wanted_and_other_data_than_the_tasks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fidelity 'proxy': 4 readable batches of 16 images, 99 are wanted"):
        run(score_assignment(batches=99), tmp_path)
    with pytest.raises(DataError, match="is not the data of this study"):
        run(Assignment(**{**vars(score_assignment()), "data": Data(name="digits", split_seed=1)}), tmp_path)


def test_a_score_gives_way_before_it_is_computed_and_the_same_call_computes_it(tmp_path: Path) -> None:
    with pytest.raises(Preempted):
        open_scoring(score_assignment(), tmp_path, interrupted=lambda: True).next()
    assert open_scoring(score_assignment(), tmp_path).next().values["score"] is not None


def test_a_score_is_computed_once(tmp_path: Path) -> None:
    one = open_scoring(score_assignment(), tmp_path)
    with pytest.raises(ValueError, match="nothing was scored yet"):
        one.evaluation()
    one.next()
    with pytest.raises(ValueError, match="one entry"):
        one.next()


def test_a_task_begins_as_what_its_fidelity_is(tmp_path: Path) -> None:
    options: dict[str, Any] = {"artifacts": tmp_path, "threads": 1, "device": "cpu"}
    assert isinstance(begin(score_assignment(), **options), Scoring)
    assert isinstance(begin(make_assignment(), **options), Session)
