"""The statistics of a race: which candidates are told apart by now, with one chance of error for all of it.

All candidates are trained with the same seeds, and equal seeds start from equal parameters and see equal batches, so
two of them are compared seed by seed. After each further seed (a look) every ordered pair of those still in the race is
compared by a paired t; who is beaten leaves. The chance of error, 1 − confidence, is divided over

- the looks, in proportion to the square of the seeds (alpha spending; Lan & DeMets, 1983): early looks, whose t has
  few degrees of freedom, could not use theirs;
- the a(a−1) ordered pairs of the a candidates that are left (Bonferroni), so that it holds at every look and for all
  of them together that nobody has left who is as good as those that stay.

The variance of a difference is the larger of the pair's own and the one pooled over all candidates (the residual of
candidates × seeds). With (a−1)(s−1) degrees of freedom the pooled one makes a race of many short; as candidates need
not be equally noisy, no more than 3(s−1) are counted. What it finds and how often it errs is held by simulation in its
tests; docs/racing.md has the numbers.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dcasearch.config.study import Race

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

POWER = 0.8
"""Share of races in which a difference of the advertised size is found."""
_MARGIN = 0.02
"""Beyond it in the simulation that finds that size."""
_POOLED = 3
"""Times the degrees of freedom of one pair that the pooled variance counts for at most."""
_LARGEST = 64.0
"""Differences in units of the noise above which nothing is advertised."""
_TINY = 1e-24


def looks(race: Race, given: int) -> range:
    """Return the numbers of seeds after which candidates are compared, where each has `given` seeds to begin with."""
    return range(max(2, given), race.max_seeds + 1)


def share(race: Race, given: int, look: int) -> float:
    """Return the share of the chance of error that one look may use."""
    return float(look**2 / sum(s**2 for s in looks(race, given)))


def floor_of(images: int | None) -> float:
    """Return the least variance of a difference of two accuracies, in points²: they are counted in whole images."""
    return 0.0 if images is None else (100 / images) ** 2 / 6


def pooled(values: Floats, racing: Bools) -> Floats:
    """Return the variance of a difference between two trainings of one seed, over those still racing.

    Args:
        values: races × candidates × seeds.
        racing: races × candidates.

    Returns:
        One per race; nan of fewer than two candidates or seeds.
    """
    n, seeds = racing.sum(1), values.shape[2]
    centred = np.where(racing[..., None], values - values.mean(2, keepdims=True), 0.0)
    residual = np.where(racing[..., None], centred - centred.sum(1, keepdims=True) / np.maximum(n, 1)[:, None, None], 0)
    freedom = (n - 1) * (seeds - 1)
    squares = (residual**2).sum((1, 2))
    found: Floats = np.divide(2 * squares, freedom, out=np.full(len(values), np.nan), where=freedom > 0)
    return found


def beaten(values: Floats, racing: Bools, error: float, floor: float = 0.0, rivals: Bools | None = None) -> Bools:
    """Tell who is beaten by whom at one look.

    Args:
        values: races × candidates × seeds so far; more is better.
        racing: races × candidates: who is still in.
        error: the chance of error of this look.
        floor: least variance of a difference.
        rivals: candidates × candidates: whether the first may put out the second; everyone may unless given.

    Returns:
        races × candidates × candidates: whether the first is told to be better than the second.
    """
    count, seeds = values.shape[1:]
    mean = values.mean(2)
    centred = values - mean[..., None]
    products = np.einsum("ris,rjs->rij", centred, centred) / (seeds - 1)
    each = np.einsum("rii->ri", products)
    own = each[:, :, None] + each[:, None, :] - 2 * products
    common = np.nan_to_num(pooled(values, racing))[:, None, None]
    variance = np.maximum(np.maximum(own, common), max(floor, _TINY))
    critical = np.array([_critical(n, seeds, error) for n in range(count + 1)])[racing.sum(1)]
    distance = mean[:, :, None] - mean[:, None, :]
    told: Bools = distance > critical[:, None, None] * np.sqrt(variance / seeds)
    told &= racing[:, :, None] & racing[:, None, :]
    return told if rivals is None else told & rivals


def _critical(candidates: int, seeds: int, error: float) -> float:
    if candidates < 2:
        return math.inf
    from scipy import special  # takes a fifth of a second to import

    freedom = (seeds - 1) * min(candidates - 1, _POOLED)
    return -float(special.stdtrit(freedom, error / (candidates * (candidates - 1))))


def run_races(values: Floats, race: Race, given: int = 1, floor: float = 0.0) -> Ints:
    """Return after how many seeds each candidate leaves, 0 for those that never do.

    Args:
        values: races × candidates × `max_seeds`; more is better.
        race: confidence and length.
        given: seeds that everyone has before the first look.
        floor: least variance of a difference.
    """
    left = np.zeros(values.shape[:2], np.int64)
    for look in looks(race, given):
        error = (1 - race.confidence) * share(race, given, look)
        out = beaten(values[:, :, :look], left == 0, error, floor).any(1)
        left[out] = look
    return left


def resolvable(noise: float, candidates: int, race: Race, given: int = 1) -> float:
    """Return the smallest lead of one candidate over all others that a race finds in at least 80% of cases.

    Found means that it alone is left at the end. In the unit of `noise`; inf where no race of that length finds any.

    Args:
        noise: standard deviation of one training's value between seeds, beyond what a seed does to all candidates
            alike; 1 for an answer in units of that noise.
        candidates: how many race, at least two.
        race: confidence and length.
        given: seeds that everyone has before the first look.
    """
    return noise * _ratio(candidates, race, given)


@lru_cache(maxsize=256)
def _ratio(candidates: int, race: Race, given: int) -> float:
    """Return the lead in units of the noise, to 2%, by simulating races with a planted one."""
    races = max(300, min(1000, 16_000 // candidates))
    values = np.random.default_rng(0).standard_normal((races, candidates, race.max_seeds))

    def found(lead: float) -> bool:
        planted = values.copy()
        planted[:, 0] += lead
        left = run_races(planted, race, given)
        alone = (left[:, 0] == 0) & (left[:, 1:] > 0).all(1)
        return bool(alone.mean() >= POWER + _MARGIN)

    low, high = 0.25, _LARGEST
    if not found(high):
        return math.inf
    while high > 1.02 * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if found(middle) else (middle, high)
    return high
