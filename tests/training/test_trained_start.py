"""Trainings that begin with a weights file."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dcasearch.config.initialization import Initialization
from dcasearch.config.starts import Start
from dcasearch.errors import Preempted, StorageError, UserError
from dcasearch.training import Assignment, Session, continues, put_start
from dcasearch.training.weights import start_path
from tests.models.weights import safe, values_of
from tests.training.support import CONNECTED, VANILLA, curve, make_assignment, run

NAMES = tuple(map(str, range(10)))


def starting(
    folder: Path,
    *,
    classes: int = 20,
    names: tuple[str, ...] | None = None,
    architecture: dict[str, Any] = CONNECTED,
    **changes: Any,
) -> Assignment:
    """Return a training that begins with a file, which is in the artifact store of that folder."""
    content = safe(values_of(classes=classes))
    file = folder / "w.safetensors"
    file.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    put_start(file, sha256, folder)
    start = Start(weights=str(file), sha256=sha256, class_names=names)
    return dataclasses.replace(make_assignment(architecture, **changes), start=start)


def network_of(assignment: Assignment, folder: Path) -> dict[str, torch.Tensor]:
    session = Session(assignment, artifacts=folder, threads=1, device="cpu")
    state: dict[str, torch.Tensor] = session._network.model.state_dict()
    return state


def test_a_training_begins_with_the_files_backbone_and_drawn_attention_and_connections(tmp_path: Path) -> None:
    assignment, values = starting(tmp_path), values_of()
    state = network_of(assignment, tmp_path)
    drawn = network_of(make_assignment(), tmp_path / "other")
    for name, value in state.items():
        library = name.removeprefix("backbone.")
        if not library.startswith("classifier"):
            assert torch.equal(value, values[library] if library != name else drawn[name]), name


def small(drawn: Tensor) -> Tensor:
    """Return a classifier's weights as they start on trained layers."""
    return drawn * (0.01 / drawn.std())


@pytest.mark.parametrize(
    ("classes", "names", "kept"),
    [(10, None, True), (10, NAMES, True), (10, tuple("abcdefghij"), False), (20, None, False)],
    ids=["as many", "equal names", "other names", "another number"],
)
def test_the_classifier_is_kept_where_the_classes_are_the_same(
    tmp_path: Path, classes: int, names: tuple[str, ...] | None, kept: bool
) -> None:
    assignment = starting(tmp_path, classes=classes, names=names, epochs=1)
    state = network_of(assignment, tmp_path)
    values, drawn = values_of(classes=classes), network_of(make_assignment(epochs=1), tmp_path / "other")
    head = "classifier.1.weight"
    expected = values[head] if kept else small(drawn[f"backbone.{head}"])
    assert torch.equal(state[f"backbone.{head}"], expected)
    provenance = run(assignment, tmp_path).provenance
    assert provenance["started_classifier"] == ("kept" if kept else "drawn")
    assert assignment.start is not None
    assert provenance["started_from_sha256"] == assignment.start.sha256
    assert provenance["started_from"] == "w.safetensors"


def test_a_training_without_a_file_says_nothing_of_one(tmp_path: Path) -> None:
    assert not any(name.startswith("started") for name in run(make_assignment(epochs=1), tmp_path).provenance)


def test_an_interrupted_training_goes_on_to_the_bit_also_when_the_file_is_gone(tmp_path: Path) -> None:
    whole = run(starting(tmp_path), tmp_path)
    other = tmp_path / "interrupted"
    other.mkdir()
    assignment = starting(other)
    calls = iter(range(100))
    session = Session(assignment, artifacts=other, threads=1, device="cpu", interrupted=lambda: next(calls) == 15)
    session.next()
    with pytest.raises(Preempted):
        session.next()
    assert assignment.start is not None
    start_path(assignment.start, other).unlink()
    again = run(assignment, other)
    assert curve(again) == curve(whole)
    assert whole.weights is not None
    assert again.weights is not None
    before, after = load_file(tmp_path / whole.weights), load_file(other / again.weights)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_file_that_is_gone_or_changed_is_an_error(tmp_path: Path) -> None:
    assignment = starting(tmp_path)
    assert assignment.start is not None
    path = start_path(assignment.start, tmp_path)
    path.write_bytes(b"other")
    with pytest.raises(StorageError, match=r"is not the file that this training was made for \(w.safetensors\)"):
        Session(assignment, artifacts=tmp_path, threads=1, device="cpu")
    path.unlink()
    with pytest.raises(StorageError, match="which this training starts from, is not there"):
        Session(assignment, artifacts=tmp_path, threads=1, device="cpu")


def test_another_networks_file_is_an_error(tmp_path: Path) -> None:
    other = {**CONNECTED, "backbone": {"name": "resnet18", "width": 0.1, "stem": "small"}}
    with pytest.raises(UserError, match=r"w\.safetensors is another network's"):
        Session(starting(tmp_path, architecture=other), artifacts=tmp_path, threads=1, device="cpu")


def test_a_copy_in_the_store_is_made_once_and_made_anew_where_it_is_broken(tmp_path: Path) -> None:
    file = tmp_path / "w"
    file.write_bytes(b"weights")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    put_start(file, sha256, tmp_path)
    copy = tmp_path / "starts" / sha256
    made = copy.stat().st_mtime_ns
    put_start(file, sha256, tmp_path)
    assert copy.stat().st_mtime_ns == made
    copy.write_bytes(b"broken")
    put_start(file, sha256, tmp_path)
    assert copy.read_bytes() == b"weights"
    file.write_bytes(b"other weights")
    copy.unlink()
    with pytest.raises(StorageError, match="changed while it was copied"):
        put_start(file, sha256, tmp_path)
    assert not copy.exists()


def test_the_files_sha256_is_in_the_key_and_its_place_is_not(tmp_path: Path) -> None:
    assignment = starting(tmp_path)
    assert assignment.start is not None
    moved = dataclasses.replace(assignment.start, weights="elsewhere.pth")
    other = dataclasses.replace(assignment.start, sha256="0" * 64)
    named = dataclasses.replace(assignment.start, class_names=NAMES)
    keys = {dataclasses.replace(assignment, start=start).key for start in (moved, assignment.start)}
    assert keys == {assignment.key}
    others = {dataclasses.replace(assignment, start=start).key for start in (None, other, named, assignment.start)}
    assert len(others) == 4
    assert make_assignment().key.id == "e8d22f7aeb2e1507"


def test_a_connected_network_starts_from_its_parent_which_started_from_the_file(tmp_path: Path) -> None:
    parent = starting(tmp_path, architecture=VANILLA, epochs=1)
    trained = run(parent, tmp_path)
    child = dataclasses.replace(make_assignment(epochs=1), parent=parent, parent_sha256=trained.weights_sha256)
    assert trained.weights is not None
    state, weights = network_of(child, tmp_path), load_file(tmp_path / trained.weights)
    assert all(torch.equal(state[name], value) for name, value in weights.items())
    assert child.key != dataclasses.replace(child, parent=dataclasses.replace(parent, start=None)).key


def test_a_longer_training_goes_on_only_from_one_that_started_from_the_same_file() -> None:
    schedule = {"schedule": {"name": "step"}}
    levels = [make_assignment(epochs=epochs, recipe=schedule).fidelity for epochs in (2, 4)]
    start = Initialization(name="weights", weights="w", sha256="ab" * 32)
    begun = [level.model_copy(update={"initialize": start}) for level in levels]
    assert continues(levels[1], levels[0])
    assert continues(begun[1], begun[0])
    assert not continues(begun[1], levels[0])
