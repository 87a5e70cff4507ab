"""An exported network with its weights, or an error that says what does not fit together."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from dcasearch.errors import UserError
from dcasearch.export.checks import Check, logits, sizes
from dcasearch.export.model_files import build_network, load_weights, weights_of
from dcasearch.export.spec import load_spec
from dcasearch.training import sha256_of


def load_model(path: str | Path) -> nn.Module:
    """Return the exported network with its weights, on the CPU, in evaluation mode.

    A classifier takes normalised images, shape (B, 3, R, R), and returns logits (B, classes). A detector takes a list
    of images, shape (3, H, W) in 0..1, and returns of each `boxes` (n, 4) as x1, y1, x2, y2 in its pixels, `labels`
    (n,) from 1 and `scores` (n,).

    What `verify` refuses is refused here too: another id, sha256, number of parameters or multiply-adds, weights that
    are no finite numbers, other answers to the images of the spec's probe (half a second for a ResNet-50). The
    accuracy alone is not measured again.

    Raises:
        UserError: the spec or its weights are missing or broken, or one of them was changed.
    """
    spec = load_spec(path)
    weights = weights_of(spec, path)
    architecture = spec.build()
    if architecture.id != spec.id:
        raise UserError(f"{path} says id {spec.id}, but its architecture is {architecture.id}: one of them was changed")
    if sha256_of(weights) != spec.weights.sha256:
        raise UserError(f"{weights} is not the file that {path} was exported with: its sha256 differs")
    network = build_network(spec)
    for check in sizes(spec, architecture):
        _refuse_wrong(check, path)
    model = load_weights(network, weights)
    _refuse_wrong(logits(spec, model), path)
    return model


def _refuse_wrong(check: Check, path: str | Path) -> None:
    if not check.ok:
        raise UserError(
            f"{path}: {check.name}: expected {check.expected}, got {check.got}; the spec or its weights were changed "
            f"(`dcasearch verify` checks every number)"
        )
