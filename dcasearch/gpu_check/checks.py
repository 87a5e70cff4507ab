"""What a check is, what it works with, and how large its work is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import torch

from dcasearch.gpu_check.findings import Finding, Value

Needs: TypeAlias = Literal["any device", "a GPU"]


FEW, CLASSES = 48, 4
"""Pictures of a short training, and their classes."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much a check does; the small ones are for the CPU, as a stand-in."""

    resolution: int
    """Pixels per side of an image of the data and speed parts."""
    batch: int
    """Of the data and speed parts."""
    rounds: int
    """Turns that two sides take, of which the median counts."""
    steps: int
    """Optimiser steps of one side in one turn."""
    images: int
    """JPEG files that are made."""
    every_network: bool
    """Whether all pairs of backbone and attention are run; else each backbone and each attention once."""
    study_trials: int
    study_epochs: int


FULL = Sizes(
    resolution=224, batch=256, rounds=5, steps=10, images=4096, every_network=True, study_trials=6, study_epochs=4
)
TINY = Sizes(resolution=32, batch=4, rounds=2, steps=1, images=48, every_network=False, study_trials=2, study_epochs=2)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What every check is given."""

    device: torch.device
    sizes: Sizes
    folder: Path
    """Scratch; is deleted after the part."""
    cifar10: Path | None
    """Folder of CIFAR-10."""
    ends: float
    """Of `time.monotonic()`: when the part's time is over."""

    @property
    def gpus(self) -> int:
        """The number of GPUs; 0 where the check runs on the CPU."""
        return torch.cuda.device_count() if self.device.type == "cuda" else 0

    @property
    def seconds_left(self) -> float:
        """Of the part."""
        return self.ends - time.monotonic()

    def synchronize(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def pictures(self, count: int = FEW) -> Path:
        """Return the folder of so many made photographs, which are written when first asked for.

        It has `train/<class>/` and `test/<class>/`.
        """
        from dcasearch.gpu_check.pictures import write_pictures

        root = self.folder / f"pictures-{count}"
        if not root.exists():
            write_pictures(root, count, CLASSES)
        return root


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that is looked at; it may yield several findings."""

    name: str
    """That of its only finding, or the beginning of all of theirs (`name: …`)."""
    run: Callable[[Bench], Iterable[Finding]]
    """An exception that it raises is a finding that failed."""
    needs: Needs = "any device"

    def missing(self, bench: Bench) -> str | None:
        """Return why it cannot run here, None where it can."""
        return None if bench.gpus or self.needs == "any device" else "needs a GPU, there is none"


def judged(name: str, passes: bool, says: str, **values: Value) -> Finding:
    """Return a finding with an aim."""
    return Finding(name=name, outcome="passed" if passes else "failed", says=says, values=values)


def measured(name: str, says: str, **values: Value) -> Finding:
    """Return a finding without an aim."""
    return Finding(name=name, outcome="measured", says=says, values=values)


def not_run(name: str, why: str) -> Finding:
    """Return a finding of what was not done."""
    return Finding(name=name, outcome="not run", says=why)


def relative_error(found: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor]) -> float:
    """Return |found - wanted| / |wanted| over all tensors together, computed in fp64 on the CPU."""
    difference = square = 0.0
    for one, other in zip(found, wanted, strict=True):
        a, b = one.detach().cpu().double(), other.detach().cpu().double()
        difference += float((a - b).square().sum())
        square += float(b.square().sum())
    return math.sqrt(difference / square) if square else math.sqrt(difference)
