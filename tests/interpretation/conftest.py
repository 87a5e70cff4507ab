"""Exported networks for the shapes, with random weights: a plain one, and one of connected CBAM."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dcasearch.architecture import Architecture
from dcasearch.config.data_set import Data
from dcasearch.data import describe
from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey
from dcasearch.export import Candidate, Exported, export
from dcasearch.models import build_model, cost
from dcasearch.training.weights import save_weights
from tests.models.samples import perturb

TINY = {"name": "resnet18", "width": 0.125, "stem": "small"}
NETWORKS: Mapping[str, dict[str, Any]] = {
    "plain": {"backbone": TINY},
    "connected": {
        "backbone": TINY,
        "attention": {"name": "cbam", "reduction": 4},
        "connections": {"dimensions": {"channel": False, "spatial": True}, "function": "learned"},
    },
}
RESOLUTION = 32


def write_spec(folder: Path, name: str, written: dict[str, Any]) -> Path:
    """Export a network with random weights to `folder / <name>.yaml`."""
    data, architecture = Data(name="shapes"), Architecture.parse(written)
    model = build_model(architecture, 8)
    perturb(model)
    digest = save_weights(model, folder / "artifacts" / f"{name}.safetensors")
    info = describe(data)
    key = EvaluationKey(
        architecture_id=architecture.id, fidelity="0" * 16, data=info.fingerprint, protocol="search", seed=0
    )
    evaluation = Evaluation(
        key=key,
        history=(Epoch(epoch=1, train_loss=2.0, values={"loss": 2.0, "top1": 0.2, "top5": 0.7}, seconds=1.0),),
        seconds=1.0,
        images=100,
        device="cpu",
        provenance={"torch": "2.14"},
        weights=f"{name}.safetensors",
        weights_sha256=digest,
    )
    network = Exported(
        architecture=architecture,
        num_classes=8,
        resolution=RESOLUTION,
        cost=cost(architecture, RESOLUTION, 8),
        evaluation=evaluation,
        data=data,
        source=info.source,
    )
    path = folder / f"{name}.yaml"
    candidate = Candidate("winner", "proxy", evaluation)
    export(path, network, artifacts=folder / "artifacts", winner=[candidate], baselines=[], provenance={})
    return path


@pytest.fixture(scope="session")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The spec files, by name."""
    folder = tmp_path_factory.mktemp("specs")
    return {name: write_spec(folder, name, written) for name, written in NETWORKS.items()}
