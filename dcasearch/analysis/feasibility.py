"""Whether anything in a space meets a study's constraints, as far as its costs are known before a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from dcasearch.analysis.asked import short
from dcasearch.config.study import Study
from dcasearch.evaluation import Cost
from dcasearch.metrics import METRICS
from dcasearch.search.objectives import violation


def infeasible_shares(study: Study, costs: Sequence[Cost]) -> dict[str, float]:
    """Return the share of some networks that violate each constraint; what a device must measure is left out."""
    known = [asdict(one) for one in costs]
    return {
        metric: sum(violation({metric: bound}, one)[metric] > 0 for one in known) / len(known)
        for metric, bound in study.constraints.items()
        if not METRICS[metric].of_device
    }


def nothing_feasible(study: Study, costs: Sequence[Cost], *, all_of_them: bool) -> str | None:
    """Return a sentence where none of some networks meets the constraints, else None.

    Args:
        study: the study.
        costs: of networks of its space.
        all_of_them: whether the space has no others; else they are random ones.
    """
    known = [asdict(one) for one in costs]
    bounds = {metric: study.constraints[metric] for metric in infeasible_shares(study, costs)}
    if any(not any(value > 0 for value in violation(bounds, one).values()) for one in known):
        return None
    ranges = []
    for metric, bound in bounds.items():
        if any(violation({metric: bound}, one)[metric] > 0 for one in known):
            low, high = (short(limit(one[metric] for one in known)) for limit in (min, max))
            said = [f"{word} {short(to)}" for word, to in (("min", bound.min), ("max", bound.max)) if to is not None]
            ranges.append(f"{metric} is {low} to {high}, and the bound is {' and '.join(said)}")
    who = "no architecture of the space meets" if all_of_them else f"none of {len(known)} random architectures meets"
    return f"constraints: {who} them all: {'; '.join(ranges)}. Widen a bound or the space"
