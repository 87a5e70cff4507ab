"""Trained weights: safetensors in the artifact store, and their measurement."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from dcasearch.architecture import Architecture
from dcasearch.artifacts import Place, local_copy, read_bytes, size_of, write_atomically
from dcasearch.assignment import Assignment
from dcasearch.config.data_set import Data
from dcasearch.config.detector import Detector
from dcasearch.config.recipe import Recipe
from dcasearch.config.starts import Start
from dcasearch.data import describe
from dcasearch.errors import StorageError
from dcasearch.evaluation import EvaluationProtocol
from dcasearch.metrics import CLASSIFICATION
from dcasearch.training.tasks import learning_task, measure


def weights_name(id: str) -> str:
    """Return where the weights of the evaluation of that id lie, relative to the artifact store."""
    return f"weights/{id}.safetensors"


def weights_path(artifacts: Place, id: str) -> Place:
    """Return where the weights of the evaluation of that id lie."""
    return artifacts / weights_name(id)


def weights_sizes(artifacts: Place) -> dict[str, int]:
    """Return the bytes of every stored file of weights, by the id of its evaluation."""
    folder = artifacts / "weights"
    return {place.stem: size_of(place) for place in folder.glob("*.safetensors")} if folder.is_dir() else {}


def save_weights(model: nn.Module, path: Place) -> str:
    """Write a model's parameters and buffers; return the file's SHA-256.

    Raises:
        StorageError: the file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    digests: list[str] = []

    def write(unfinished: Path) -> None:
        save_file(tensors, unfinished)
        digests.append(sha256_of(unfinished))

    write_atomically(path, write)
    return digests[-1]


def parent_weights(assignment: Assignment, artifacts: Place) -> bytes:
    """Return the file of the weights of an assignment's parent.

    Raises:
        StorageError: it is not there, or not what the assignment was made for.
    """
    if assignment.parent is None:
        raise ValueError("the assignment has no parent")
    path = weights_path(artifacts, assignment.parent.key.id)
    content = read_bytes(path)
    if content is None:
        raise StorageError(f"{path}, which this training needs, is not there: do all nodes share `artifacts`?")
    if assignment.parent_sha256 not in (None, hashlib.sha256(content).hexdigest()):
        raise StorageError(f"{path} is not the parent that this training was made for: its SHA-256 differs")
    return content


def start_path(start: Start, artifacts: Place) -> Place:
    """Return where the file that a training starts from lies.

    An exported network's lies beside its spec, which all nodes share. A weights file is copied into the artifact store
    by its SHA-256 before the first training, so that nodes need not share it and nobody can change it meanwhile.
    """
    return artifacts / "starts" / start.sha256 if start.architecture_id is None else Path(start.weights)


def put_start(file: Path, sha256: str, artifacts: Place) -> None:
    """Copy a weights file into the artifact store, unless it is there.

    Raises:
        StorageError: the file is another one than a moment ago, or the copy cannot be written.
    """
    target = artifacts / "starts" / sha256
    if target.exists() and size_of(target) == file.stat().st_size:  # who reads it compares the SHA-256
        return

    def write(unfinished: Path) -> None:
        shutil.copyfile(file, unfinished)
        if sha256_of(unfinished) != sha256:
            raise StorageError(f"{file} changed while it was copied; run the same command again")

    write_atomically(target, write)


def start_weights(start: Start, artifacts: Place) -> bytes:
    """Return the file that a training starts from.

    Raises:
        StorageError: it is not there, or is another file than the training was made for.
    """
    path = start_path(start, artifacts)
    content = read_bytes(path)
    if content is None:
        raise StorageError(f"{path}, which this training starts from, is not there: do all nodes share it?")
    if hashlib.sha256(content).hexdigest() != start.sha256:
        raise StorageError(
            f"{path} is not the file that this training was made for ({start.words}): its SHA-256 differs"
        )
    return content


def sha256_of(path: Place) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with local_copy(path) as local, local.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def evaluate_weights(
    architecture: Architecture,
    weights: Place,
    data: Data,
    protocol: EvaluationProtocol,
    *,
    resolution: int,
    batch_size: int = 256,
    artifacts: Place | None = None,
    device: str = "cpu",
    task: str = CLASSIFICATION.name,
    detector: Detector | None = None,
) -> dict[str, float]:
    """Measure trained weights on the images that a protocol's numbers come from; return the metrics by name.

    Args:
        architecture: whose weights they are.
        weights: safetensors, loaded strictly.
        data: the study's data.
        protocol: `search` measures on the held-out part of train, `test` on the test split, `paper` on the
            official validation images.
        resolution: pixels per side.
        batch_size: equal to the training's, equal floats.
        artifacts: where decoded images of small sets are kept.
        device: where to compute.
        task: what the network has learned.
        detector: what stands on the network, where the task is detection.

    Raises:
        DataError: the data is missing or broken.
        RuntimeError: the weights are another network's.
    """
    where = torch.device(device)
    classes = describe(data).classes
    learning = learning_task(task, Recipe(), detector)
    model = learning.build(architecture, classes, resolution=resolution)
    with local_copy(weights) as local:
        model.load_state_dict(load_file(local))
    batches = learning.open_evaluation(
        data,
        protocol,
        resolution=resolution,
        batch_size=batch_size,
        artifacts=artifacts,
        device=where,
        mixed=architecture.network.mixes_images,
    )
    return measure(learning, model.to(where), batches.epoch(0), classes=classes, device=where)
