"""The statistics of comparing networks that share seeds and images. Pure: numbers in, numbers out.

Sources: two-way layout, Welch-Satterthwaite, noncentral t: any textbook, e.g. Montgomery, Design and Analysis of
Experiments, chapters 2 and 4; paired proportions: McNemar (1947), Agresti and Min (2005); the upper limit of a measured
deviation for planning: Browne (1995); variances of which each is known by few values: Banerjee (1961). What each is
for: docs/trust.md.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
Z = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
"""Standard errors to either side of a normal value that hold so much."""
POWER = 0.8
"""Share in which a true difference of the advertised size is found."""
ENOUGH = 3
"""Seeds below which a network's own noise is not known: one that fails with one seed in five fails with both of two in
4%, and is then as far off as it is steady."""
_MANY = 1e9
"""Degrees of freedom that stand for infinitely many: not every version of scipy takes those."""
_TAIL = (1 - CONFIDENCE) / 2
_GRID = 40
"""Quantiles of an estimated variance that the power is averaged over."""


@dataclass(frozen=True)
class Noise:
    """A standard deviation and how well it is known."""

    sd: float
    df: int
    """Degrees of freedom."""

    @property
    def interval(self) -> tuple[float, float]:
        """Of `sd`, 95%, by χ²."""
        low, high = chi2_quantile(np.array([(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2]), self.df)
        return self.sd * math.sqrt(self.df / low), self.sd * math.sqrt(self.df / high)

    @property
    def upper(self) -> float:
        """The one-sided 80% limit of `sd`: who plans with `sd` itself has too few seeds every second time."""
        return self.sd * math.sqrt(self.df / float(chi2_quantile(np.array(1 - POWER), self.df)))


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
    return 100 * Z**2 / (images * seeds + Z**2)


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

    def margin(self, comparisons: int = 1) -> float:
        """Return the half-width of the 95% interval that holds for so many comparisons at once (Bonferroni)."""
        return float(_welch(np.array(self.measured), self.df, self.known, _TAIL / max(1, comparisons)))

    def detectable(self, seeds: int, comparisons: int = 1) -> float:
        """Return the true difference that counts in 80%, this being the true error of two networks equally noisy.

        That is, beyond this margin and beyond the pair's own, which is known by `seeds` pairs only. The two estimates
        are taken as independent; the pair is a part of the whole, so it is found a little more often. With several
        `comparisons` both margins hold for all of them, as in `margin` and `own_margin`.
        """
        if not self.se:
            return 0.0
        from scipy import special  # takes a fifth of a second to import, and brentq half a second
        from scipy.optimize import brentq

        share = (np.arange(_GRID) + 0.5) / _GRID
        tail, own_tail = _TAIL / max(1, comparisons), _TAIL / math.sqrt(max(1, comparisons))
        whole = _welch(self.measured * chi2_quantile(share, self.df) / self.df, self.df, self.known, tail)
        own = self.measured * chi2_quantile(share, seeds - 1) / (seeds - 1)
        critical = special.stdtrit(seeds - 1, own_tail) ** 2 * own + special.ndtri(own_tail) ** 2 * self.known
        margins = np.maximum.outer(whole, np.sqrt(critical)) / self.se

        def missing(shift: float) -> float:
            return float(np.mean(special.ndtr(shift - margins) + special.ndtr(-margins - shift))) - POWER

        return self.se * float(brentq(missing, 0, float(margins.max()) + 10, xtol=1e-4))


def chi2_quantile(share: NDArray[np.float64], df: float) -> NDArray[np.float64]:
    """Return quantiles of χ², as `scipy.stats.chi2.ppf` does."""
    from scipy import special  # takes a fifth of a second to import

    return np.asarray(2 * special.gammaincinv(df / 2, share))


def _welch(measured: NDArray[np.float64], df: float, known: float, tail: float) -> NDArray[np.float64]:
    """Return t standard errors, its degrees of freedom Welch and Satterthwaite's: many where all is known."""
    from scipy import special  # takes a fifth of a second to import

    share = np.divide(measured, measured + known, out=np.zeros_like(measured), where=measured > 0)
    effective = np.minimum(df / np.maximum(share, 1e-4) ** 2, _MANY)
    return np.asarray(-np.sqrt(measured + known) * special.stdtrit(effective, tail))


def own_margin(groups: Sequence[Sequence[float]], known: float, comparisons: int = 1) -> float:
    """Return the half-width of an interval of a difference that its own seeds alone give, whatever others' noise is.

    Half-width² is Σ t²s²/k over what was estimated, and z² of what is known, which holds 95% whatever the true
    variances are (Banerjee). Where it stands beside `Error.margin` and the larger one counts, it needs to be corrected
    by √comparisons only: simulations in the tests, docs/trust.md.

    Args:
        groups: The differences seed by seed; or, of networks without seeds in common, the values of each.
        known: Variance, e.g. `image_variance`.
        comparisons: As many as `Error.margin` holds for.
    """
    from scipy import special  # takes a fifth of a second to import

    tail = _TAIL / math.sqrt(comparisons)
    measured = sum(
        float(special.stdtrit(len(group) - 1, tail)) ** 2 * statistics.variance(group) / len(group) for group in groups
    )
    return math.sqrt(measured + float(special.ndtri(tail)) ** 2 * known)
