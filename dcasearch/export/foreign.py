"""A spec for weights that come from elsewhere: it has no metrics, and its provenance says where they are from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dcasearch.architecture import Architecture
from dcasearch.data import Preprocessing
from dcasearch.export.model_files import load_weights
from dcasearch.export.spec import SCHEMA_VERSION, Spec, Weights
from dcasearch.export.writing import weights_beside, write_files
from dcasearch.models import build_model, cost
from dcasearch.models.probe import ask
from dcasearch.training import sha256_of


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A network whose weights come from elsewhere, with what its spec says of it."""

    architecture: Architecture
    num_classes: int
    """Outputs of the network."""
    resolution: int
    """Pixels per side that it was trained for."""
    preprocessing: Preprocessing
    """What happened to an image before the network saw it."""
    provenance: Mapping[str, str]
    """Where the weights are from."""


def export_foreign(path: Path, foreign: Foreign, stored: Path, weights: Path | None = None) -> Spec:
    """Write a spec without metrics, and its weights; each complete or not at all. Return the spec.

    Args:
        path: The YAML file; one that exists is replaced.
        foreign: The network.
        stored: Its weights, a safetensors file with our names, which is copied.
        weights: Where the weights go, beside `path`; by default of the same name.

    Raises:
        UserError: the weights are another network's, or `weights` is in another folder.
    """
    target = weights_beside(path, weights)
    model = load_weights(build_model(foreign.architecture, foreign.num_classes), stored)
    counted = cost(foreign.architecture, foreign.resolution, foreign.num_classes)
    said = {
        "schema_version": SCHEMA_VERSION,
        "id": foreign.architecture.id,
        "architecture": foreign.architecture.written_out(),
        "num_classes": foreign.num_classes,
        "resolution": foreign.resolution,
        "preprocessing": foreign.preprocessing,
        "parameters": counted.params,
        "macs": counted.macs,
        "weights": Weights(file=target.name, sha256=sha256_of(stored)),
        "provenance": dict(foreign.provenance),
        "probe": ask(model, foreign.resolution),
    }
    spec = Spec.model_validate(said)
    write_files(path, target, stored, spec)
    return spec
