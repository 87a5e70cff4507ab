"""What can be told apart, as the cells of a table: the same in every view."""

from __future__ import annotations

from dcasearch.analysis.paired import ENOUGH
from dcasearch.analysis.power import Power
from dcasearch.metrics import METRICS

_UNKNOWN = "not estimable"
HOW_TO_ESTIMATE = (
    "Differences count from three seeds on, `seeds: [0, 1, 2]`, once two networks have been trained; see docs/trust.md."
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
    observed = true = _UNKNOWN if power.seeds >= ENOUGH else f"needs {ENOUGH} seeds"
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
        "seeds": str(power.seeds),
        "noise": noise,
        "observed": observed,
        "true": true,
        "noise_from": "" if smallest.noise is None else f"{power.noise_from or power.name}, df {smallest.noise.df}",
        "known": "yes" if smallest.noise is not None else "",
    }
