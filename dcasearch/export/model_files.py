"""From a spec and its weights to the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from dcasearch.config.recipe import Recipe
from dcasearch.errors import UserError
from dcasearch.export.spec import Spec
from dcasearch.models.limit import refuse_large
from dcasearch.training.tasks import LearningTask, learning_task


def build_network(spec: Spec) -> nn.Module:
    """Return the network of a spec, its parameters drawn.

    Raises:
        UserError: its detector cannot stand on it, or it has more parameters than `models.limit` allows.

    """
    task, architecture = task_of(spec), spec.build()
    refuse_large(architecture, spec.resolution, spec.num_classes)
    return task.build(architecture, spec.num_classes, resolution=spec.resolution)


def task_of(spec: Spec, further: Sequence[str] = ()) -> LearningTask:
    """Return what the network of a spec has learned; `further` metrics are measured too."""
    return learning_task(spec.task, Recipe(), spec.detector, further)


def weights_of(spec: Spec, path: str | Path) -> Path:
    """Return the weights' file of a spec; UserError where it is missing."""
    weights = Path(path).parent / spec.weights.file
    if not weights.is_file():
        raise UserError(f"{weights} is missing: the weights lie beside {path}")
    return weights


def load_weights(model: nn.Module, weights: Path) -> nn.Module:
    """Load weights, every tensor of them and of the model, and return the model in evaluation mode.

    Raises:
        UserError: the file is broken, or is another network's.
    """
    try:
        tensors = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{weights} is no safetensors file: {error}") from error
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    found = {name: tensor.shape for name, tensor in tensors.items()}
    differing = [name for name in sorted(expected.keys() | found.keys()) if expected.get(name) != found.get(name)]
    if differing:
        name = differing[0]
        raise UserError(
            f"{weights} holds another network: {len(differing)} tensors differ, first {name} "
            f"(shape {_shape(found.get(name))}, expected {_shape(expected.get(name))})"
        )
    of_model = model.state_dict()
    for name, tensor in sorted(tensors.items()):
        if tensor.dtype != of_model[name].dtype:
            raise UserError(f"{weights}: {name} is {tensor.dtype}, expected {of_model[name].dtype}")
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise UserError(f"{weights}: {name} holds values that are no finite numbers (nan or infinite)")
    model.load_state_dict(tensors)
    return model.eval()


def _shape(shape: torch.Size | None) -> str:
    return "none" if shape is None else str(list(shape))
