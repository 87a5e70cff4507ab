"""Intervals of numbers that are measured over images. Pure: arrays in, numbers out.

Means: the percentile bootstrap over images, as `dcasearch.analysis.trust` has it for correlations. CKA: the jackknife
over groups of images. A bootstrap draws some images twice, and CKA compares pairs of images: an image and its copy look
alike to every network, so the resampled values would lie above the true one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dcasearch.analysis.paired import CONFIDENCE

Floats = NDArray[np.float64]
Combine: TypeAlias = Callable[[Floats], Floats]
"""(numbers, shape (rows, M)) -> what is made of them, row by row."""
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


@dataclass(frozen=True, eq=False)
class Replicates:
    """Numbers over all images, and over other choices of the images: what intervals are made of."""

    rows: Floats
    """Shape (choices of images, numbers). Row 0 is over all images. A number that is not known is nan."""
    method: Literal["bootstrap", "jackknife"]

    def beside(self, other: Replicates) -> Replicates:
        """Return both numbers in one, of the same choices of the same images; so a difference of them is paired."""
        return Replicates(np.concatenate([self.rows, other.rows], 1), self.method)

    def estimates(self, of: Combine = lambda rows: rows) -> list[Estimate | None]:
        """Return estimates of what `of` makes of the numbers; None where it is not known."""
        point, *others = of(self.rows)
        columns = np.stack(others).T
        return [self._estimate(float(value), column) for value, column in zip(point, columns, strict=True)]

    def _estimate(self, value: float, column: Floats) -> Estimate | None:
        if not np.isfinite(value):
            return None
        if self.method == "bootstrap":
            low, high = np.nanquantile(column, (_TAIL, 1 - _TAIL))
            return Estimate(value, float(low), float(high))
        half = _t(GROUPS - 1) * float(np.sqrt((GROUPS - 1) / GROUPS * ((column - column.mean()) ** 2).sum()))
        return Estimate(value, value - half, value + half)


def _t(df: int) -> float:
    from scipy import special  # takes a fifth of a second to import

    return -float(special.stdtrit(df, _TAIL))


def bootstrap(values_NM: Floats) -> Replicates:
    """Return the means over images, and those over resampled images; equal numbers of images are resampled alike.

    Args:
        values_NM: one row an image, one column a quantity; nan where an image has none. It is not in that mean.
    """
    known_NM = np.isfinite(values_NM)
    filled_NM = np.where(known_NM, values_NM, 0.0)
    times = [np.ones((1, len(values_NM))), *_resamples(len(values_NM))]
    return Replicates(np.concatenate([_ratio(t_RN @ filled_NM, t_RN @ known_NM) for t_RN in times]), "bootstrap")


def _resamples(images: int) -> Iterator[Floats]:
    """Yield how often each image is drawn, some resamples at a time, shape (resamples, images), from a fixed seed."""
    generator = np.random.default_rng(0)
    for _ in range(RESAMPLES // _CHUNK):
        rows = generator.integers(images, size=(_CHUNK, images))
        yield np.stack([np.bincount(row, minlength=images) for row in rows]).astype(float)


def _ratio(total: Floats, count: Floats) -> Floats:
    ratio: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return ratio


def jackknife(images: int, statistic: Callable[[NDArray[np.int64]], Floats]) -> Replicates:
    """Return a statistic of all images, and of the images without each group.

    Args:
        images: how many there are.
        statistic: (which images, shape (n,)) -> numbers, shape (M,); nan where one is not defined.

    An interval is t · √((g-1)/g · Σ(θ_i - θ̄)²) to either side, with g groups and g - 1 degrees of freedom.
    """
    everything = np.arange(images)
    without = (everything[everything % GROUPS != group] for group in range(GROUPS))
    return Replicates(np.stack([statistic(chosen) for chosen in (everything, *without)]), "jackknife")
