from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from dcasearch.architecture import Architecture
from dcasearch.config.study import Data
from dcasearch.data import describe
from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey
from dcasearch.export import Candidate, Exported, export
from dcasearch.models import build_model, cost
from dcasearch.training.weights import save_weights
from tests.interpretation.samples import TINY
from tests.models.samples import KINDS, perturb

RESOLUTION = 16
WriteSpec: TypeAlias = Callable[..., Path]


@pytest.fixture(scope="session")
def write_spec(tmp_path_factory: pytest.TempPathFactory) -> WriteSpec:
    """Export a tiny network with random weights, as if it had been trained on digits; return the spec's file."""
    data = Data(name="digits")
    fingerprint = describe(data).fingerprint

    def write(
        name: str, kind: str = "se", backbone: dict[str, Any] | None = None, seed: int = 0, **connections: Any
    ) -> Path:
        artifacts = tmp_path_factory.mktemp("exported")
        written: dict[str, Any] = {"backbone": backbone or TINY, "attention": KINDS.get(kind, {"name": kind})}
        architecture = Architecture.parse(written | ({"connections": connections} if connections else {}))
        model = build_model(architecture, 10)
        perturb(model, seed)
        key = EvaluationKey(
            architecture_id=architecture.id, fidelity="0" * 16, data=fingerprint, protocol="search", seed=0
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
            data=data,
        )
        path = artifacts / f"{name}.yaml"
        winner = [Candidate("winner", "proxy", evaluation)]
        export(path, exported, artifacts=artifacts, winner=winner, baselines=[], provenance={})
        return path

    return write
