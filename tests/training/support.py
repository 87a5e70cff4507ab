"""A real training that takes about a second: digits, a narrow MobileNetV2 with SE, three epochs of four steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dcasearch.architecture import Architecture
from dcasearch.config.data_set import Data
from dcasearch.config.recipe import Recipe
from dcasearch.config.study import Fidelity
from dcasearch.data import describe
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.training import Assignment, evaluate
from dcasearch.training.network import TrainedNetwork, make_network
from dcasearch.training.tasks import LearningTask, learning_task

CONNECTED: dict[str, Any] = {
    "backbone": {"name": "mobilenet_v2", "width": 0.1},
    "attention": {"name": "se", "reduction": 4},
    "connections": {},
}
VANILLA: dict[str, Any] = {name: CONNECTED[name] for name in ("backbone", "attention")}
RECIPE: dict[str, Any] = {"lr": 0.05, "batch_size": 16, "bn_momentum": 0.3, "augmentation": {"crop": "pad"}}


def make_assignment(
    architecture: dict[str, Any] = CONNECTED,
    *,
    data: Data | None = None,
    protocol: Any = "search",
    seed: int = 0,
    task: str = "classification",
    recipe: dict[str, Any] | None = None,
    **fidelity: Any,
) -> Assignment:
    data = data or Data(name="digits")
    level = {"name": "proxy", "resolution": 16, "epochs": 3, "train_fraction": 0.05, **fidelity}
    return Assignment(
        architecture=Architecture.parse(architecture),
        fidelity=Fidelity.model_validate({**level, "recipe": {**RECIPE, **(recipe or {})}}),
        data=data,
        data_fingerprint=describe(data).fingerprint,
        protocol=protocol,
        seed=seed,
        task=task,
    )


def learning(recipe: Recipe) -> LearningTask:
    return learning_task("classification", recipe)


def run(assignment: Assignment, artifacts: Path, report: Callable[[Epoch], bool] = lambda epoch: True) -> Evaluation:
    return evaluate(assignment, artifacts=artifacts, report=report, threads=1, device="cpu")


def curve(evaluation: Evaluation) -> list[tuple[float, ...]]:
    """What a training measured, without its seconds."""
    return [(e.epoch, e.train_loss, dict(e.values)) for e in evaluation.history]


def network_of(architecture: Architecture, recipe: Recipe, *, seed: int = 0, **options: Any) -> TrainedNetwork:
    """Return a classifier of ten classes as a session makes it, on the CPU."""
    task = learning(recipe)
    built = task.build(architecture, 10, resolution=32, seed=seed)
    return make_network(built, task, device=torch.device("cpu"), **options)
