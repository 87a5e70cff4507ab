"""The statistics of comparing networks that share seeds and images. Pure: numbers in, numbers out.

Sources: two-way layout, Welch-Satterthwaite, noncentral t: any textbook, e.g. Montgomery, Design and Analysis of
Experiments, chapters 2 and 4; paired proportions: McNemar (1947), Agresti and Min (2005); the upper limit of a measured
deviation for planning: Browne (1995). What each is for: docs/trust.md.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

CONFIDENCE = 0.95
POWER = 0.8
"""Share in which a true difference of the advertised size is found."""


@dataclass(frozen=True)
class Noise:
    """A standard deviation and how well it is known."""

    sd: float
    df: int
    """Degrees of freedom."""

    @property
    def interval(self) -> tuple[float, float]:
        """Of `sd`, 95%, by χ²."""
        low, high = stats.chi2.ppf(((1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2), self.df)
        return self.sd * math.sqrt(self.df / low), self.sd * math.sqrt(self.df / high)

    @property
    def upper(self) -> float:
        """The one-sided 80% limit of `sd`: who plans with `sd` itself has too few seeds every second time."""
        return self.sd * math.sqrt(self.df / float(stats.chi2.ppf(1 - POWER, self.df)))


def pooled(groups: Iterable[Sequence[float]]) -> Noise | None:
    """Return the spread within groups, e.g. over the seeds of each network; None where no group has two."""
    several = [group for group in groups if len(group) > 1]
    df = sum(len(group) - 1 for group in several)
    if not df:
        return None
    squares = sum((len(group) - 1) * statistics.variance(group) for group in several)
    return Noise(math.sqrt(squares / df), df)


def residual(values: Mapping[tuple[str, int], float]) -> Noise | None:
    """Return the spread of (network, seed) that is left after what each network and each seed adds by itself.

    It is what paired differences are made of: their variance is twice its square. Least squares, so not every network
    needs every seed. None where nothing is left to estimate it from, e.g. of a single network.
    """
    counts: dict[str, int] = {}
    for network, _ in values:
        counts[network] = counts.get(network, 0) + 1
    rows = [(network, seed, value) for (network, seed), value in values.items() if counts[network] > 1]
    networks = {name: n for n, name in enumerate(dict.fromkeys(network for network, _, _ in rows))}
    seeds = {seed: n for n, seed in enumerate(dict.fromkeys(seed for _, seed, _ in rows))}
    design = np.zeros((len(rows), len(networks) + len(seeds)))
    for n, (network, seed, _) in enumerate(rows):
        design[n, networks[network]] = design[n, len(networks) + seeds[seed]] = 1
    if not rows:
        return None
    df = len(rows) - int(np.linalg.matrix_rank(design))
    if df < 1:
        return None
    column = np.array([value for _, _, value in rows])
    left = column - design @ np.linalg.lstsq(design, column, rcond=None)[0]
    return Noise(math.sqrt(float(left @ left) / df), df)


def image_variance(a: float, b: float, images: int) -> float:
    """Return a bound on the variance, in points², of the difference of two top-1 on the same images.

    Args:
        a: Percent.
        b: Percent.
        images: How many.

    It is (share on which one alone is right − difference²) / images; that share is not stored, and at most what the two
    accuracies leave room for. Half an image is added to each of the four cells (Agresti and Min), so it is never 0.
    """
    p, q = a / 100, b / 100
    apart = (min(p, 1 - q) + min(q, 1 - p)) * images + 1
    total = images + 2
    difference = (p - q) * images / total
    return 1e4 * (apart / total - difference**2) / total


def least_difference(images: int, seeds: int = 1) -> float:
    """Return a difference of top-1, in points, below which none can count, whatever the networks and their noise.

    The variance of a difference Δ of one seed is at least (Δ − Δ²) / images, when every image on which the two disagree
    speaks for the same one; Δ = z²/(images·seeds + z²) is where Δ equals z standard errors of that.
    """
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    return 100 * z**2 / (images * seeds + z**2)


@dataclass(frozen=True)
class Error:
    """The standard error of a difference: a measured part, and one that is known or bounded."""

    measured: float
    """Variance that was estimated, e.g. of seeds."""
    df: float
    """Of its estimate."""
    known: float = 0.0
    """Variance, e.g. `image_variance`."""

    @property
    def se(self) -> float:
        """The standard error."""
        return math.sqrt(self.measured + self.known)

    @property
    def effective_df(self) -> float:
        """Welch and Satterthwaite's; infinite where nothing was estimated."""
        return math.inf if not self.measured else self.df * ((self.measured + self.known) / self.measured) ** 2

    def margin(self, comparisons: int = 1) -> float:
        """Return the half-width of the 95% interval that holds for so many comparisons at once (Bonferroni)."""
        tail = (1 - CONFIDENCE) / 2 / max(1, comparisons)
        return self.se * float(stats.t.isf(tail, self.effective_df))

    def detectable(self) -> float:
        """Return the true difference that is beyond its margin in 80%, this being the true error."""
        df = self.effective_df
        critical = float(stats.t.isf((1 - CONFIDENCE) / 2, df))
        if not df < 1e4:  # scipy's noncentral t takes no infinite df
            return self.se * (critical + float(stats.norm.ppf(POWER)))
        far = 2 * critical + 10

        def missing(shift: float) -> float:
            return float(stats.nct.sf(critical, df, shift)) - POWER

        return self.se * float(optimize.brentq(missing, 0, far))
