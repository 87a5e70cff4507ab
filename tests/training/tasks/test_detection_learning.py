"""Small detectors learn drawn shapes: the whole way from pictures to average precision, through the session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcasearch.architecture import Architecture
from dcasearch.config.data_set import Data
from dcasearch.config.detector import CascadeSettings, Detector, RetinaNetSettings
from dcasearch.config.study import Fidelity
from dcasearch.data import describe
from dcasearch.training import Assignment, Session
from tests.training.support import run

DATA = Data(name="shapes_boxes", validation_fraction=1 / 6, workers=0)
VANILLA: dict[str, Any] = {"backbone": {"name": "resnet18", "width": 0.25}, "attention": {"name": "se"}}
CONNECTED: dict[str, Any] = {**VANILLA, "connections": {"function": "direct"}}
RETINANET = RetinaNetSettings(channels=64, convolutions=2, detections=100)
CASCADE = CascadeSettings(channels=64, hidden=256, anchor=32, regions=64, proposals=100)


def assignment(architecture: dict[str, Any], detector: Detector, *, epochs: int, batch: int) -> Assignment:
    recipe = {
        "optimizer": "adamw",
        "lr": 0.001,
        "batch_size": batch,
        "clip_norm": 35,
        "schedule": {"name": "cosine"},
        "augmentation": {"crop": "none"},
    }
    level = {"name": "proxy", "resolution": 128, "epochs": epochs, "recipe": recipe}
    return Assignment(
        architecture=Architecture.parse(architecture),
        fidelity=Fidelity.model_validate(level),
        data=DATA,
        data_fingerprint=describe(DATA).fingerprint,
        protocol="search",
        seed=0,
        task="detection",
        detector=detector,
    )


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [VANILLA, CONNECTED], ids=["vanilla", "connected"])
@pytest.mark.parametrize(
    ("detector", "epochs", "batch"), [(RETINANET, 16, 4), (CASCADE, 4, 8)], ids=["retinanet", "cascade_rcnn"]
)
def test_a_small_detector_learns_drawn_shapes(
    tmp_path: Path, architecture: dict[str, Any], detector: Detector, epochs: int, batch: int
) -> None:
    wanted = assignment(architecture, detector, epochs=epochs, batch=batch)
    untrained, _ = Session(wanted, artifacts=tmp_path, threads=2, device="cpu")._measure(1)
    assert untrained["ap50"] < 10
    learned = run(wanted, tmp_path).last
    print(f"AP {learned.values['ap']:.1f}, AP50 {learned.values['ap50']:.1f} after {epochs} epochs")
    assert learned.values["ap50"] > 50
