"""What this machine can train, and how fast."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from dcasearch.architecture import Architecture
from dcasearch.models import build_model, cost

_SECONDS = 1.5
"""How long a network is trained to measure its speed."""
_WARM_UP = 2
"""Steps before the clock starts."""
_PASSES = 3
"""A training step is about three forward passes; `check` counts it so too."""


@dataclass(frozen=True)
class Machine:
    """Its devices."""

    gpus: int
    gpu: str
    """Model of the first GPU; empty where there is none."""
    cores: int
    """That this process may use."""

    @property
    def device(self) -> str:
        """Where trainings run: `cuda` or `cpu`."""
        return "cuda" if self.gpus else "cpu"

    @property
    def concurrent(self) -> int:
        """Trainings at a time: one on each GPU; on the CPU one a core, each with one thread."""
        return self.gpus or self.cores

    @property
    def words(self) -> str:
        """For a sentence."""
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        return f"{self.gpus} × {self.gpu}" if self.gpus else f"{cores}, no GPU"


def this_machine() -> Machine:
    """Return what this machine has."""
    gpus = torch.cuda.device_count()
    return Machine(gpus, torch.cuda.get_device_name(0) if gpus else "", len(os.sched_getaffinity(0)))


def throughput(architecture: Architecture, resolution: int, classes: int, batch: int, device: str) -> float:
    """Return the multiply-adds per second at which one training runs here: forward, backward and step.

    Args:
        architecture: the network.
        resolution: pixels per side.
        classes: outputs.
        batch: images of a step.
        device: `cuda`, or `cpu`, which is used with one thread, as by one of several trials.
    """
    model = build_model(architecture, num_classes=classes).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    images = torch.randn(batch, 3, resolution, resolution, device=device)
    targets = torch.arange(batch, device=device) % classes

    def step() -> None:
        optimizer.zero_grad()
        torch.autograd.backward(F.cross_entropy(model(images), targets))
        optimizer.step()

    with _one_thread():
        for _ in range(_WARM_UP):
            step()
        _wait(device)
        began, steps = time.perf_counter(), 0
        while time.perf_counter() - began < _SECONDS:
            step()
            _wait(device)
            steps += 1
        seconds = time.perf_counter() - began
    return _PASSES * steps * batch * cost(architecture, resolution, classes).macs / seconds


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
