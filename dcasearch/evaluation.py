"""The record of one (architecture, fidelity, seed) on one data set, and what identifies it. No torch."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from dcasearch.metrics import SCORE, Metric, headline_of

EvaluationProtocol = Literal["search", "test", "paper"]
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
    """Mean loss over the training images; nan of a score."""
    values: Mapping[str, float]
    """By metric of `dcasearch.metrics`: what the task measures on the protocol's evaluation images, or the score."""
    seconds: float
    """Of this epoch, training and evaluation."""
    device: str = ""
    """Device type that values and seconds are from, e.g. `cpu` or `NVIDIA H100`; where a training went on elsewhere
    within the epoch, where it ended. Empty in records that do not know it."""
    of_classes: Mapping[str, float] = field(default_factory=dict)
    """The headline metric of each class by its name, where the task measures it."""
    alphas: Mapping[str, float] = field(default_factory=dict)
    """Coefficient of each connection after the epoch (`dcasearch.models.coefficients`); empty where there is no
    connection, and in records of older versions."""

    @classmethod
    def of_score(cls, score: float, seconds: float, device: str) -> Self:
        """Return the one entry of a history in which nothing was trained."""
        return cls(epoch=1, train_loss=math.nan, values={SCORE.name: score}, seconds=seconds, device=device)

    @property
    def scored(self) -> bool:
        """Whether this is the score of a zero-cost fidelity: nothing was trained."""
        return SCORE.name in self.values

    @property
    def headline(self) -> Metric:
        """The metric that views compare: the task's first, or the score."""
        return headline_of(self.values)

    def flat(self) -> dict[str, int | float | str]:
        """Return the epoch as one flat mapping: how records, checkpoints and events hold it."""
        head = {"epoch": self.epoch, "train_loss": self.train_loss}
        of_classes = {"of_classes": json.dumps(dict(self.of_classes))} if self.of_classes else {}
        alphas = {"alphas": json.dumps(dict(self.alphas), ensure_ascii=False)} if self.alphas else {}
        return {**head, **self.values, "seconds": self.seconds, "device": self.device, **of_classes, **alphas}

    @classmethod
    def from_flat(cls, entry: Mapping[str, Any]) -> Self:
        """Return the epoch of a flat mapping.

        Older versions wrote no device, None for a missing score, and nan for the metrics that a score does not have.
        """
        values = {name: value for name, value in entry.items() if name not in _OF_EVERY_EPOCH and value is not None}
        if SCORE.name in values:
            values = {SCORE.name: values[SCORE.name]}
        return cls(
            epoch=entry["epoch"],
            train_loss=entry["train_loss"],
            values=values,
            seconds=entry["seconds"],
            device=entry.get("device", ""),
            of_classes=json.loads(entry.get("of_classes", "{}")),
            alphas=json.loads(entry.get("alphas", "{}")),
        )


_OF_EVERY_EPOCH = ("epoch", "train_loss", "seconds", "device", "of_classes", "alphas")
"""Names in a flat epoch that are no metrics."""


@dataclass(frozen=True, kw_only=True)
class EvaluationKey:
    """What two evaluations must share to be the same measurement."""

    architecture_id: str
    fidelity: str
    """Fingerprint of the fidelity's meaning: resolution, epochs, fraction of train, recipe; or which score of what."""
    data: str
    """Fingerprint of the data set and of its split."""
    protocol: EvaluationProtocol
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
        """The epoch of the best headline metric, stored under its own name and never the value told.

        Under protocol `test` only the last epoch is measured on the test split, so it is the best one too.
        """
        if self.key.protocol == "test":
            return self.last
        headline = self.last.headline
        return max(self.history, key=lambda epoch: headline.sign * epoch.values[headline.name])
