"""Intervals over repeated splits: one data set, divided anew for each final training. Pure: numbers in, numbers out.

Values over splits are not independent: their training images overlap, and so do their test images. So s²/J, the
variance of a mean of J independent values, is too small. Source of the correction: Nadeau and Bengio, Inference for the
Generalization Error, Machine Learning 52 (2003), the corrected resampled t-test: the variance of the mean is
s²(1/J + n_test/n_train), with t of J − 1 degrees of freedom. What it does not cover: docs/trust.md.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dcasearch.analysis.paired import CONFIDENCE, POWER, Z, chi2_quantile
from dcasearch.config.study import Study

_TAIL = (1 - CONFIDENCE) / 2
_GRID = 200
"""Quantiles of an estimated variance that the power is averaged over."""


@dataclass(frozen=True)
class Splits:
    """How a study divides its data for its final trainings."""

    number: int
    of_seed: Mapping[int, int]
    """Number of each seed's split, from 0, which is the search's own."""
    ratio: float
    """Test images divided by images that are trained on."""
    test: float
    """Share of the images that each split tests on."""

    @property
    def seen(self) -> float:
        """Share of a further split's test images that the search trained on or compared on, as expected."""
        return 1 - self.test

    def tested(self, images: int, splits: int) -> int:
        """Return how many different images are expected to be tested on at least once.

        Args:
            images: That one split tests on.
            splits: How many are measured.
        """
        return round(images / self.test * (1 - (1 - self.test) ** splits))

    def means(self, by_seed: Mapping[int, float]) -> dict[int, float]:
        """Return the mean of each split over its seeds, by its number; seeds of no split are left out."""
        values: dict[int, list[float]] = {}
        for seed, value in by_seed.items():
            if seed in self.of_seed:
                values.setdefault(self.of_seed[seed], []).append(value)
        return {split: statistics.fmean(values[split]) for split in sorted(values)}


def splits_of(study: Study) -> Splits | None:
    """Return how a study repeats its split; None where it has one split alone, or fixed test images."""
    final, shares = study.final, study.data.split
    if final is None or shares is None or final.splits == 1:
        return None
    trained = (1 - shares.validation - shares.test) * study.fidelities[-1].train_fraction
    return Splits(
        number=final.splits,
        of_seed={seed: final.split_of(seed) for seed in final.seeds},
        ratio=shares.test / trained,
        test=shares.test,
    )


def standard_error(variance: float, splits: int, ratio: float) -> float:
    """Return the corrected standard error of a mean over splits.

    Args:
        variance: Of the values over splits.
        splits: How many.
        ratio: Test images divided by images that are trained on.
    """
    return math.sqrt(variance * (1 / splits + ratio))


def half_width(variance: float, splits: int, ratio: float, comparisons: int = 1) -> float:
    """Return the half-width of the 95% interval of a mean over at least two splits.

    Args:
        variance: Of the values over splits.
        splits: How many.
        ratio: Test images divided by images that are trained on.
        comparisons: Intervals that hold at once (Bonferroni).
    """
    return _quantile(splits - 1, comparisons) * standard_error(variance, splits, ratio)


def margin_of(values: Sequence[float], ratio: float, comparisons: int = 1) -> float | None:
    """Return the half-width of the 95% interval of the mean of one value per split; None below two.

    Args:
        values: Of one network; or the differences of two, split by split.
        ratio: Test images divided by images that are trained on.
        comparisons: Intervals that hold at once (Bonferroni).
    """
    if len(values) < 2:
        return None
    return half_width(statistics.variance(values), len(values), ratio, comparisons)


def floor_of_mean(mean: float, images: int) -> float:
    """Return the half-width that the choice of images alone gives a mean accuracy.

    An interval over splits is never narrower: few values of few images can be equal by chance, and then have no spread.

    Args:
        mean: Percent.
        images: Different images that were tested on (`Splits.tested`).
    """
    share = (mean / 100 * images + 1) / (images + 2)
    return 100 * Z * math.sqrt(share * (1 - share) / images)


def floor_of_difference(value: float, images: int, comparisons: int = 1) -> float:
    """Return the half-width that the choice of images gives a difference at least: all disagreements are on one side.

    Args:
        value: The difference, in points.
        images: Different images that were tested on (`Splits.tested`).
        comparisons: Intervals that hold at once (Bonferroni).
    """
    from scipy import special  # takes a fifth of a second to import

    total = images + 2  # half an image in each of the four cells, as in `image_variance`
    apart = abs(value) / 100 * images
    variance = ((apart + 1) / total - (apart / total) ** 2) / total
    return -100 * float(special.ndtri(_TAIL / max(1, comparisons))) * math.sqrt(variance)


def detectable(variance: float, splits: int, ratio: float) -> float:
    """Return the true difference that is beyond its margin in 80%, averaged over what the variance is estimated as.

    Args:
        variance: Of the differences over splits.
        splits: How many.
        ratio: Test images divided by images that are trained on.
    """
    if not variance:
        return 0.0
    from scipy import special  # takes a fifth of a second to import, and brentq half a second
    from scipy.optimize import brentq

    df = splits - 1
    estimated = chi2_quantile((np.arange(_GRID) + 0.5) / _GRID, df) / df
    margins = _quantile(df) * np.sqrt(estimated)  # in standard errors, as the difference below

    def missing(shift: float) -> float:
        return float(np.mean(special.ndtr(shift - margins) + special.ndtr(-margins - shift))) - POWER

    return standard_error(variance, splits, ratio) * float(brentq(missing, 0, float(margins.max()) + 10, xtol=1e-4))


def _quantile(df: int, comparisons: int = 1) -> float:
    from scipy import special  # takes a fifth of a second to import

    return -float(special.stdtrit(df, _TAIL / max(1, comparisons)))
