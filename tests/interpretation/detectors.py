"""Exported detectors that were never trained, whose scores are raised so that they find something everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from dcasearch.architecture import Architecture
from dcasearch.config.data_set import Data
from dcasearch.config.detector import RetinaNetSettings
from dcasearch.config.recipe import Recipe
from dcasearch.data import describe
from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey
from dcasearch.export import Candidate, Exported, export
from dcasearch.models import cost
from dcasearch.training.tasks import learning_task
from dcasearch.training.weights import save_weights

SIDE = 64
"""Resolution: half the pictures' side, so that boxes of the network and of the picture differ."""
DATA = Data(name="shapes_boxes", workers=0)
VANILLA: dict[str, Any] = {"backbone": {"name": "resnet18", "width": 0.25}, "attention": {"name": "se"}}
RETINANET = RetinaNetSettings(channels=16, convolutions=1, anchor=8, detections=10)


def write_detector(folder: Path, name: str = "best", *, seed: int = 0) -> Path:
    """Export a detector as if it had been trained on the shapes; return the spec's file."""
    architecture, info = Architecture.parse(VANILLA), describe(DATA)
    model = learning_task("detection", Recipe(), RETINANET).build(architecture, 3, resolution=SIDE, seed=seed)
    with torch.no_grad():
        model.get_parameter("head.classification_head.cls_logits.bias").zero_()  # scores of about one half
    evaluation = Evaluation(
        key=EvaluationKey(
            architecture_id=architecture.id, fidelity="0" * 16, data=info.fingerprint, protocol="search", seed=seed
        ),
        history=(Epoch(epoch=1, train_loss=2.0, values={"ap": 1.0}, seconds=1.0),),
        seconds=1.0,
        images=288,
        device="cpu",
        weights=f"{name}.safetensors",
        weights_sha256=save_weights(model, folder / "artifacts" / f"{name}.safetensors"),
    )
    exported = Exported(
        architecture=architecture,
        num_classes=3,
        resolution=SIDE,
        cost=cost(architecture, SIDE, 3),
        evaluation=evaluation,
        data=DATA,
        source=info.source,
        task="detection",
        detector=RETINANET,
    )
    path, winner = folder / f"{name}.yaml", [Candidate("winner", "proxy", evaluation)]
    export(path, exported, artifacts=folder / "artifacts", winner=winner, baselines=[], provenance={})
    return path
