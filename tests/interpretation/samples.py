"""Small networks for reading: ResNet-18 with an eighth of its channels, on images of 32 pixels."""

from __future__ import annotations

from typing import Any

from dcasearch.models import DCANet
from tests.models.samples import KINDS, built, perturb

TINY = {"name": "resnet18", "width": 0.125, "stem": "small"}
PIXELS = 32


def tiny(kind: str = "se", seed: int = 0, **connections: Any) -> DCANet:
    """Return a network whose every parameter is random, in evaluation mode; connected where anything is said of it."""
    written: dict[str, Any] = {"backbone": TINY, "attention": KINDS.get(kind, {"name": kind})}
    model = built(written | ({"connections": connections} if connections else {}))
    perturb(model, seed)
    return model.eval()
