"""What a study can tell apart: its noise band, the smallest difference that counts, and the verdict on each difference.

Pure: numbers in, numbers out; `dcasearch.analysis.measured` brings them. Every view that shows one candidate minus
another shows a `Difference` of here. Formulas and how to read them: docs/trust.md.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dcasearch.analysis.paired import (
    ENOUGH,
    Error,
    Noise,
    Z,
    image_variance,
    least_difference,
    own_margin,
    pooled,
    residual,
)
from dcasearch.analysis.trust import ESTIMABLE
from dcasearch.config.study import Promotion
from dcasearch.metrics import CLASSIFICATION, METRICS, Metric

LEGEND = "± is the 95% margin of a lead, by seeds and images, for all rows of a table at once; a lead counts beyond it."
SEEDS_UNKNOWN = (
    "needs 3 seeds: fewer than three seeds each say too little of their noise; ± lacks it, and no lead counts."
)
SEEDS_ALONE = "The metric is no share of images, so ± is by seeds alone, on these images."
IMAGES_UNKNOWN = "This database lacks image counts, so no lead can count; `run` adds them."


@dataclass(frozen=True)
class Measurement:
    """The last epoch of one training."""

    architecture_id: str
    seed: int
    value: float
    """Of the headline metric."""
    loss: float | None
    """None where the task measures none."""


@dataclass(frozen=True)
class Difference:
    """One candidate's mean of the headline metric minus another's."""

    value: float
    """In the metric's unit; percentages differ by points."""
    margin: float | None
    """Half-width of the interval in the same unit; None: nothing is known of seeds and images."""
    seeds_known: bool
    """False: fewer than three seeds each, so the margin lacks the pair's own noise, perhaps all of the seeds' part."""
    images_known: bool
    """False: the margin lacks the images' part."""
    comparisons: int = 1
    """Number of comparisons that the margin holds for at once."""
    digits: str = ".2f"
    """Format of the value."""
    seeds_alone: bool = False
    """The metric is no share of images, so what other images would say is not in the margin."""

    @property
    def resolved(self) -> bool:
        """Whether it may be called a difference at all."""
        return self.seeds_known and self.images_known and self.margin is not None and abs(self.value) > self.margin

    @property
    def counts(self) -> str:
        """Whether it counts: `yes`, `no`, or why nobody can say."""
        if not self.images_known:
            return "image count not known"
        if not self.seeds_known:
            return f"needs {ENOUGH} seeds"
        return "yes" if self.resolved else "no"

    def __str__(self) -> str:
        """Return e.g. `+8.64 ± 5.9`; whether it counts stands beside it in a word."""
        value = f"{self.value:+{self.digits}}"
        if self.margin is None:
            return value
        return f"{value} ± {self.margin:.1f}" if self.digits == ".2f" else f"{value} ± {self.margin:.2g}"

    def in_words(self) -> str:
        """Return e.g. `+8.64 ± 5.9`, or `+1.11 ± 5.9 (does not count)`, for a sentence."""
        return f"{self}{_COUNTED.get(self.counts, f' (does not count: {self.counts})')}"


_COUNTED = {"yes": "", "no": " (does not count)"}


@dataclass(frozen=True)
class Smallest:
    """From which difference on two networks with equal seeds are told apart, in one metric."""

    noise: Noise | None
    """The noise band: over the seeds of one network, pooled over networks. None: nobody has two seeds."""
    paired: Noise | None
    """What seeds leave when they are equal (`residual`); None: fewer than two networks share two seeds."""
    observed: float | None
    """Below this difference of means no comparison counts, however little noise the two have; None: not estimable, or
    fewer than three seeds."""
    true: float | None
    """The true difference that is found in 80% where the two are as noisy as all; None: as above."""
    at_least: float | None = None
    """Where `observed` is None: what the images alone ask for."""


@dataclass(frozen=True, kw_only=True)
class Power:
    """What one fidelity (or the final trainings) can tell apart."""

    name: str
    metric: str
    """The headline metric's name."""
    images: int | None
    """Number of evaluation images; None: not known."""
    seeds: int
    """Of each network, as planned."""
    trainings: int
    """Stored ones that this is from."""
    headline: Smallest
    """Of the headline metric."""
    loss: Smallest
    """Of cross-entropy, on these images: what other images would say is not in it, since no image's loss is stored."""
    noise_from: str = ""
    """Whose seed noise it is, where not its own."""
    candidates: int = 1
    """Networks that the leader was chosen among by these same values."""
    mean: float | None = None
    """Of the headline metric over the trainings."""


def power(
    name: str,
    measured: Sequence[Measurement],
    *,
    metric: Metric = CLASSIFICATION.headline,
    images: int | None,
    seeds: int,
    elsewhere: Sequence[Measurement] = (),
    elsewhere_name: str = "",
    candidates: int = 1,
) -> Power:
    """Return what trainings of one kind can tell apart.

    Args:
        name: The fidelity's, or `final`.
        measured: Its trainings, each to its last epoch.
        metric: The headline metric that their values are of.
        images: That they are evaluated on.
        seeds: That each network has, or will have.
        elsewhere: Equal trainings that were evaluated on other images; their seed noise is taken where its own is not
            known.
        elsewhere_name: What those are called.
        candidates: Networks that the leader was chosen among by these same values.
    """
    own = _noises(measured, "value")[0] is not None
    source = measured if own or _noises(elsewhere, "value")[0] is None else elsewhere
    mean = statistics.fmean(m.value for m in measured) if measured else None
    known = None if images is None or mean is None else images_part(metric, mean, mean, images)
    headline, loss = (_smallest(*_noises(source, of), seeds, known) for of in ("value", "loss"))
    if headline.observed is None and metric.share:
        headline = replace(headline, at_least=_at_least(known, images, seeds))
    loss_only = _smallest(loss.noise, loss.paired, seeds, 0.0)
    return Power(
        name=name,
        metric=metric.name,
        images=images,
        seeds=seeds,
        trainings=len(measured),
        headline=headline,
        loss=loss_only,
        noise_from=elsewhere_name if source is elsewhere and elsewhere else "",
        candidates=candidates,
        mean=mean,
    )


def images_part(metric: Metric, mean: float, other: float, images: int) -> float:
    """Return the variance that the choice of images leaves of a difference; 0 where no image's value is stored."""
    return image_variance(mean, other, images) if metric.share else 0.0


def difference(
    power: Power, ours: Mapping[int, float], theirs: Mapping[int, float], comparisons: int = 1
) -> Difference:
    """Return the mean headline metric of one network minus another's, with its verdict: the one place that decides it.

    Over the seeds that both have, where there are such: a seed is good or bad for all networks alike. The margin is the
    larger of two: by the noise of all networks, which is known well, and by the pair's own, which may be larger.

    Args:
        power: Of the trainings that both are from.
        ours: By seed.
        theirs: By seed.
        comparisons: Those that stand beside each other in one view; times the candidates, where the leader is ours.
    """
    shared = sorted(ours.keys() & theirs.keys())
    groups = [[ours[seed] - theirs[seed] for seed in shared]] if shared else [[*ours.values()], [*theirs.values()]]
    if shared:
        ours, theirs = ({seed: values[seed] for seed in shared} for values in (ours, theirs))
    mean, other = statistics.fmean(ours.values()), statistics.fmean(theirs.values())
    comparisons = comparisons * power.candidates
    metric = METRICS[power.metric]
    known = 0.0 if power.images is None else images_part(metric, mean, other, power.images)
    noise = power.headline.noise
    enough = noise is not None and min(map(len, groups)) >= ENOUGH
    margin = None
    if noise is not None or (metric.share and power.images is not None):
        margin = Error(*_seeds_part(power.headline, groups), known).margin(comparisons)
        if enough:
            margin = max(margin, own_margin(groups, known, comparisons))
    return Difference(
        value=mean - other,
        margin=margin,
        seeds_known=enough,
        images_known=power.images is not None,
        comparisons=comparisons,
        digits=metric.digits,
        seeds_alone=not metric.share,
    )


def _seeds_part(headline: Smallest, groups: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the variance that the seeds leave of a difference, by the noise of all networks, and its df."""
    if len(groups) == 1 and headline.paired is not None:
        return 2 * headline.paired.sd**2 / len(groups[0]), headline.paired.df
    if headline.noise is None:
        return 0.0, math.inf
    counts = [len(group) for group in groups] * (3 - len(groups))
    return headline.noise.sd**2 * sum(1 / count for count in counts), headline.noise.df


def legend(differences: Sequence[Difference]) -> tuple[str, ...]:
    """Return what a reader of these differences needs to know, a line each."""
    if not differences:
        return ()
    lines = [LEGEND]
    if any(not difference.seeds_known and difference.margin is not None for difference in differences):
        lines.append(SEEDS_UNKNOWN)
    if any(difference.seeds_alone for difference in differences):
        lines.append(SEEDS_ALONE)
    if any(not difference.images_known for difference in differences):
        lines.append(IMAGES_UNKNOWN)
    return tuple(lines)


@dataclass(frozen=True)
class Expected:
    """How sharply a proxy's rank correlation will be known."""

    fidelity: str
    against: str
    networks: int
    """Promoted, those at random among them."""
    drawn: int
    tau: tuple[float, float] | None
    """The 95% interval around a τ of 0.5; None: fewer than ten networks, not estimable."""
    rho: tuple[float, float] | None


def expected(fidelity: str, against: str, promotion: Promotion, trials: int) -> Expected:
    """Return the interval that τ or ρ of 0.5 would get, by Fieller, Hartley, Pearson (1957) and Bonett, Wright (2000).

    Args:
        fidelity: The proxy.
        against: The next fidelity.
        promotion: How many of the proxy's trials reach it.
        trials: Of the proxy; a network at random stands for (trials − top) / random others, so it weighs that much and
            the number that counts is Kish's (Σw)² / Σw².
    """
    top = min(promotion.top, trials)
    rest = trials - top
    drawn = min(promotion.random, rest)
    n = top + drawn
    if n < ESTIMABLE:
        return Expected(fidelity, against, n, drawn, None, None)
    weight = rest / drawn if drawn else 1.0
    effective = (top + drawn * weight) ** 2 / (top + drawn * weight**2)
    tau = _around(0.5, math.sqrt(0.437 / (effective - 4)) if effective > 4 else math.inf)
    rho = _around(0.5, math.sqrt((1 + 0.5**2 / 2) / (effective - 3)) if effective > 3 else math.inf)
    return Expected(fidelity, against, n, drawn, tau, rho)


def _around(value: float, se: float) -> tuple[float, float]:
    return math.tanh(math.atanh(value) - Z * se), math.tanh(math.atanh(value) + Z * se)


def _noises(measured: Sequence[Measurement], of: Literal["value", "loss"]) -> tuple[Noise | None, Noise | None]:
    """Return the noise band and what is left of it at equal seeds."""
    held = {(m.architecture_id, m.seed): m.value if of == "value" else m.loss for m in measured}
    values = {key: value for key, value in held.items() if value is not None}
    groups: dict[str, list[float]] = {}
    for (architecture, _), value in values.items():
        groups.setdefault(architecture, []).append(value)
    return pooled(groups.values()), residual(values)


def _smallest(noise: Noise | None, paired: Noise | None, seeds: int, known: float | None) -> Smallest:
    best = paired or noise
    if best is None or known is None or seeds < ENOUGH:
        return Smallest(noise, paired, None, None)
    observed = Error(2 * best.sd**2 / seeds, best.df, known).margin()
    true = Error(2 * best.upper**2 / seeds, best.df, known).detectable(seeds)
    return Smallest(noise, paired, observed, true)


def _at_least(known: float | None, images: int | None, seeds: int) -> float | None:
    """Return what the images alone ask for: by the accuracy where one is stored, else whatever it may be."""
    if images is None:
        return None
    bound = least_difference(images, seeds)
    return bound if known is None else max(bound, Error(0.0, math.inf, known).margin())
