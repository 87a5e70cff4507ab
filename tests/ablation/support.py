"""An exported spec whose weights nobody needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dcasearch.architecture import Architecture
from dcasearch.config import load_recipe
from dcasearch.config.data_set import Data
from dcasearch.data import describe
from dcasearch.export.spec import Spec, to_yaml

WRITTEN: dict[str, Any] = {
    "backbone": {"name": "mobilenet_v2", "width": 0.1, "stem": "small"},
    "attention": {"name": "se", "reduction": 4},
    "connections": {"function": {"name": "learned"}},
}


def make_spec(**changes: Any) -> Spec:
    """Return a spec of a small network for digits, chosen with seed 3."""
    architecture = Architecture.parse(WRITTEN)
    measured = {"fidelity": "full", "protocol": "search", "seed": 3, "epochs": 2, "top1": 80.0, "evaluation": "0" * 16}
    content: dict[str, Any] = {
        "schema_version": 1,
        "id": architecture.id,
        "architecture": architecture.written_out(),
        "num_classes": 10,
        "resolution": 8,
        "parameters": 1000,
        "macs": 1000,
        "weights": {"file": "best.safetensors", "sha256": "0" * 64},
        "evaluation": "0" * 16,
        "metrics": [measured],
        "baselines": [],
        "data": {
            "name": "digits",
            "fingerprint": describe(Data(name="digits")).fingerprint,
            "validation_fraction": 0.1,
            "split_seed": 0,
            "protocol": "search",
        },
        "training": {"epochs": 2, "train_fraction": 0.5, "recipe": load_recipe("small").recipe.model_dump(mode="json")},
        "provenance": {},
        "probe": {"seed": 0, "images": 1, "logits": [[0.0]], "norms": [0.0]},
    }
    return Spec.model_validate({**content, **changes})


def write_spec(path: Path, **changes: Any) -> Path:
    """Write the spec as `export` does, without weights."""
    path.write_text(to_yaml(make_spec(**changes), "a test's"))
    return path
