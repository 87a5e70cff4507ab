"""What an ablation has measured: which parts the chosen network can do without, by a test of non-inferiority.

A variant is `not worse` where the whole interval of its difference to the chosen network lies above −margin, and
`worse` where the interval lies below 0 and reaches beyond −margin. Intervals are 95%, paired by seed, for all variants
at once (`dcasearch.analysis.power.difference`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

from dcasearch.ablation.variants import Toggle, Variant
from dcasearch.analysis.paired import ENOUGH, Error
from dcasearch.analysis.power import Difference, Power, difference, images_part
from dcasearch.evaluation import Cost
from dcasearch.metrics import METRICS

Word: TypeAlias = Literal["chosen", "not worse", "worse", "not known", "not trained"]

_MOST_SEEDS = 1000
"""Seeds above which nobody plans."""


@dataclass(frozen=True)
class Judged:
    """One network of an ablation and what is known of it."""

    label: str
    toggle: Toggle | None
    architecture_id: str
    cost: Cost
    seeds: int
    """Trained so far."""
    difference: Difference | None
    """The variant's mean minus the chosen network's; None of the chosen network, and of a variant without training."""
    word: Word


@dataclass(frozen=True)
class Verdict:
    """What an ablation says as a whole."""

    margin: float
    """In the metric's unit."""
    metric: str
    rows: tuple[Judged, ...]
    """The chosen network first, then the variants in their order."""
    power: Power
    """Of the trainings: the noise of seeds and the number of images."""

    @property
    def noise_known(self) -> bool:
        """Whether some network has two seeds."""
        return self.power.headline.noise is not None

    @cached_property
    def seeds_needed(self) -> int | None:
        """Seeds of each network that tell an equal one to be not worse in 80% of cases (`seeds_needed`)."""
        return seeds_needed(self.power, len(self.rows) - 1, self.margin)

    @property
    def chosen(self) -> Judged:
        """The chosen network."""
        return self.rows[0]

    @property
    def smallest(self) -> Judged:
        """The smallest network that is known not to be worse: the chosen one, where no smaller one is."""
        able = [row for row in self.rows if row.word in ("chosen", "not worse")]
        return min(able, key=_size)

    @property
    def open(self) -> tuple[Judged, ...]:
        """The networks smaller than `smallest` of which it is not known whether they are worse."""
        return tuple(
            row for row in self.rows if row.word in ("not known", "not trained") and _size(row) < _size(self.smallest)
        )


def judge(
    variants: Sequence[Variant],
    values: Mapping[str, Mapping[int, float]],
    costs: Mapping[str, Cost],
    power: Power,
    margin: float,
) -> Verdict:
    """Return what the trainings say of each variant.

    Args:
        variants: the chosen network first.
        values: the headline metric by architecture id and seed, as far as it is measured.
        costs: by architecture id.
        power: of these trainings: noise of seeds, images, metric.
        margin: how much worse, in the metric's unit, still counts as not worse; above 0.
    """
    chosen, *others = variants
    ours = values.get(chosen.architecture.id, {})
    power = replace(power, candidates=1)  # the chosen network was chosen by other seeds
    rows = [
        Judged(chosen.label, None, chosen.architecture.id, costs[chosen.architecture.id], len(ours), None, "chosen")
    ]
    for variant in others:
        measured = values.get(variant.architecture.id, {})
        told = difference(power, measured, ours, len(others)) if measured and ours else None
        word = "not trained" if told is None else _word(told, margin, METRICS[power.metric].sign)
        rows.append(
            Judged(
                variant.label,
                variant.toggle,
                variant.architecture.id,
                costs[variant.architecture.id],
                len(measured),
                told,
                word,
            )
        )
    return Verdict(margin, power.metric, tuple(rows), power)


def _word(told: Difference, margin: float, sign: float) -> Word:
    """Return what an interval says; `sign` is −1 of a metric of which less is better."""
    if told.margin is None or not (told.seeds_known and told.images_known):
        return "not known"
    low, high = sign * told.value - told.margin, sign * told.value + told.margin
    if low > -margin:
        return "not worse"
    return "worse" if high < 0 else "not known"


def seeds_needed(power: Power, comparisons: int, margin: float) -> int | None:
    """Return the seeds of each network that tell an equal one to be not worse in 80% of cases; None: no number does.

    Of two equal networks the difference is 0, and −margin lies as far below it as a difference of `margin` above.
    The images' part does not become less with seeds, so a set of few images may never tell.
    """
    noise = power.headline.paired or power.headline.noise
    if noise is None or power.images is None or power.mean is None:
        return None
    known = images_part(METRICS[power.metric], power.mean, power.mean, power.images)
    if Error(0.0, noise.df, known).margin(comparisons) >= margin:
        return None
    low, high = ENOUGH, _MOST_SEEDS
    if not _tells(noise.upper, noise.df, known, high, comparisons, margin):
        return None
    while low < high:
        middle = (low + high) // 2
        if _tells(noise.upper, noise.df, known, middle, comparisons, margin):
            high = middle
        else:
            low = middle + 1
    return low


def _tells(sd: float, df: int, known: float, seeds: int, comparisons: int, margin: float) -> bool:
    return Error(2 * sd**2 / seeds, df, known).detectable(seeds, comparisons) <= margin


def _size(row: Judged) -> tuple[int, int]:
    return row.cost.params, row.cost.macs
