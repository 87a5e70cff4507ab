"""How long a command takes to answer, on a database of 1,000 trials: reading within 1.0 s, `check` within 4 s.

Each command runs in a process of its own; printed are the medians of five runs after one that fills the disk cache.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

TRIALS, RUNS = 1_000, 5
STUDY: dict[str, Any] = {
    "name": "start_up",
    "space": {"backbone": {"name": "resnet18", "stem": "small"}, "attention": {"name": ["se", "none"]}},
    "data": {"name": "digits"},
    "fidelities": [{"name": "proxy", "trials": 1, "resolution": 8, "train_fraction": 0.1, "epochs": 1}],
    "baselines": False,
    "storage": "sqlite:///start_up.db",
}


def _command(folder: str, *arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "dcasearch", *arguments], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def _fill(folder: str) -> None:
    """Repeat the study's one trial in the ledger, each with another number and of another network."""
    from dataclasses import replace

    from dcasearch.architecture import Architecture
    from dcasearch.store import Store

    kinds = itertools.product(["se", "gc", "none"], repeat=8)  # of the eight blocks
    with Store.open(f"sqlite:///{folder}/start_up.db") as store:
        (trial,) = store.trials("start_up")
        for number, blocks in zip(range(1, TRIALS), kinds, strict=False):
            attention = {"blocks": [{"name": kind} for kind in blocks]}
            architecture = Architecture.parse({"backbone": STUDY["space"]["backbone"], "attention": attention})
            store.put_architecture(architecture)
            store.put_trial(replace(trial, number=number, architecture_id=architecture.id))


def main() -> None:
    """Print the seconds of each command."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "study.yaml").write_text(yaml.safe_dump(STUDY))
        _command(folder, "run", "study.yaml")
        _fill(folder)
        commands = [["--version"], ["--help"], ["schema"], ["list", "--storage", "sqlite:///start_up.db"]]
        for arguments in [*commands, ["status", "study.yaml"], ["check", "study.yaml"]]:
            _command(folder, *arguments)
            seconds = [_command(folder, *arguments) for _ in range(RUNS)]
            print(f"{arguments[0]:>10}: {statistics.median(seconds):.2f} s")


if __name__ == "__main__":
    main()
