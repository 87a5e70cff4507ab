import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import load_file

from dcasearch.config.data_set import Data
from dcasearch.data import Batch
from dcasearch.errors import DataError, TrialFailure
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.training import Assignment, discard, evaluate, loop
from dcasearch.training import session as room
from dcasearch.training.checkpoint import checkpoint_path
from dcasearch.training.loop import Trained
from tests.data.support import write_folder
from tests.training.support import CONNECTED, VANILLA, curve, make_assignment, run

EVERYTHING: dict[str, Any] = {
    "ema": 0.5,
    "precision": "bf16",
    "clip_norm": 1.0,
    "label_smoothing": 0.1,
    "decay_exempt": ["bias", "norm", "depthwise", "connection"],
    "schedule": {"warmup_epochs": 1},
    "augmentation": {"crop": "random_resized"},
}


class Killed(BaseException):
    """Stands for the end of the process."""


def run_and_kill(assignment: Assignment, artifacts: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train up to an optimiser step, counted from 1 over all epochs, and end there."""
    original, taken = loop.set_learning_rate, []

    def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
        taken.append(rate)
        if len(taken) == step:
            raise Killed
        original(optimizer, rate)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "set_learning_rate", set_learning_rate)
        with pytest.raises(Killed):
            run(assignment, artifacts)


def never(*_: Any) -> Any:
    raise AssertionError("trained again")


def test_an_evaluation_says_everything_about_its_training(undisturbed: tuple[Evaluation, Path]) -> None:
    evaluation, artifacts = undisturbed
    assignment = make_assignment()
    assert evaluation.key == assignment.key
    assert [epoch.epoch for epoch in evaluation.history] == [1, 2, 3]
    assert evaluation.images == 3 * 4 * 16
    assert evaluation.seconds == sum(epoch.seconds for epoch in evaluation.history) > 0
    assert evaluation.device == "cpu"
    assert evaluation.provenance["threads"] == "1"
    assert evaluation.weights == f"weights/{assignment.key.id}.safetensors"
    assert (artifacts / evaluation.weights).is_file()
    assert all(epoch.values["top5"] >= epoch.values["top1"] for epoch in evaluation.history)


def test_training_learns(tmp_path: Path) -> None:
    vanilla = {"backbone": {"name": "resnet18"}}
    recipe = {"lr": 0.02, "batch_size": 32, "augmentation": {"crop": "none", "flip": False}}
    evaluation = run(make_assignment(vanilla, train_fraction=0.2, recipe=recipe), tmp_path)
    assert evaluation.last.values["top1"] > 60
    assert evaluation.last.train_loss < evaluation.history[0].train_loss


def test_values_are_equal_to_the_last_bit_whatever_ran_before(
    undisturbed: tuple[Evaluation, Path], tmp_path: Path
) -> None:
    torch.manual_seed(123)
    run(make_assignment(VANILLA, seed=5, epochs=1), tmp_path)
    again = run(make_assignment(), tmp_path)
    assert curve(again) == curve(undisturbed[0])
    assert again.weights_sha256 == undisturbed[0].weights_sha256


@pytest.mark.slow  # as the worker's values in executors/test_conformance.py
def test_values_are_equal_in_a_fresh_process(undisturbed: tuple[Evaluation, Path], tmp_path: Path) -> None:
    script = (
        "import json, sys; from pathlib import Path; from tests.training.support import curve, make_assignment, run\n"
        "print(json.dumps(curve(run(make_assignment(), Path(sys.argv[1])))))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=True)
    assert [tuple(epoch) for epoch in json.loads(done.stdout)] == curve(undisturbed[0])


def test_the_seed_changes_the_values(undisturbed: tuple[Evaluation, Path], tmp_path: Path) -> None:
    other = run(make_assignment(seed=1, epochs=3), tmp_path)
    assert all(a != b for a, b in zip(curve(other), curve(undisturbed[0]), strict=True))


@pytest.mark.parametrize("epoch", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_training_that_ends_after_an_epoch_goes_on_to_equal_values(
    undisturbed: tuple[Evaluation, Path], tmp_path: Path, epoch: int
) -> None:
    def die(reported: Epoch) -> bool:
        if reported.epoch == epoch:
            raise Killed
        return True

    with pytest.raises(Killed):
        run(make_assignment(), tmp_path, die)
    resumed = run(make_assignment(), tmp_path)
    assert curve(resumed) == curve(undisturbed[0])
    assert resumed.weights_sha256 == undisturbed[0].weights_sha256
    assert resumed.images == undisturbed[0].images


@pytest.mark.parametrize("step", [1, 7])
def test_a_training_that_ends_within_an_epoch_goes_on_to_equal_values(
    undisturbed: tuple[Evaluation, Path], tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_and_kill(make_assignment(), tmp_path, step, monkeypatch)
    assert curve(run(make_assignment(), tmp_path)) == curve(undisturbed[0])


def test_every_technique_of_a_recipe_survives_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # At 16 pixels the last stride-2 convolution sees 1x1 maps, for which PyTorch's CPU kernel leaves parts of
    # the bf16 weight gradient unset.
    assignment = make_assignment(recipe=EVERYTHING, resolution=32)
    whole = run(assignment, tmp_path / "whole")
    run_and_kill(assignment, tmp_path / "killed", 6, monkeypatch)
    resumed = run(assignment, tmp_path / "killed")
    assert curve(resumed) == curve(whole)
    assert resumed.weights_sha256 == whole.weights_sha256


def test_epochs_before_an_interruption_are_reported_again_in_order(tmp_path: Path) -> None:
    run(make_assignment(), tmp_path, lambda epoch: epoch.epoch < 2)
    reported: list[Epoch] = []
    evaluation = run(make_assignment(), tmp_path, lambda epoch: reported.append(epoch) is None)
    assert reported == list(evaluation.history)


def test_a_report_that_says_stop_ends_the_training_with_the_epochs_so_far(
    undisturbed: tuple[Evaluation, Path], tmp_path: Path
) -> None:
    stopped = run(make_assignment(), tmp_path, lambda epoch: epoch.epoch < 2)
    assert curve(stopped) == curve(undisturbed[0])[:2]
    assert stopped.images == 2 * 4 * 16
    assert (stopped.weights, stopped.weights_sha256) == (None, None)


def test_a_stop_is_honoured_among_the_epochs_before_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(make_assignment(), tmp_path, lambda epoch: epoch.epoch < 2)
    monkeypatch.setattr(room, "train_epoch", never)
    stopped = run(make_assignment(), tmp_path, lambda epoch: False)
    assert [epoch.epoch for epoch in stopped.history] == [1]
    assert stopped.images == 4 * 16


def test_dying_between_the_end_and_the_record_costs_nothing(
    undisturbed: tuple[Evaluation, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(make_assignment(), tmp_path)
    (tmp_path / str(first.weights)).unlink()
    monkeypatch.setattr(room, "train_epoch", never)
    again = run(make_assignment(), tmp_path)
    assert again.history == first.history
    assert again.weights_sha256 == first.weights_sha256
    assert (tmp_path / str(again.weights)).is_file()


def test_discarding_keeps_the_weights_and_forgets_the_training(tmp_path: Path) -> None:
    assignment = make_assignment(epochs=1)
    evaluation = run(assignment, tmp_path)
    assert checkpoint_path(assignment.key, tmp_path).is_file()
    discard(assignment.key, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")] == [evaluation.weights]


def test_a_broken_checkpoint_costs_its_epochs_and_nothing_else(
    undisturbed: tuple[Evaluation, Path], tmp_path: Path
) -> None:
    run(make_assignment(), tmp_path, lambda epoch: epoch.epoch < 2)
    path = checkpoint_path(make_assignment().key, tmp_path)
    path.write_bytes(path.read_bytes()[:1000])
    assert curve(run(make_assignment(), tmp_path)) == curve(undisturbed[0])


def test_two_architectures_see_equal_batches_and_start_from_equal_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[dict[str, torch.Tensor], list[Batch]]] = []

    def record(network: Any, optimizer: Any, batches: Any, *rest: Any) -> Any:
        kept = list(batches)
        start = {name: value.clone() for name, value in network.model.state_dict().items()}
        seen.append((start, kept))
        return loop.train_epoch(network, optimizer, kept, *rest)

    monkeypatch.setattr(room, "train_epoch", record)
    for architecture in (VANILLA, CONNECTED):
        run(make_assignment(architecture, epochs=2), tmp_path)
    for vanilla, connected in ((seen[0], seen[2]), (seen[1], seen[3])):
        for (a_images, a_labels), (b_images, b_labels) in zip(vanilla[1], connected[1], strict=True):
            assert torch.equal(a_images, b_images)
            assert torch.equal(a_labels, b_labels)
    parameters, more = seen[0][0], seen[2][0]
    assert set(parameters) < set(more)
    assert all(torch.equal(value, more[name]) for name, value in parameters.items())


def test_a_training_that_diverges_fails_with_its_epoch(tmp_path: Path) -> None:
    with pytest.raises(TrialFailure, match=r"epoch 1: the .* loss is") as failure:
        run(make_assignment(recipe={"lr": 1e6}), tmp_path)
    assert failure.value.kind == "nan"


@pytest.mark.parametrize(
    ("error", "kind"), [(torch.OutOfMemoryError("CUDA out of memory"), "oom"), (ZeroDivisionError(), "bug")]
)
@pytest.mark.parametrize("place", ["make_network", "train_epoch", "metered", "save_weights"])
def test_whatever_goes_wrong_in_a_training_is_a_trial_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: str, place: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(room, place, fail)
    with pytest.raises(TrialFailure) as failure:
        run(make_assignment(epochs=1, train_fraction=0.01), tmp_path)
    assert failure.value.kind == kind


def test_what_the_report_raises_is_not_a_failure_of_the_trial(tmp_path: Path) -> None:
    def report(epoch: Epoch) -> bool:
        raise BrokenPipeError("the driver is gone")

    with pytest.raises(BrokenPipeError):
        run(make_assignment(epochs=1, train_fraction=0.01), tmp_path, report)


def test_other_data_than_the_tasks_is_refused(tmp_path: Path) -> None:
    assignment = make_assignment()
    with pytest.raises(DataError, match="digits at None is not the data of this study"):
        run(type(assignment)(**{**vars(assignment), "data": Data(name="digits", split_seed=1)}), tmp_path)


@pytest.mark.parametrize("ends_well", [True, False])
def test_the_threads_are_the_tasks_and_are_put_back(
    tmp_path: Path, ends_well: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    inside: list[int] = []

    def train_epoch(*_: Any) -> Trained:
        inside.append(torch.get_num_threads())
        if not ends_well:
            raise Killed
        return Trained(loss=1.0, images=1)

    monkeypatch.setattr(room, "train_epoch", train_epoch)
    meter = Mock(compute=lambda: {"loss": 1.0, "top1": 0.0, "top5": 0.0})
    monkeypatch.setattr(room, "metered", lambda *_, **__: meter)
    assignment = make_assignment(epochs=1, train_fraction=0.01)
    try:
        evaluate(assignment, artifacts=tmp_path, report=lambda epoch: True, threads=before + 1, device="cpu")
    except Killed:
        assert not ends_well
    assert inside == [before + 1]
    assert torch.get_num_threads() == before


def test_the_test_split_is_read_once_after_the_last_epoch(undisturbed: tuple[Evaluation, Path], tmp_path: Path) -> None:
    final = run(make_assignment(protocol="test"), tmp_path)
    assert curve(final)[:2] == curve(undisturbed[0])[:2]
    assert final.last.train_loss == undisturbed[0].last.train_loss
    assert final.last.values["loss"] != undisturbed[0].last.values["loss"]
    assert final.best is final.last


def test_the_moving_average_is_what_is_measured_and_kept(tmp_path: Path) -> None:
    plain = run(make_assignment(epochs=1), tmp_path)
    averaged = run(make_assignment(epochs=1, recipe={"ema": 0.9}), tmp_path)
    assert averaged.last.train_loss == plain.last.train_loss
    assert averaged.last.values["loss"] != plain.last.values["loss"]
    kept = load_file(tmp_path / str(averaged.weights))
    assert set(kept) == set(load_file(tmp_path / str(plain.weights)))


@pytest.mark.parametrize("name", ["cifar10", "imagefolder"])
def test_image_folders_train_and_resume_with_unreadable_images_counted(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path / "data", images=8, size=(32, 32))
    (tmp_path / "data" / "train" / "cat" / "03.jpg").write_bytes(b"")
    data = Data(name=name, root=str(tmp_path / "data"), validation_fraction=0.25, max_corrupt=0.1, workers=2)
    assignment = make_assignment(data=data, epochs=2, train_fraction=1.0, recipe={"batch_size": 6})
    whole = run(assignment, tmp_path / "whole")
    run(assignment, tmp_path / "killed", lambda epoch: False)
    assert curve(run(assignment, tmp_path / "killed")) == curve(whole)
    assert whole.provenance["unreadable_images"] == "1"
    assert whole.last.values["top5"] == 100.0


def test_too_many_unreadable_images_stop_the_run(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", images=8)
    for name in ("cat", "dog"):
        (tmp_path / "data" / "train" / name / "03.jpg").write_bytes(b"")
    data = Data(name="imagefolder", root=str(tmp_path / "data"), validation_fraction=0.25, max_corrupt=0.01, workers=0)
    with pytest.raises(DataError, match=r"images is unreadable(.|\n)*03\.jpg"):
        run(make_assignment(data=data, train_fraction=1.0, recipe={"batch_size": 6}), tmp_path)
