"""What can be told apart, as the cells of a table: the same in every view."""

from __future__ import annotations

from typing import Literal

from dcasearch.analysis.paired import ENOUGH
from dcasearch.analysis.power import Power

_UNKNOWN = "not estimable"
HOW_TO_ESTIMATE = (
    "Differences count from three seeds on, `seeds: [0, 1, 2]`, once two networks have been trained; see docs/trust.md."
)


def cells(power: Power, metric: Literal["top1", "loss"] = "top1") -> dict[str, str]:
    """Return the cells of one fidelity's row by name; `known` is empty where nobody has two seeds."""
    smallest = power.top1 if metric == "top1" else power.loss
    digits = ".2f" if metric == "top1" else ".3g"
    noise = _UNKNOWN
    observed = true = _UNKNOWN if power.seeds >= ENOUGH else f"needs {ENOUGH} seeds"
    if smallest.noise is not None:
        low, high = smallest.noise.interval
        noise = f"{smallest.noise.sd:{digits}} [{low:{digits}}, {high:{digits}}]"
    if smallest.observed is not None and smallest.true is not None:
        observed, true = f"{smallest.observed:{digits}}", f"{smallest.true:{digits}}"
    elif smallest.at_least is not None:
        of = "images alone" if power.accuracy is None else f"images, at {power.accuracy:.0f}%"
        rounded = f"{smallest.at_least:.1f}" if smallest.at_least >= 0.1 else f"{smallest.at_least:.1g}"
        observed = f"> {rounded} ({of})"
    return {
        "metric": metric,
        "name": power.name if metric == "top1" else f"{power.name}, loss",
        "images": "not known" if power.images is None else f"{power.images:,}",
        "seeds": str(power.seeds),
        "noise": noise,
        "observed": observed,
        "true": true,
        "noise_from": "" if smallest.noise is None else f"{power.noise_from or power.name}, df {smallest.noise.df}",
        "known": "yes" if smallest.noise is not None else "",
    }
