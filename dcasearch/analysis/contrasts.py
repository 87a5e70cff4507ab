"""A weighted sum of differences between networks, with its margin: an interaction, a trend. Numbers in, numbers out.

It is judged as every other difference (`dcasearch.analysis.power`): by the noise of all networks and by its own, and by
the images. Formulas: docs/trust.md.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dcasearch.analysis.paired import ENOUGH, Error, own_margin
from dcasearch.analysis.power import Difference, Power, images_part
from dcasearch.metrics import METRICS

BySeed = Mapping[int, float]
"""The headline metric of one network by seed."""


@dataclass(frozen=True)
class Term:
    """A weight times (one network minus another)."""

    weight: float
    ours: BySeed
    theirs: BySeed


def contrast(power: Power, terms: Sequence[Term], comparisons: int = 1) -> Difference | None:
    """Return Σ weight · (ours − theirs), over the seeds that all networks have; None where there is no such seed.

    Args:
        power: Of the trainings that all networks are from. Nobody was picked by these values, so its `candidates` do
            not count.
        terms: The differences. A network may stand in several.
        comparisons: Contrasts that stand beside each other in one view.

    The images' part is a bound: which images each network gets right is not stored, and the standard error of a sum is
    at most the sum of the standard errors, Σ |weight| · se(ours − theirs).
    """
    shared = sorted(set.intersection(*({*term.ours} & {*term.theirs} for term in terms)))
    if not shared:
        return None
    by_seed = [sum(term.weight * (term.ours[seed] - term.theirs[seed]) for term in terms) for seed in shared]
    metric = METRICS[power.metric]
    known = 0.0 if power.images is None else _images(power, terms, shared)
    headline = power.headline
    enough = headline.noise is not None and len(shared) >= ENOUGH
    best, margin = headline.paired or headline.noise, None
    if best is not None or (metric.share and power.images is not None):
        measured = 0.0 if best is None else _squares(terms) * best.sd**2 / len(shared)
        margin = Error(measured, math.inf if best is None else best.df, known).margin(comparisons)
        if enough:
            margin = max(margin, own_margin([by_seed], known, comparisons))
    return Difference(
        value=statistics.fmean(by_seed),
        margin=margin,
        seeds_known=enough,
        images_known=power.images is not None,
        comparisons=comparisons,
        digits=metric.digits,
        seeds_alone=not metric.share,
    )


def slope(points: Sequence[tuple[float, BySeed, BySeed]]) -> list[Term]:
    """Return the least-squares slope of (ours − theirs) over x as terms of a contrast.

    Args:
        points: x, ours, theirs; at least two different x.
    """
    mean = statistics.fmean(x for x, _, _ in points)
    squares = sum((x - mean) ** 2 for x, _, _ in points)
    return [Term((x - mean) / squares, ours, theirs) for x, ours, theirs in points]


def _squares(terms: Sequence[Term]) -> float:
    """Return Σ of the squared weights of the networks, each network's weights added first."""
    weights: dict[int, float] = {}
    for term in terms:
        for network, sign in ((term.ours, 1), (term.theirs, -1)):
            weights[id(network)] = weights.get(id(network), 0.0) + sign * term.weight
    return sum(weight**2 for weight in weights.values())


def _images(power: Power, terms: Sequence[Term], seeds: Sequence[int]) -> float:
    """Return a bound on the variance, in squared units, that the choice of images leaves."""
    if power.images is None:
        return 0.0
    deviation = 0.0
    for term in terms:
        ours, theirs = (statistics.fmean(network[seed] for seed in seeds) for network in (term.ours, term.theirs))
        deviation += abs(term.weight) * math.sqrt(images_part(METRICS[power.metric], ours, theirs, power.images))
    return deviation**2
