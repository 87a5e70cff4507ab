"""What can be told apart, as the cells of a table: the same in every view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dcasearch.analysis.paired import ENOUGH
from dcasearch.analysis.power import NEEDS_SEEDS, NEEDS_SPLITS, Difference, Power
from dcasearch.metrics import METRICS, Metric

if TYPE_CHECKING:
    from dcasearch.analysis.standing import Compared

DIFFERENCES_OF_A_TABLE = (
    "A difference is this row minus the row that it is compared with, over the seeds that both have; ± is its 95% "
    "margin by seeds and images, for all rows at once. A row is better or worse only where the difference is beyond ±."
)


def how_to_read(metric: Metric) -> str:
    """Return what a reader of a table of differences needs to know."""
    if metric.share:
        return DIFFERENCES_OF_A_TABLE
    return DIFFERENCES_OF_A_TABLE.replace("by seeds and images", "by seeds, on these images")


_UNKNOWN = "not estimable"
HOW_TO_ESTIMATE = (
    "Differences count from three seeds on, `seeds: [0, 1, 2]`, once two networks have been trained; see docs/trust.md."
)


def verdict(difference: Difference | None, metric: Metric) -> str:
    """Return what a difference says, in a word: `better`, `worse`, or why it says neither."""
    if difference is None:
        return ""
    if difference.counts == "yes":
        return "better" if metric.sign * difference.value > 0 else "worse"
    return "not resolved" if difference.counts == "no" else difference.counts


OVER_SPLITS = ("95% of the mean", "the search's split")
"""Columns of final trainings over splits: half-width of the mean's interval, and the value on the first split."""


def over_splits(final: Compared) -> tuple[str, str]:
    """Return the cells of `OVER_SPLITS`, e.g. `± 6.1` and `86.57`."""
    found, digits = final.over_splits, final.headline.digits
    if found is None:
        return "", ""
    margin = "" if found.margin is None else f"± {found.margin:{'.1f' if digits == '.2f' else '.2g'}}"
    return margin, "not measured" if found.own is None else f"{found.own:{digits}}"


LEADS = ("leader's lead", "does it count?")
"""Columns of a comparison: what the leader is ahead by, and whether that counts, in a word."""


def counts(difference: Difference | None) -> str:
    """Return whether a difference counts: `yes`, `no`, or why nobody can say; empty without one."""
    return "" if difference is None else difference.counts


def in_numbers(difference: Difference | None) -> str:
    """Return e.g. `+0.35 ± 0.8`; empty without a difference."""
    return "" if difference is None else str(difference)


def too_small(powers: Sequence[Power]) -> str | None:
    """Return in one sentence that a study can tell no networks apart; None where it may."""
    if not powers or any(power.repeats >= ENOUGH for power in powers):
        return None
    most = max(power.seeds for power in powers)
    seeds = "one seed" if most == 1 else f"{most} seeds"
    return f"Too small to tell networks apart: each has {seeds}, a lead counts from {ENOUGH} seeds on."


def tested_on(power: Power | None) -> str:
    """Return which images final trainings are measured on."""
    if power is None or power.splits is None:
        return "on the test split"
    return f"on the test images of {power.splits.number} splits of the data"


def further_splits(power: Power | None) -> str | None:
    """Return what repeated splits of the data can and cannot say; None where the data is divided once."""
    if power is None or power.splits is None:
        return None
    return (
        "The search has not seen the test images of its own split. Of those of the further splits it has seen about "
        f"{power.splits.seen:.0%}, as training or validation images: they helped to choose the network. No training "
        "has seen the test images that it is measured on."
    )


def cells(power: Power, *, of_loss: bool = False) -> dict[str, str]:
    """Return the cells of one fidelity's row by name; `known` is empty where nobody has two seeds.

    Args:
        power: The fidelity's.
        of_loss: The row of the loss; else that of the headline metric.
    """
    smallest = power.loss if of_loss else power.headline
    digits = ".2f" if METRICS[power.metric].share and not of_loss else ".3g"
    noise = _UNKNOWN
    needs = NEEDS_SEEDS if power.splits is None else NEEDS_SPLITS
    observed = true = _UNKNOWN if power.repeats >= ENOUGH else needs
    if smallest.noise is not None:
        low, high = smallest.noise.interval
        noise = f"{smallest.noise.sd:{digits}} [{low:{digits}}, {high:{digits}}]"
    if smallest.observed is not None and smallest.true is not None:
        observed, true = f"{smallest.observed:{digits}}", f"{smallest.true:{digits}}"
    elif smallest.at_least is not None:
        of = "images alone" if power.mean is None else f"images, at {power.mean:.0f}%"
        rounded = f"{smallest.at_least:.1f}" if smallest.at_least >= 0.1 else f"{smallest.at_least:.1g}"
        observed = f"> {rounded} ({of})"
    return {
        "metric": "loss" if of_loss else power.metric,
        "name": f"{power.name}, loss" if of_loss else power.name,
        "images": "not known" if power.images is None else f"{power.images:,}",
        "seeds": str(power.seeds) if power.splits is None else f"{power.seeds} on {power.splits.number} splits",
        "noise": noise,
        "observed": observed,
        "true": true,
        "noise_from": "" if smallest.noise is None else f"{power.noise_from or power.name}, df {smallest.noise.df}",
        "known": "yes" if smallest.noise is not None else "",
    }
