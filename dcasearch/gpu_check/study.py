"""The study part: a small study from run to export, its driver killed once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from dcasearch.analysis.wholeness import broken_invariants
from dcasearch.gpu_check.checks import Bench, Check, judged, not_run
from dcasearch.gpu_check.findings import Finding
from dcasearch.gpu_check.networks import networks
from dcasearch.processes import child_environment
from dcasearch.store import Store

_NAME = "gpu-check"
_SECONDS = 200.0
"""How long one command may take."""


def _storage(folder: Path) -> str:
    return f"sqlite:///{folder / 'study.db'}"


def _write(bench: Bench, folder: Path, executor: Mapping[str, Any]) -> Path:
    """Write the study's YAML: two depths of attention, on CIFAR-10 or on the made pictures."""
    spec = networks().small
    if bench.cifar10 is not None:
        data: dict[str, Any] = {"name": "cifar10", "root": str(bench.cifar10.absolute())}
        resolution, fraction, batch = 32, 0.1 if bench.gpus else 0.005, 128 if bench.gpus else 16
    else:
        data = {"name": "imagefolder", "root": str(bench.pictures()), "validation_fraction": 0.25, "workers": 0}
        resolution, fraction, batch = 32, 1.0, 8
    study = {
        "name": _NAME,
        "space": {
            "backbone": spec["backbone"],
            "attention": spec["attention"],
            "connections": {"granularity": "stage", "topology": ["chain", "dense"], "function": ["direct", "weighted"]},
        },
        "data": data,
        "sampler": {"name": "random", "seed": 0},
        "fidelities": [
            {
                "name": "proxy",
                "trials": bench.sizes.study_trials,
                "resolution": resolution,
                "epochs": bench.sizes.study_epochs,
                "train_fraction": fraction,
                "recipe": {"batch_size": batch, "lr": 0.05, "precision": "bf16"},
            }
        ],
        "baselines": False,
        "executor": dict(executor),
        "storage": _storage(folder),
        "artifacts": str(folder / "artifacts"),
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    return path


def _environment(bench: Bench, folder: Path) -> dict[str, str]:
    hidden = {} if bench.gpus else {"CUDA_VISIBLE_DEVICES": ""}
    return child_environment(XDG_STATE_HOME=str(folder / "state"), **hidden)


def _killed(command: list[str], environment: dict[str, str]) -> int:
    """Start a run and kill its driver (SIGKILL) at the first epoch that it reports; return the epochs seen."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as run:
        try:
            for line in run.stdout or ():
                if line.startswith("{") and json.loads(line)["event"] == "epoch":
                    return 1
            return 0
        finally:
            run.kill()


def _completed(command: list[str], environment: dict[str, str]) -> str:
    """Run a command to its end and return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, env=environment)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise RuntimeError(f"`{' '.join(command[1:5])}` ended with exit code {done.returncode}: {lines[-1]}")
    return done.stdout


def _study(bench: Bench) -> Iterator[Finding]:
    """Run a study, kill it, run it again, export and verify its winner."""
    folder = bench.folder / "study"
    folder.mkdir()
    file = _write(bench, folder, {"name": "local", "max_concurrent": 2})
    environment = _environment(bench, folder)
    dcasearch = [sys.executable, "-m", "dcasearch"]
    began = time.monotonic()
    epochs = _killed([*dcasearch, "run", str(file), "--json"], environment)
    _completed([*dcasearch, "run", str(file), "--json"], environment)
    with Store.open(_storage(folder)) as store:
        found = broken_invariants(store, _NAME)
    spec, weights = folder / "best.yaml", folder / "best.safetensors"
    _completed([*dcasearch, "export", str(file), "--out", str(spec), "--weights", str(weights)], environment)
    _completed([*dcasearch, "verify", str(spec)], environment)
    name = "CIFAR-10" if bench.cifar10 is not None else "made pictures"
    says = f"on {name}: run, kill -9, run, export, verify" + (f"; {'; '.join(found)}" if found else "")
    yield judged(
        "study",
        epochs > 0 and not found,
        says,
        seconds=round(time.monotonic() - began, 1),
        trials=bench.sizes.study_trials,
    )


def _ray(bench: Bench) -> Iterator[Finding]:
    """Run the study as Ray trials that share a GPU; where Ray is not installed, say so."""
    if find_spec("ray") is None:
        yield not_run("Ray", "Ray is not installed here, so no study ran with the ray executor")
        return
    folder = bench.folder / "ray"
    folder.mkdir()
    executor = {"name": "ray", "max_concurrent": 2, "resources": {"proxy": {"cpu": 1, "gpu": 0.5 if bench.gpus else 0}}}
    file, environment = _write(bench, folder, executor), _environment(bench, folder)
    began = time.monotonic()
    _completed([sys.executable, "-m", "dcasearch", "run", str(file), "--json"], environment)
    with Store.open(_storage(folder)) as store:
        found = broken_invariants(store, _NAME)
    says = "two Ray trials at a time" + (f"; {'; '.join(found)}" if found else "")
    yield judged("Ray", not found, says, seconds=round(time.monotonic() - began, 1))


CHECKS = (Check(name="study", run=_study), Check(name="Ray", run=_ray))
