from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dcasearch.architecture import Architecture
from dcasearch.config.data_set import Data
from dcasearch.data import describe
from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey
from dcasearch.export import Candidate, Exported, Spec, export
from dcasearch.models import build_model, cost
from dcasearch.training import evaluate_weights
from dcasearch.training.weights import save_weights

ARCHITECTURE = Architecture.parse(
    {
        "backbone": {"name": "mobilenet_v2", "width": 0.25, "stem": "small"},
        "attention": {"name": "cbam"},
        "connections": {"function": "direct"},
    }
)
DATA = Data(name="digits")
RESOLUTION = 8


@dataclass(frozen=True)
class Trained:
    """A network whose weights lie in an artifact store, with the record of its true accuracy."""

    artifacts: Path
    evaluation: Evaluation

    def candidate(self, name: str = "winner", **changes: Any) -> Candidate:
        return Candidate(name, "proxy", replace(self.evaluation, **changes))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    artifacts = tmp_path_factory.mktemp("artifacts")
    model = build_model(ARCHITECTURE, 10)
    digest = save_weights(model, artifacts / "weights" / "x.safetensors")
    metrics = evaluate_weights(
        ARCHITECTURE, artifacts / "weights" / "x.safetensors", DATA, "search", resolution=RESOLUTION
    )
    key = EvaluationKey(
        architecture_id=ARCHITECTURE.id,
        fidelity="0" * 16,
        data=describe(DATA).fingerprint,
        protocol="search",
        seed=0,
    )
    epoch = Epoch(epoch=1, train_loss=2.3, values=metrics, seconds=1.0)
    evaluation = Evaluation(
        key=key,
        history=(epoch,),
        seconds=1.0,
        images=100,
        device="cpu",
        provenance={"torch": "2.14", "commit": "1234567890123456789012345678901234567890"},
        weights="weights/x.safetensors",
        weights_sha256=digest,
    )
    return Trained(artifacts, evaluation)


Exporter = Callable[..., Spec]


@pytest.fixture
def exported(trained: Trained, tmp_path: Path) -> Exporter:
    """Export the trained network to `tmp_path / best.yaml`, with changes to the arguments."""
    return exporter(trained, tmp_path)


def exporter(trained: Trained, folder: Path) -> Exporter:
    """Return what exports the trained network to `best.yaml` in a folder, with changes to the arguments."""

    def run(**changes: Any) -> Spec:
        arguments: dict[str, Any] = {
            "architecture": ARCHITECTURE,
            "num_classes": 10,
            "resolution": RESOLUTION,
            "cost": cost(ARCHITECTURE, RESOLUTION, 10),
            "evaluation": trained.evaluation,
            "artifacts": trained.artifacts,
            "winner": [trained.candidate()],
            "baselines": [],
            "data": DATA,
            "provenance": {"study": "digits", "trial": "3"},
            **changes,
        }
        fields = {field.name for field in dataclasses.fields(Exported)}
        network = Exported(**{name: value for name, value in arguments.items() if name in fields})
        rest = {name: value for name, value in arguments.items() if name not in fields}
        return export(rest.pop("path", folder / "best.yaml"), network, **rest)

    return run
