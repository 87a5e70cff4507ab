"""A training that two processes share, as a user starts it: torchrun and `dcasearch train`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

from dcasearch.gpu_check.checks import Bench
from dcasearch.gpu_check.children import BATCH, SECONDS
from dcasearch.gpu_check.networks import networks
from dcasearch.processes import child_environment


def two_ranks(bench: Bench) -> tuple[float, float]:
    """Return the loss on the held-out images of a training of two ranks, and of the same training of one.

    Raises:
        RuntimeError: one of them failed.
    """
    spec, recipe = bench.folder / "spec.yaml", bench.folder / "recipe.yaml"
    spec.write_text(yaml.safe_dump(dict(networks().small)))
    written = {"batch_size": BATCH, "lr": 0.05, "sync_batchnorm": bench.gpus >= 2}
    recipe.write_text(yaml.safe_dump(written))
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "dcasearch"]
    return _loss(bench, torchrun, spec, recipe, "two"), _loss(bench, ["dcasearch"], spec, recipe, "one")


def _loss(bench: Bench, command: list[str], spec: Path, recipe: Path, name: str) -> float:
    out = bench.folder / f"ranks-{name}"
    data = ["--data", "imagefolder", "--root", str(bench.pictures()), "--protocol", "search", "--workers", "0"]
    how = ["--recipe", str(recipe), "--epochs", "2", "--resolution", "32", "--out", str(out), "--threads", "1"]
    done = subprocess.run(
        [sys.executable, "-m", *command, "train", str(spec), *data, *how, "--device", bench.device.type],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=child_environment(),
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise RuntimeError(f"`dcasearch train` of {name} ended with exit code {done.returncode}: {lines[-1]}")
    record = json.loads((out / "record.json").read_text())
    return float(record["history"][-1]["loss"])
