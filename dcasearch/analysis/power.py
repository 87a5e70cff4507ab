"""What a study can tell apart: its noise band, the smallest difference that counts, and the verdict on each difference.

Pure: numbers in, numbers out; `dcasearch.analysis.measured` brings them. Every view that shows one candidate minus
another shows a `Difference` of here. Formulas and how to read them: docs/trust.md.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Literal

from dcasearch.analysis.paired import (
    ENOUGH,
    Error,
    Noise,
    image_variance,
    least_difference,
    own_margin,
    pooled,
    residual,
)
from dcasearch.analysis.resampling import Splits, detectable, floor_of_difference, floor_of_mean, half_width, margin_of
from dcasearch.metrics import CLASSIFICATION, METRICS, Metric

LEGEND = "± is the 95% margin of a lead, by seeds and images, for all rows of a table at once; a lead counts beyond it."
SEEDS_UNKNOWN = (
    "needs 3 seeds: fewer than three seeds each say too little of their noise; ± lacks it, and no lead counts."
)
SEEDS_ALONE = "The metric is no share of images, so ± is by seeds alone, on these images."
OVER_SPLITS = (
    "Over splits of the data, ± is the corrected resampled interval (Nadeau, Bengio 2003). Splits share images, so it "
    "is wider than the interval of independent values."
)
SPLITS_UNKNOWN = "needs 3 splits: fewer than three splits say too little of their noise, and no lead counts."
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
    _: KW_ONLY
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
    splits: int | None = None
    """Splits of the data that the margin is over; None: both are measured on the same images with every seed."""

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
            return NEEDS_SEEDS if self.splits is None else NEEDS_SPLITS
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


NEEDS_SEEDS = f"needs {ENOUGH} seeds"
NEEDS_SPLITS = f"needs {ENOUGH} splits"
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
    splits: Splits | None = None
    """Of final trainings, where the data is divided anew for them. Noise is then between splits, not between seeds."""

    @property
    def repeats(self) -> int:
        """Independent values of each network, as planned: seeds, or splits."""
        return self.seeds if self.splits is None else self.splits.number


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
    splits: Splits | None = None,
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
        splits: Of the data, where it is divided anew for these trainings.
    """
    if splits is not None:
        measured = _by_split(measured, splits)
    own = _noises(measured, "value")[0] is not None
    source = measured if own or _noises(elsewhere, "value")[0] is None else elsewhere
    mean = statistics.fmean(m.value for m in measured) if measured else None
    known = None if images is None or mean is None else images_part(metric, mean, mean, images)
    if splits is not None:
        tested = splits.tested(images, splits.number) if metric.share and images is not None else None
        headline = _smallest_over(splits, *_noises(source, "value"), tested)
        loss_only = _smallest_over(splits, *_noises(source, "loss"), None)
    else:
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
        splits=splits,
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
    if power.splits is not None:
        return _over(power, power.splits, ours, theirs, comparisons * power.candidates)
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


def _over(
    power: Power, splits: Splits, ours: Mapping[int, float], theirs: Mapping[int, float], comparisons: int
) -> Difference:
    """Return a difference over splits: a seed is of one split, so what is paired by seed is paired by split."""
    apart = splits.means({seed: ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())})
    values = list(apart.values())
    unpaired = statistics.fmean(ours.values()) - statistics.fmean(theirs.values())
    value, metric = statistics.fmean(values) if values else unpaired, METRICS[power.metric]
    margin = margin_of(values, splits.ratio, comparisons)
    if margin is not None and metric.share and power.images is not None:
        margin = max(margin, floor_of_difference(value, splits.tested(power.images, len(values)), comparisons))
    return Difference(
        value=value,
        margin=margin,
        seeds_known=len(values) >= ENOUGH,
        images_known=True,
        comparisons=comparisons,
        digits=metric.digits,
        splits=len(values),
    )


def mean_margin(power: Power | None, by_seed: Mapping[int, float]) -> float | None:
    """Return the half-width of the 95% interval of a network's mean over splits; None without splits, or below two."""
    if power is None or power.splits is None:
        return None
    means = list(power.splits.means(by_seed).values())
    margin = margin_of(means, power.splits.ratio)
    if margin is None or power.images is None or not METRICS[power.metric].share:
        return margin
    return max(margin, floor_of_mean(statistics.fmean(means), power.splits.tested(power.images, len(means))))


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
    over = [difference for difference in differences if difference.splits is not None]
    if over:
        lines.append(OVER_SPLITS)
    if any(not difference.seeds_known for difference in over):
        lines.append(SPLITS_UNKNOWN)
    differences = [difference for difference in differences if difference.splits is None]
    if any(not difference.seeds_known and difference.margin is not None for difference in differences):
        lines.append(SEEDS_UNKNOWN)
    if any(difference.seeds_alone for difference in differences):
        lines.append(SEEDS_ALONE)
    if any(not difference.images_known for difference in differences):
        lines.append(IMAGES_UNKNOWN)
    return tuple(lines)


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


def _by_split(measured: Sequence[Measurement], splits: Splits) -> list[Measurement]:
    """Return one measurement of each network and split, the mean over its seeds, with the split as its seed."""
    found = []
    for id in dict.fromkeys(m.architecture_id for m in measured):
        mine = [m for m in measured if m.architecture_id == id]
        losses = splits.means({m.seed: m.loss for m in mine if m.loss is not None})
        values = splits.means({m.seed: m.value for m in mine})
        found += [Measurement(id, split, value, losses.get(split)) for split, value in values.items()]
    return found


def _smallest_over(splits: Splits, noise: Noise | None, paired: Noise | None, tested: int | None) -> Smallest:
    """Return what is told apart over splits; `tested`: different images that are tested on, None: not a share."""
    best = paired or noise
    least = 0.0 if tested is None else least_difference(tested)
    if best is None or splits.number < ENOUGH:
        return Smallest(noise, paired, None, None, least or None)
    observed = max(least, half_width(2 * best.sd**2, splits.number, splits.ratio))
    return Smallest(noise, paired, observed, detectable(2 * best.upper**2, splits.number, splits.ratio))


def _at_least(known: float | None, images: int | None, seeds: int) -> float | None:
    """Return what the images alone ask for: by the accuracy where one is stored, else whatever it may be."""
    if images is None:
        return None
    bound = least_difference(images, seeds)
    return bound if known is None else max(bound, Error(0.0, math.inf, known).margin())
