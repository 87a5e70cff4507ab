"""Small networks for reading: ResNet-18 with an eighth of its channels."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from dcasearch.architecture import Architecture
from dcasearch.config.data_set import Data
from dcasearch.data import describe
from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey
from dcasearch.export import Candidate, Exported, export
from dcasearch.models import DCANet, build_model, cost
from dcasearch.training.weights import save_weights
from tests.models.samples import KINDS, built, perturb

TINY = {"name": "resnet18", "width": 0.125, "stem": "small"}
PIXELS = 32
RESOLUTION = 16
"""Of exported networks."""
DATA = Data(name="digits")


def written(kind: str, **connections: Any) -> dict[str, Any]:
    """Return a small architecture, connected where anything is said of it."""
    plain: dict[str, Any] = {"backbone": TINY, "attention": KINDS.get(kind, {"name": kind})}
    return plain | ({"connections": connections} if connections else {})


def tiny(kind: str = "se", seed: int = 0, **connections: Any) -> DCANet:
    """Return a network whose every parameter is random, in evaluation mode."""
    model = built(written(kind, **connections))
    perturb(model, seed)
    return model.eval()


@cache
def _fingerprint() -> str:
    return describe(DATA).fingerprint


def write_spec(folder: Path, name: str, kind: str = "se", seed: int = 0, **connections: Any) -> Path:
    """Export a small network with random weights, as if it had been trained on digits; return the spec's file."""
    artifacts = folder / f"artifacts of {name}"
    architecture = Architecture.parse(written(kind, **connections))
    model = build_model(architecture, 10)
    perturb(model, seed)
    key = EvaluationKey(
        architecture_id=architecture.id, fidelity="0" * 16, data=_fingerprint(), protocol="search", seed=0
    )
    values = {"loss": 2.3, "top1": 10.0, "top5": 50.0}
    evaluation = Evaluation(
        key=key,
        history=(Epoch(epoch=1, train_loss=2.3, values=values, seconds=1.0),),
        seconds=1.0,
        images=144,
        device="cpu",
        weights="weights/x.safetensors",
        weights_sha256=save_weights(model, artifacts / "weights" / "x.safetensors"),
    )
    exported = Exported(
        architecture=architecture,
        num_classes=10,
        resolution=RESOLUTION,
        cost=cost(architecture, RESOLUTION, 10),
        evaluation=evaluation,
        data=DATA,
    )
    path = folder / f"{name}.yaml"
    winner = [Candidate("winner", "proxy", evaluation)]
    export(path, exported, artifacts=artifacts, winner=winner, baselines=[], provenance={})
    return path
