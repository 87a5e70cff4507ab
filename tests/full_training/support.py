"""A full training that takes about two seconds: a narrow MobileNetV2 with SE on digits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from dcasearch.full_training import Passed, Plan, Trained, Wishes, plan, train
from dcasearch.training import Ranks
from tests.training.support import CONNECTED, RECIPE

SHORT: dict[str, Any] = {"recipe": "recipe.yaml", "data": "digits", "resolution": 16, "train_fraction": 0.05}
"""What `dcasearch train` is told of `write`'s architecture."""
EPOCHS = 3


def write(folder: Path, **recipe: Any) -> Path:
    """Write an architecture, and a recipe beside it; return the architecture's file."""
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**RECIPE, "epochs": EPOCHS, **recipe}))
    (folder / "net.yaml").write_text(yaml.safe_dump(CONNECTED))
    return folder / "net.yaml"


def planned(folder: Path, **wishes: Any) -> Plan:
    path = folder / "net.yaml" if (folder / "net.yaml").exists() else write(folder)
    return plan(path, Wishes(**{**SHORT, "recipe": str(folder / "recipe.yaml"), **wishes}))


def run(
    wanted: Plan,
    out: Path,
    *,
    interrupted: Callable[[], bool] = lambda: False,
    observe: Callable[[Passed], None] = lambda passed: None,
) -> Trained:
    return train(wanted, out, threads=1, device="cpu", ranks=Ranks(), observe=observe, interrupted=interrupted)


def values(record: dict[str, Any]) -> tuple[Any, ...]:
    """What a training measured and made, without its seconds."""
    curve = [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in record["history"]]
    return curve, record["weights_sha256"], record["images"], record["best_epoch"]
