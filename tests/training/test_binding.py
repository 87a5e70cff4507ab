"""A checkpoint that is not of the training at hand is set aside, and the training starts anew."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dcasearch.errors import Preempted
from dcasearch.models import build_model
from dcasearch.training import Assignment, Session, checkpoint_path
from dcasearch.training.binding import Fit, digest_of
from dcasearch.training.checkpoint import read_checkpoint
from tests.training.support import CONNECTED, make_assignment

Change = Callable[[dict[str, Any]], None]
TASK = make_assignment()
NARROWER = {**CONNECTED, "attention": {"name": "se", "reduction": 8}}
STEP: dict[str, Any] = {"schedule": {"name": "step", "every": 2}}
NAN, INF = float("nan"), float("inf")


def begun(assignment: Assignment, artifacts: Path) -> Path:
    """Train one epoch; return the checkpoint."""
    Session(assignment, artifacts=artifacts, threads=1, device="cpu").next()
    return checkpoint_path(assignment.key, artifacts)  # type: ignore[return-value]  # a local store


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(begun(TASK, tmp_path_factory.mktemp("begun")), weights_only=True)
    return loaded


@pytest.fixture(scope="module")
def fit() -> Fit:
    model = build_model(TASK.architecture, num_classes=10)
    return Fit.of(model, TASK.fidelity.recipe, epochs=3, steps=4)


def copy_of(content: Any) -> Any:
    if isinstance(content, torch.Tensor):
        return content.clone()
    if isinstance(content, dict):
        return type(content)((key, copy_of(value)) for key, value in content.items())
    return [copy_of(value) for value in content] if isinstance(content, list) else content


def put(content: dict[str, Any], assignment: Assignment, artifacts: Path, *, old: bool) -> Path:
    """Write a checkpoint in the old format without a key, or as a forger would who knows the new one."""
    path = artifacts / "checkpoints" / f"{assignment.key.id}.pt"
    path.parent.mkdir(exist_ok=True)
    unsigned = {name: value for name, value in content.items() if name != "sha256"}
    if old:
        torch.save({**{n: v for n, v in unsigned.items() if n != "key"}, "format": 2}, path)
    else:
        torch.save({**unsigned, "sha256": digest_of(unsigned)}, path)
    return path


def first_step(assignment: Assignment, artifacts: Path) -> str:
    """Say at which step of which epoch the training goes on."""
    training = Session(assignment, artifacts=artifacts, threads=1, device="cpu", interrupted=lambda: True)
    try:
        while True:
            training.next()
    except Preempted as preempted:
        return str(preempted)


def assert_set_aside(path: Path, assignment: Assignment, artifacts: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert first_step(assignment, artifacts) == "epoch 1: interrupted after 1 batches"
    assert "training starts anew" in caplog.text
    assert path.with_suffix(".broken").exists()


def set_history(content: dict[str, Any], **values: Any) -> None:
    content["history"][0].update(values)


def overlong(content: dict[str, Any]) -> None:
    content["history"] = [{**content["history"][0], "epoch": epoch} for epoch in range(1, 6)]
    content["images"] *= 5


def lengthen(content: dict[str, Any]) -> None:
    content["history"] *= 2
    content["images"] *= 2


def spoil(content: dict[str, Any], where: str, value: float) -> None:
    tensors = content["model"] if where == "model" else content["optimizer"]["state"][0]
    tensor = next(iter(tensors.values()))
    tensor[(0,) * tensor.dim()] = value


def shorten_a_tensor(content: dict[str, Any]) -> None:
    name = next(iter(content["model"]))
    content["model"][name] = content["model"][name][:1]


def set_middle(content: dict[str, Any], batches: int = 1, random: Any = None) -> None:
    state = [torch.get_rng_state()] if random is None else random
    rank = {"loss": torch.tensor(1.0), "images": 4, "random": state}
    content["middle"] = {"batches": batches, "seconds": 0.1, "ranks": [rank]}


FORGED: dict[str, Change] = {
    "overlong history": overlong,
    "an epoch twice": lengthen,
    "no history": lambda c: c.update(history=[], images=[]),
    "NaN loss": lambda c: set_history(c, loss=NAN),
    "top-1 of 900": lambda c: set_history(c, top1=900.0),
    "a word for a number": lambda c: set_history(c, top1="50"),
    "negative seconds": lambda c: set_history(c, seconds=-1.0),
    "a score": lambda c: set_history(c, score=1.0),
    "images of other epochs": lambda c: c.update(images=[1, 2]),
    "continued from nowhere": lambda c: c.update(continued=2),
    "NaN parameter": lambda c: spoil(c, "model", NAN),
    "infinite momentum": lambda c: spoil(c, "optimizer", INF),
    "another shape": shorten_a_tensor,
    "a tensor too many": lambda c: c["model"].update(more=torch.ones(1)),
    "an average": lambda c: c.update(ema=c["model"]),
    "weight decay of another recipe": lambda c: c["optimizer"]["param_groups"][0].update(weight_decay=0.5),
    "a group less": lambda c: c["optimizer"]["param_groups"].pop(),
    "beyond the epoch": lambda c: set_middle(c, batches=99),
    "no random state": lambda c: set_middle(c, random=[torch.zeros(5, dtype=torch.uint8)]),
}


@pytest.mark.parametrize(
    "old", [pytest.param(True, marks=pytest.mark.slow, id="old format"), pytest.param(False, id="signed")]
)
@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_checkpoint_is_set_aside(
    forged: str, old: bool, content: dict[str, Any], fit: Fit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changed = copy_of(content)
    assert read_checkpoint(put(changed, TASK, tmp_path, old=old), fit.check) is not None
    FORGED[forged](changed)
    path = put(changed, TASK, tmp_path, old=old)
    with caplog.at_level(logging.WARNING):
        assert read_checkpoint(path, fit.check) is None
    assert "training starts anew" in caplog.text
    assert path.with_suffix(".broken").exists()


@pytest.mark.parametrize("forged", ["overlong history", "NaN parameter", "no random state"])
def test_a_training_whose_checkpoint_is_forged_starts_anew(
    forged: str, content: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changed = copy_of(content)
    FORGED[forged](changed)
    assert_set_aside(put(changed, TASK, tmp_path, old=True), TASK, tmp_path, caplog)


def test_a_checkpoint_of_another_training_under_this_ones_name_is_set_aside(
    content: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = make_assignment(recipe={"lr": 0.5})
    path = put(content, other, tmp_path, old=False)
    assert_set_aside(path, other, tmp_path, caplog)
    assert f"it is of another training, {TASK.key.id}" in caplog.text


def test_a_checkpoint_of_another_network_without_a_key_is_set_aside(
    content: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = make_assignment(NARROWER)
    assert_set_aside(put(content, other, tmp_path, old=True), other, tmp_path, caplog)


def test_a_checkpoint_that_was_changed_after_it_was_written_is_set_aside(
    content: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = put(content, TASK, tmp_path, old=False)
    changed = torch.load(path, weights_only=True)
    spoil(changed, "model", 0.25)
    torch.save(changed, path)
    assert_set_aside(path, TASK, tmp_path, caplog)
    assert "its checksum is wrong" in caplog.text


@pytest.mark.parametrize("old", [True, False], ids=["old format", "signed"])
def test_a_training_goes_on_from_its_own_checkpoint_of_either_format(
    old: bool, content: dict[str, Any], tmp_path: Path
) -> None:
    put(content, TASK, tmp_path, old=old)
    assert first_step(TASK, tmp_path) == "epoch 2: interrupted after 1 batches"


def adam(content: dict[str, Any]) -> None:
    """Put what AdamW keeps of two numbers into the place of the first parameter's momentum."""
    content["optimizer"]["state"][0] = {"step": torch.tensor(1.0), "exp_avg": torch.ones(2)}


@pytest.mark.parametrize("change", [adam, lambda c: c["optimizer"]["param_groups"][0].update(betas=(0.9, 0.999))])
def test_a_checkpoint_of_another_optimizer_is_set_aside(
    change: Change, content: dict[str, Any], fit: Fit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changed = copy_of(content)
    change(changed)
    with caplog.at_level(logging.WARNING):
        assert read_checkpoint(put(changed, TASK, tmp_path, old=False), fit.check) is None
    assert "the optimiser" in caplog.text


def test_a_beginning_that_is_another_trainings_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    short, long, other = (
        make_assignment(recipe=STEP, epochs=1),
        make_assignment(recipe=STEP),
        make_assignment(recipe={"lr": 0.5}),
    )
    path = begun(other, tmp_path).rename(tmp_path / "checkpoints" / f"{short.key.id}.pt")
    assert_set_aside(path, long, tmp_path, caplog)


def test_a_beginning_with_more_epochs_than_its_training_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    short, long = make_assignment(recipe=STEP, epochs=1), make_assignment(recipe=STEP)
    begun(short, tmp_path)
    path = tmp_path / "checkpoints" / f"{short.key.id}.pt"
    changed = torch.load(path, weights_only=True)
    changed["history"] += [{**changed["history"][0], "epoch": 2}]
    changed["images"] *= 2
    put(changed, short, tmp_path, old=False)
    assert_set_aside(path, long, tmp_path, caplog)
