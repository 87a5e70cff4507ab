"""A real study of half a minute, with baselines, pruning, promotion and final trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

STUDY: dict[str, Any] = {
    "name": "killed",
    "space": {
        "backbone": {"name": "mobilenet_v2", "width": 0.25, "stem": "small"},
        "attention": {"name": ["se", "cbam"], "reduction": [4, 8]},
        "connections": {
            "granularity": "stage",
            "dimensions": {"channel": [True, False]},
            "topology": ["chain", "dense"],
            "function": ["direct", "weighted"],
        },
    },
    "data": {"name": "digits"},
    "objectives": {"top1": "maximize", "macs": "minimize"},
    "sampler": {"name": "tpe", "seed": 3, "startup": 4},
    "fidelities": [
        {
            "name": "proxy",
            "trials": 8,
            "resolution": 16,
            "epochs": 4,
            "train_fraction": 0.3,
            "recipe": {"batch_size": 64, "lr": 0.05, "bn_momentum": 0.1},
            "pruner": {"name": "successive_halving", "startup": 2, "reduction_factor": 2},
        },
        {
            "name": "full",
            "promote": {"top": 2, "by": "pareto", "random": 1},
            "resolution": 16,
            "epochs": 3,
            "recipe": {"batch_size": 64, "lr": 0.05, "bn_momentum": 0.1},
        },
    ],
    "final": {"seeds": [7]},
}


def write_study(file: Path, **changes: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("# killed\n" + yaml.safe_dump({**STUDY, **changes}, sort_keys=False))
    return file
