"""The record of one (architecture, fidelity, seed) on one data set, and what identifies it. No torch."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

Protocol = Literal["search", "test", "paper"]
"""What a value was measured on: `search` the held-out part of train, `test` the test split (read once, after the last
epoch, for the exported winner and its baselines; the epochs before are measured as in `search`), `paper` all of
train against the 50k validation images."""


def fingerprint(content: Any) -> str:
    """Return 16 hexadecimal digits that identify plain data, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Cost:
    """What a network costs at one input size and number of classes."""

    params: int
    """Learnable parameters."""
    macs: int
    """Multiply-adds of convolutions, linear layers and matrix products, for one image."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch of training measured, or a score of the untrained network: then the measured ones are nan."""

    epoch: int
    """From 1."""
    train_loss: float
    loss: float
    """Mean cross-entropy on the protocol's evaluation images, without label smoothing."""
    top1: float
    """Percent."""
    top5: float
    """Percent."""
    seconds: float
    """Of this epoch, training and evaluation."""
    device: str = ""
    """Device type that values and seconds are from, e.g. `cpu` or `NVIDIA H100`; where a training went on elsewhere
    within the epoch, where it ended. Empty in records that do not know it."""
    score: float | None = None
    """Of a zero-cost fidelity, whose history is this one entry; None where something was trained."""

    @classmethod
    def of_score(cls, score: float, seconds: float, device: str) -> Self:
        """Return the one entry of a history in which nothing was trained."""
        nan = math.nan
        return cls(epoch=1, train_loss=nan, loss=nan, top1=nan, top5=nan, seconds=seconds, device=device, score=score)

    @property
    def finite(self) -> bool:
        """Whether the training has not diverged."""
        return math.isfinite(self.train_loss) and math.isfinite(self.loss)


@dataclass(frozen=True, kw_only=True)
class EvaluationKey:
    """What two evaluations must share to be the same measurement."""

    architecture_id: str
    fidelity: str
    """Fingerprint of the fidelity's meaning: resolution, epochs, fraction of train, recipe; or which score of what."""
    data: str
    """Fingerprint of the data set and of its split."""
    protocol: Protocol
    seed: int

    @property
    def id(self) -> str:
        """16 hexadecimal digits; names the evaluation's folder and its row."""
        return fingerprint(asdict(self))


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The record of one training, or of one score. The value told to a sampler is the last epoch's."""

    key: EvaluationKey
    history: tuple[Epoch, ...]
    seconds: float
    """Of all epochs, those before an interruption included."""
    images: int
    """Training images seen, or scored on."""
    device: str
    """Device type of the last epoch, e.g. `cpu` or `NVIDIA H100`."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Versions of dcasearch, torch, torchvision, Python; commit; threads; ranks."""
    weights: str | None = None
    """Path of the trained weights (safetensors), relative to the artifact store."""
    weights_sha256: str | None = None
    reused_seconds: float = 0.0
    """Of `seconds`, those of epochs that were taken over from the training of a smaller budget."""

    @property
    def last(self) -> Epoch:
        """The last epoch."""
        return self.history[-1]

    @property
    def best(self) -> Epoch:
        """The epoch of the highest top-1, stored under its own name and never the value told.

        Under protocol `test` only the last epoch is measured on the test split, so it is the best one too.
        """
        if self.key.protocol == "test":
            return self.last
        return max(self.history, key=lambda epoch: epoch.top1)
