"""The record of one exported network, measured on one set of images, and what identifies it. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from dcasearch.evaluation import fingerprint
from dcasearch.metrics import METRICS

_QUANTILE = 1.959963984540054
"""Of the normal distribution: an interval of 95%."""


@dataclass(frozen=True, kw_only=True)
class MeasurementKey:
    """What two measurements must share to be the same one."""

    architecture_id: str
    weights_sha256: str
    """Of the safetensors file."""
    task: str
    data: str
    """Fingerprint of the images and of their classes."""
    split: str
    """`validation` or `test`: which of the data's own parts the images are."""
    classes: int
    """Of the data."""
    resolution: int
    """Pixels per side."""
    preprocessing: str
    """Fingerprint of what happens to an image before the network sees it."""

    @property
    def id(self) -> str:
        """16 hexadecimal digits; names the row."""
        return fingerprint(asdict(self))


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What an exported network reached on a set of images; nothing was trained."""

    key: MeasurementKey
    preprocessing: Mapping[str, Any]
    """As a spec writes it."""
    values: Mapping[str, float]
    """By metric of `dcasearch.metrics`: what the task measures."""
    images: int
    """Images that were measured: those that could be read."""
    seconds: float
    device: str
    """Device type, e.g. `cpu` or `NVIDIA H100`."""
    version: str
    """Of dcasearch."""
    measured: datetime

    def extends(self, other: Measurement) -> bool:
        """Return whether this one has all values of another one, equal to the last bit, and further metrics."""
        return self.key == other.key and self.values.items() > other.values.items()

    def interval(self, metric: str) -> tuple[float, float] | None:
        """Return the 95% interval of a metric that is a share of images, in percent; None of any other metric.

        It is Wilson's: of the images alone. Another training of the network would differ by more.
        """
        return wilson(self.values[metric], self.images) if METRICS[metric].share else None


def wilson(percent: float, images: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of a percentage of images (Wilson, 1927), in percent.

    Args:
        percent: of the images that are right, from 0 to 100.
        images: their number, at least 1.
    """
    share, z2 = percent / 100, _QUANTILE**2
    centre = (share + z2 / (2 * images)) / (1 + z2 / images)
    half = _QUANTILE / (1 + z2 / images) * math.sqrt(share * (1 - share) / images + z2 / (4 * images**2))
    return 100 * max(0.0, centre - half), 100 * min(1.0, centre + half)
