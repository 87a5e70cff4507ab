"""Trainings in processes of their own, which are killed, run side by side, or share the network: parent and child.

    python -m dcasearch.gpu_check.children ASSIGNMENT ARTIFACTS DEVICE DETERMINISTIC

trains what is pickled in ASSIGNMENT and prints a line after every optimiser step, and JSON at the end.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from dcasearch.architecture import Architecture
from dcasearch.config.data_set import Data
from dcasearch.config.study import Fidelity
from dcasearch.data import describe
from dcasearch.gpu_check.checks import CLASSES, FEW, Bench
from dcasearch.gpu_check.networks import Spec
from dcasearch.processes import child_environment
from dcasearch.training import Assignment, evaluate

BATCH, HELD_OUT = 8, 0.25
STEPS = int((FEW - CLASSES) * (1 - HELD_OUT)) // BATCH
"""Of an epoch."""
SECONDS = 120.0
"""How long a child may take."""
_STEP = "step"


def assignment_of(bench: Bench, spec: Spec, *, seed: int = 0, **changes: object) -> Assignment:
    """Return a short training on a few made pictures.

    Args:
        bench: whose pictures.
        spec: the architecture.
        seed: of the training.
        changes: of the fidelity: `recipe`, `epochs`, `resolution` …
    """
    data = Data(name="imagefolder", root=str(bench.pictures()), validation_fraction=HELD_OUT, workers=0)
    recipe = {"batch_size": BATCH, "lr": 0.05}
    written = {"name": "check", "resolution": 32, "epochs": 2, "recipe": recipe, **changes}
    return Assignment(
        architecture=Architecture.parse(spec),
        fidelity=Fidelity.model_validate(written),
        data=data,
        data_fingerprint=describe(data).fingerprint,
        protocol="search",
        seed=seed,
    )


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a child's training came to."""

    weights: str
    """SHA-256 of the trained weights."""
    loss: float
    """On the held-out images."""
    peak_bytes: int
    """Of the GPU's memory; 0 on the CPU."""


class Child:
    """A training in a process of its own; use `started`."""

    def __init__(self, assignment: Assignment, folder: Path, device: torch.device, *, deterministic: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        written = folder / "assignment.pickle"
        written.write_bytes(pickle.dumps(assignment))
        command = [sys.executable, "-m", "dcasearch.gpu_check.children", str(written), str(folder), str(device)]
        self._errors = folder / "errors.txt"
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [*command, str(int(deterministic))],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                # cuBLAS is deterministic only with a workspace of a fixed size.
                env=child_environment(CUBLAS_WORKSPACE_CONFIG=":4096:8"),
            )

    def after(self, steps: int) -> None:
        """Wait until it has made so many optimiser steps."""
        seen = 0
        for line in self._process.stdout or ():
            seen += line.strip() == _STEP
            if seen >= steps:
                return
        raise RuntimeError(f"the training ended after {seen} steps: {self._last_words()}")

    def kill(self) -> None:
        """Kill it (SIGKILL), if it still runs."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def ended(self) -> Ended:
        """Wait for its end and return what it came to."""
        output, _ = self._process.communicate(timeout=SECONDS)  # closes its end too
        if self._process.returncode:
            raise RuntimeError(f"the training ended with exit code {self._process.returncode}: {self._last_words()}")
        return Ended(**json.loads(output.strip().splitlines()[-1]))

    def _last_words(self) -> str:
        lines = self._errors.read_text().strip().splitlines() or ["it said nothing"]
        return lines[-1]


@contextmanager
def started(
    assignment: Assignment, folder: Path, device: torch.device, *, deterministic: bool = True
) -> Iterator[Child]:
    """Start a training in a process of its own; it is killed at the end of the block, if it still runs.

    Args:
        assignment: what to train.
        folder: its artifact store; a training that was killed goes on from there.
        device: where.
        deterministic: whether torch may use deterministic algorithms alone.
    """
    child = Child(assignment, folder, device, deterministic=deterministic)
    try:
        yield child
    finally:
        child.kill()


def main(assignment: str, artifacts: str, device: str, deterministic: str) -> None:
    """Train what the parent wants."""
    torch.use_deterministic_algorithms(bool(int(deterministic)))

    def interrupted() -> bool:
        print(_STEP, flush=True)
        return False

    done = evaluate(
        pickle.loads(Path(assignment).read_bytes()),
        artifacts=Path(artifacts),
        report=lambda epoch: True,
        threads=1,
        device=device,
        interrupted=interrupted,
    )
    peak = torch.cuda.max_memory_allocated() if device.startswith("cuda") else 0
    print(json.dumps({"weights": done.weights_sha256, "loss": done.last.values["loss"], "peak_bytes": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
