import dataclasses
import errno
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from upath import UPath

from dcasearch.architecture import Architecture, started_as_vanilla
from dcasearch.artifacts import Place
from dcasearch.config import load_recipe
from dcasearch.config.data_set import Data
from dcasearch.data import open_unaugmented
from dcasearch.errors import Preempted, StorageError, UserError
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.models import build_model, set_constants
from dcasearch.training import Assignment, Session, discard, evaluate_weights, sha256_of, weights_path
from dcasearch.training import loop as loop_room
from tests.data.support import write_folder
from tests.training.support import CONNECTED, VANILLA, curve, make_assignment

STEPS = 4
"""Of one epoch of `make_assignment()`; as many batches are measured: 9."""
EVERYTHING: dict[str, Any] = {
    "ema": 0.5,
    "precision": "bf16",
    "clip_norm": 1.0,
    "label_smoothing": 0.1,
    "dropout": 0.3,
    "accumulate": 3,
    "mixup": 0.2,
    "cutmix": 1.0,
    "sampling": "balanced",
    "schedule": {"warmup_epochs": 0.5},
    "augmentation": {"crop": "random_resized"},
}
OPTIONS: list[Any] = [
    {"accumulate": 3},
    pytest.param({"mixup": 0.2}, marks=pytest.mark.slow),
    pytest.param({"cutmix": 1.0}, marks=pytest.mark.slow),
    {"mixup": 0.2, "cutmix": 1.0, "label_smoothing": 0.1},
    {"ema": 0.5},
    {"clip_norm": 0.5},
    {"class_weights": "balanced"},
    {"sampling": "balanced"},
    {"optimizer": "adamw", "lr": 0.01, "schedule": {"name": "step", "drops": [1], "warmup_steps": 3}},
    {"rates": {"backbone": 0.1}, "decay_exempt": ["bias"]},
    {"freeze": ["stem", 1], "batchnorm": "kept", "ema": 0.5},
    pytest.param({"rates": {"attention": 0}}, marks=pytest.mark.slow),
    pytest.param({"channels_last": False}, marks=pytest.mark.slow),
    pytest.param({"schedule": {"warmup_epochs": 0.5}}, marks=pytest.mark.slow),
]


def at_call(number: int) -> Callable[[], bool]:
    """True at its n-th call, counted from 1."""
    calls = iter(range(1, 10_000))
    return lambda: next(calls) == number


def train(assignment: Assignment, artifacts: Place, interrupted: Callable[[], bool] = lambda: False) -> Evaluation:
    training = Session(assignment, artifacts=artifacts, threads=1, device="cpu", interrupted=interrupted)
    for _ in range(assignment.fidelity.epochs):
        training.next()
    return training.evaluation()


def train_interrupted_at(assignment: Assignment, artifacts: Place, *calls: int) -> Evaluation:
    """Interrupt one training after another, each at one of its looks, then let one go on to the end."""
    for call in calls:
        with pytest.raises(Preempted):
            train(assignment, artifacts, at_call(call))
    return train(assignment, artifacts)


def assert_equal(one: Evaluation, other: Evaluation) -> None:
    assert curve(one) == curve(other)
    assert (one.images, one.weights_sha256) == (other.images, other.weights_sha256)


def test_epochs_come_one_at_a_time_and_make_the_record(undisturbed: tuple[Evaluation, Path], tmp_path: Path) -> None:
    training = Session(make_assignment(), artifacts=tmp_path, threads=1, device="cpu")
    epochs = [training.next()]
    assert training.evaluation().history == tuple(epochs)
    epochs += [training.next(), training.next()]
    assert training.evaluation().history == tuple(epochs)
    assert_equal(training.evaluation(), undisturbed[0])


def test_there_are_no_more_epochs_than_the_fidelity_has(tmp_path: Path) -> None:
    training = Session(make_assignment(epochs=1), artifacts=tmp_path, threads=1, device="cpu")
    training.next()
    with pytest.raises(ValueError, match="has 1 epochs, all of them done"):
        training.next()


def test_epochs_of_the_checkpoint_come_first_and_cost_nothing(
    undisturbed: tuple[Evaluation, Path], tmp_path: Path
) -> None:
    first = Session(make_assignment(), artifacts=tmp_path, threads=1, device="cpu")
    before: list[Epoch] = [first.next(), first.next()]
    again = Session(make_assignment(), artifacts=tmp_path, threads=1, device="cpu")
    assert [again.next(), again.next()] == before
    again.next()
    assert_equal(again.evaluation(), undisturbed[0])


# 1 is the first step, STEPS the last of an epoch, STEPS + 1 the first batch that is measured.
@pytest.mark.parametrize("call", [1, STEPS, STEPS + 1, *random.Random(0).sample(range(STEPS + 2, 30), 2)])
def test_a_training_that_gives_way_goes_on_at_that_very_step(
    undisturbed: tuple[Evaluation, Path], tmp_path: Path, call: int
) -> None:
    assert_equal(train_interrupted_at(make_assignment(), tmp_path, call), undisturbed[0])


def test_no_step_is_made_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[float] = []
    original = loop_room.set_learning_rate
    monkeypatch.setattr(
        loop_room, "set_learning_rate", lambda optimizer, rate: made.append(rate) or original(optimizer, rate)
    )
    train_interrupted_at(make_assignment(epochs=2), tmp_path, 2, 1, STEPS)
    assert len(made) == 2 * STEPS
    assert made == sorted(made, reverse=True)


def test_every_technique_goes_on_at_that_very_step(tmp_path: Path) -> None:
    # At 16 pixels PyTorch's CPU kernel leaves parts of the bf16 gradient of 1x1 maps unset.
    assignment = make_assignment(recipe=EVERYTHING, resolution=32, epochs=2)
    whole = train(assignment, tmp_path / "whole")
    assert_equal(train_interrupted_at(assignment, tmp_path / "killed", 1, 2), whole)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Two epochs without any option."""
    return train(make_assignment(epochs=2), tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: "-".join(option))
def test_an_option_changes_the_training_which_goes_on_at_that_very_step(
    plain: Evaluation, tmp_path: Path, option: dict[str, Any]
) -> None:
    assignment = make_assignment(recipe=option, epochs=2)
    whole = train(assignment, tmp_path / "whole")
    assert_equal(train_interrupted_at(assignment, tmp_path / "killed", 2, STEPS), whole)
    assert option == {"channels_last": False} or curve(whole) != curve(plain)


@pytest.mark.slow
def test_a_compiled_training_goes_on_at_that_very_step(tmp_path: Path) -> None:
    assignment = make_assignment(recipe={"compile": True, "cuda_graphs": True}, epochs=2)
    whole = train(assignment, tmp_path / "whole")
    assert_equal(train_interrupted_at(assignment, tmp_path / "killed", 2), whole)


@pytest.mark.parametrize(("name", "workers"), [("cifar10", 0), ("imagefolder", 0), ("imagefolder", 2)])
@pytest.mark.parametrize("sampling", ["uniform", "balanced"])
def test_image_folders_go_on_at_that_very_step(tmp_path: Path, name: str, workers: int, sampling: str) -> None:
    write_folder(tmp_path / "data", images=8)
    (tmp_path / "data" / "train" / "cat" / "03.jpg").write_bytes(b"")
    data = Data(name=name, root=str(tmp_path / "data"), validation_fraction=0.25, max_corrupt=0.1, workers=workers)
    recipe = {"batch_size": 6, "sampling": sampling}
    assignment = make_assignment(data=data, epochs=2, train_fraction=1.0, recipe=recipe)
    whole = train(assignment, tmp_path / "whole")
    assert_equal(train_interrupted_at(assignment, tmp_path / "killed", 2), whole)


@pytest.mark.parametrize("protocol", ["memory", "file"])
def test_checkpoints_and_weights_may_lie_behind_a_url(
    undisturbed: tuple[Evaluation, Path], tmp_path: Path, protocol: str
) -> None:
    store = UPath(f"{protocol}://{tmp_path}")
    evaluation = train_interrupted_at(make_assignment(), store, 2, 7)
    assert_equal(evaluation, undisturbed[0])
    weights = store / str(evaluation.weights)
    assert sha256_of(weights) == evaluation.weights_sha256
    assignment = make_assignment()
    measured = evaluate_weights(
        assignment.architecture, weights, assignment.data, "search", resolution=16, batch_size=16
    )
    assert measured["top1"] == evaluation.last.values["top1"]
    discard(assignment.key, store)
    assert list((store / "checkpoints").iterdir()) == []
    store.fs.rm(store.path, recursive=True)


def test_a_store_that_cannot_be_written_is_nobodys_trials_fault_and_costs_no_epoch(
    undisturbed: tuple[Evaluation, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: Path, target: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    training = Session(make_assignment(), artifacts=tmp_path, threads=1, device="cpu")
    training.next()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", read_only)
        with pytest.raises(StorageError, match="Read-only file system"):
            training.next()
    again = Session(make_assignment(), artifacts=tmp_path, threads=1, device="cpu")
    assert len(again._history) == 1
    for _ in range(3):
        again.next()
    assert_equal(again.evaluation(), undisturbed[0])


def test_a_training_reads_the_staged_copy_of_its_data(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", images=8)
    data = Data(name="imagefolder", root=str(tmp_path / "data"), validation_fraction=0.25, workers=0)
    staged = Data.model_validate({**data.model_dump(), "stage": str(tmp_path / "node")})
    assignments = [
        make_assignment(data=d, epochs=1, train_fraction=1.0, recipe={"batch_size": 6}) for d in (data, staged)
    ]
    assert assignments[0].key == assignments[1].key
    plain = train(assignments[0], tmp_path / "plain")
    training = Session(assignments[1], artifacts=tmp_path / "staged", threads=1, device="cpu")
    shutil.rmtree(tmp_path / "data")
    training.next()
    assert_equal(training.evaluation(), plain)


def test_the_seconds_before_an_interruption_count(tmp_path: Path) -> None:
    with pytest.raises(Preempted, match="epoch 1: interrupted after 2 batches"):
        train(make_assignment(epochs=1), tmp_path, at_call(2))
    training = Session(make_assignment(epochs=1), artifacts=tmp_path, threads=1, device="cpu")
    middle = training._middle
    assert middle is not None
    assert middle.seconds > 0
    assert training.next().seconds > middle.seconds


def family(artifacts: Place) -> Assignment:
    """An assignment whose parent is trained and stored."""
    parent = make_assignment(VANILLA, epochs=2)
    digest = train(parent, artifacts).weights_sha256
    connected = started_as_vanilla(Architecture.parse(CONNECTED))
    return dataclasses.replace(make_assignment(), architecture=connected, parent=parent, parent_sha256=digest)


def test_a_training_from_its_parent_goes_on_where_that_ended(tmp_path: Path) -> None:
    still = make_assignment(epochs=1, recipe={"lr": 1e-12, "bn_momentum": 1e-9}).fidelity  # it stays where it starts
    assignment = dataclasses.replace(family(tmp_path), fidelity=still)
    assert assignment.parent is not None
    parent = train(assignment.parent, tmp_path)
    child = train(assignment, tmp_path)
    assert child.last.values["loss"] == pytest.approx(parent.last.values["loss"], rel=1e-4)
    assert child.last.values["top1"] == parent.last.values["top1"]


@pytest.mark.parametrize("calls", [(3,), (STEPS + 2, 5)])
def test_a_training_from_its_parent_resumes_to_the_last_bit_and_needs_the_parent_no_more(
    tmp_path: Path, calls: tuple[int, ...]
) -> None:
    assignment = family(tmp_path)
    whole = train(assignment, tmp_path)
    discard(assignment.key, tmp_path)
    with pytest.raises(Preempted):
        train(assignment, tmp_path, at_call(calls[0]))
    assert assignment.parent is not None
    weights_path(tmp_path, assignment.parent.key.id).unlink()
    assert_equal(train_interrupted_at(assignment, tmp_path, *calls[1:]), whole)


def test_five_epochs_of_the_shipped_fine_tuning_keep_the_parents_statistics_and_resume_to_the_last_bit(
    tmp_path: Path,
) -> None:
    changes = {"batch_size": 16, "ema": 0.9, "freeze": ("stem", 1)}
    recipe = load_recipe("finetune").recipe.model_copy(update=changes)
    started = family(tmp_path)
    assignment = dataclasses.replace(
        started, fidelity=started.fidelity.model_copy(update={"recipe": recipe, "epochs": 5})
    )
    whole = train(assignment, tmp_path)
    assert started.parent is not None
    before = load_file(weights_path(tmp_path, started.parent.key.id))
    after = load_file(tmp_path / str(whole.weights))
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert not any(name.startswith("backbone.") and "running" in name for name in changed)
    assert not any(name.startswith(("backbone.features.0.", "backbone.features.1.")) for name in changed)
    assert {"backbone.classifier.1.weight", "backbone.features.17.conv.2.weight"} <= changed
    assert len({epoch.train_loss for epoch in whole.history}) == 5
    discard(assignment.key, tmp_path)
    assert_equal(train_interrupted_at(assignment, tmp_path, 2, STEPS), whole)


def test_a_parent_that_is_missing_or_another_one_stops_the_run(tmp_path: Path) -> None:
    assignment = family(tmp_path)
    with pytest.raises(StorageError, match="SHA-256 differs"):
        train(dataclasses.replace(assignment, parent_sha256="0" * 64), tmp_path)
    with pytest.raises(StorageError, match="do all nodes share `artifacts`"):
        train(assignment, tmp_path / "elsewhere")


# Controls


def constant_after(artifacts: Path, **changes: Any) -> Assignment:
    """An assignment with constant messages, whose parent is trained and stored."""
    parent = make_assignment(VANILLA, **changes)
    digest = train(parent, artifacts).weights_sha256
    connected = make_assignment({**CONNECTED, "connections": {"message": "constant"}}, **changes)
    return dataclasses.replace(connected, parent=parent, parent_sha256=digest)


def constants_of(evaluation: Evaluation, artifacts: Path) -> dict[str, torch.Tensor]:
    stored = load_file(artifacts / str(evaluation.weights))
    return {name: value for name, value in stored.items() if ".control." in name}


def test_constant_messages_are_the_trained_parents_over_the_unaugmented_training_images(tmp_path: Path) -> None:
    assignment = constant_after(tmp_path, epochs=1, recipe={"ema": 0.5})
    found = constants_of(train(assignment, tmp_path), tmp_path)
    assert assignment.parent is not None
    model = build_model(assignment.architecture, num_classes=10)
    loader = open_unaugmented(
        assignment.data,
        "search",
        resolution=16,
        train_fraction=0.05,
        batch_size=16,
        artifacts=None,
        device=torch.device("cpu"),
    )
    parent = load_file(weights_path(tmp_path, assignment.parent.key.id))
    set_constants(model, parent, (images for images, _ in loader.epoch(0)))
    expected = {name: value for name, value in model.state_dict().items() if ".control." in name}
    assert len(expected) > 10
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_network_with_constant_messages_starts_from_scratch_and_not_from_its_parent(tmp_path: Path) -> None:
    assignment = constant_after(tmp_path, epochs=1)
    training = Session(assignment, artifacts=tmp_path, threads=1, device="cpu")
    drawn = build_model(assignment.architecture, num_classes=10, seed=assignment.seed).state_dict()
    started = training._network.model.state_dict()
    assert all(torch.equal(value, drawn[name]) for name, value in started.items() if ".control." not in name)


@pytest.mark.slow
def test_constant_messages_outlive_an_interruption(tmp_path: Path) -> None:
    for part in ("whole", "halves"):
        (tmp_path / part).mkdir()
    whole = train(constant_after(tmp_path / "whole", epochs=2, recipe={"ema": 0.5}), tmp_path / "whole")
    assignment = constant_after(tmp_path / "halves", epochs=2, recipe={"ema": 0.5})
    with pytest.raises(Preempted):
        train(assignment, tmp_path / "halves", at_call(STEPS + 2))
    assert assignment.parent is not None
    weights_path(tmp_path / "halves", assignment.parent.key.id).unlink()  # the checkpoint has what was measured
    assert_equal(train(assignment, tmp_path / "halves"), whole)


def test_a_constant_message_without_a_parent_is_refused_with_what_to_do(tmp_path: Path) -> None:
    assignment = make_assignment({**CONNECTED, "connections": {"message": "constant"}})
    with pytest.raises(UserError, match="the mean message of the trained vanilla parent"):
        Session(assignment, artifacts=tmp_path, threads=1, device="cpu")


@pytest.mark.slow
def test_a_network_that_mixes_images_is_measured_in_the_mixed_order_and_again_from_its_weights(tmp_path: Path) -> None:
    assignment = make_assignment({**CONNECTED, "connections": {"message": "shuffled"}}, epochs=1)
    evaluation = train(assignment, tmp_path)
    again = evaluate_weights(
        assignment.architecture,
        tmp_path / str(evaluation.weights),
        assignment.data,
        "search",
        resolution=16,
        batch_size=16,
    )
    assert again["loss"] == pytest.approx(evaluation.last.values["loss"], rel=1e-5)


def test_every_epoch_holds_the_coefficients_of_its_weights(undisturbed: tuple[Evaluation, Path]) -> None:
    evaluation, artifacts = undisturbed
    weights = load_file(weights_path(artifacts, evaluation.key.id))
    alphas = [value.item() for name, value in weights.items() if name.endswith(".alpha")]
    assert evaluation.history[0].alphas != evaluation.last.alphas
    assert sorted(evaluation.last.alphas.values()) == pytest.approx(sorted(alphas), rel=1e-4)
