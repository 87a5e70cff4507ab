"""Intervals of numbers that are measured over images. Pure: arrays in, numbers out.

Means: the percentile bootstrap over images, as `dcasearch.analysis.trust` has it for correlations. CKA: the jackknife
over groups of images. A bootstrap draws some images twice, and CKA compares pairs of images: an image and its copy look
alike to every network, so the resampled values would lie above the true one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcasearch.analysis.paired import CONFIDENCE

Floats = NDArray[np.float64]
RESAMPLES = 2000
GROUPS = 32
"""Of the jackknife: image n is in group n mod 32."""
_TAIL = (1 - CONFIDENCE) / 2
_CHUNK = 50
"""Resamples that are in memory at a time."""


@dataclass(frozen=True)
class Estimate:
    """A number over images with its 95% interval; the interval knows nothing of other seeds of the training."""

    value: float
    low: float
    high: float

    @property
    def resolved(self) -> bool:
        """Whether the interval lies to one side of 0."""
        return not self.low <= 0 <= self.high


def bootstrap(values_NM: Floats, of: Callable[[Floats], Floats] = lambda means_RM: means_RM) -> list[Estimate]:
    """Return estimates that are made of means over images.

    Args:
        values_NM: one row an image, one column a quantity; nan where an image has none.
        of: means (any rows, M) -> what is estimated (as many rows, any columns); by default the means themselves.
            A difference of two columns is paired by this.

    What no image has a value for is nan.
    """
    known_NM = np.isfinite(values_NM)
    filled_NM = np.where(known_NM, values_NM, 0.0)
    point = of(_ratio(filled_NM.sum(0)[None], known_NM.sum(0)[None].astype(float)))[0]
    drawn = np.concatenate(
        [of(_ratio(times_RN @ filled_NM, times_RN @ known_NM)) for times_RN in _resamples(len(values_NM))]
    )
    with np.errstate(invalid="ignore"):
        bounds = [np.nanquantile(column, (_TAIL, 1 - _TAIL)) if _any(column) else (math.nan,) * 2 for column in drawn.T]
    return [Estimate(float(v), float(low), float(high)) for v, (low, high) in zip(point, bounds, strict=True)]


def _any(column: Floats) -> bool:
    return bool(np.isfinite(column).any())


def _resamples(images: int) -> Iterator[Floats]:
    """Yield how often each image is drawn, some resamples at a time, shape (resamples, images), from a fixed seed."""
    generator = np.random.default_rng(0)
    for _ in range(RESAMPLES // _CHUNK):
        rows = generator.integers(images, size=(_CHUNK, images))
        yield np.stack([np.bincount(row, minlength=images) for row in rows]).astype(float)


def _ratio(total: Floats, count: Floats) -> Floats:
    ratio: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return ratio


def jackknife(images: int, statistic: Callable[[NDArray[np.int64]], Floats]) -> list[Estimate]:
    """Return estimates of a statistic of some images, shape (numbers,); their intervals by leaving groups out.

    Args:
        images: how many there are.
        statistic: (which images, shape (n,)) -> the numbers; nan where it is not defined.

    The interval is t · √((g-1)/g · Σ(θ_i - θ̄)²) to either side, with g - 1 degrees of freedom, g groups.
    """
    from scipy import special  # takes a fifth of a second to import

    everything = np.arange(images)
    point = statistic(everything)
    left_out = np.stack([statistic(everything[everything % GROUPS != group]) for group in range(GROUPS)])
    error = np.sqrt((GROUPS - 1) / GROUPS * ((left_out - left_out.mean(0)) ** 2).sum(0))
    half = -float(special.stdtrit(GROUPS - 1, _TAIL)) * error
    return [Estimate(float(v), float(v - h), float(v + h)) for v, h in zip(point, half, strict=True)]
