"""What a study optimises: the values of a trial, its violated constraint, and who is better than whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dcasearch.config.study import Bound, Fidelity, Study
from dcasearch.evaluation import Epoch
from dcasearch.metrics import SCORE, Direction, Metric, is_cost


def objectives_at(study: Study, fidelity: Fidelity) -> dict[str, Direction]:
    """Return what is optimised at a fidelity: the study's, or the score and the costs where nothing is measured."""
    if fidelity.kind == "training":
        return dict(study.objectives)
    at: dict[str, Direction] = {}
    for metric, direction in study.objectives.items():
        if is_cost(metric):
            at[metric] = direction
        else:
            at[SCORE.name] = "maximize"  # in the place of the first that is measured; there is one score
    return at


def headline_at(study: Study, fidelity: Fidelity) -> Metric:
    """Return the metric that views compare networks by at a fidelity: the study's, or the score."""
    return SCORE if fidelity.kind == "zero_cost" else study.headline


def measured(epoch: Epoch, headline: Metric) -> dict[str, float]:
    """Return the one number that an epoch is told by, under its name: the headline metric, or the score."""
    return {headline.name: epoch.values[headline.name]}


def values_of(objectives: Mapping[str, Direction], epoch: Epoch, costs: Mapping[str, float]) -> tuple[float, ...]:
    """Return one value per objective, of a trial whose last epoch and costs are given."""
    return tuple(float((costs if is_cost(metric) else epoch.values)[metric]) for metric in objectives)


def curve_metric(study: Study, fidelity: Fidelity) -> str:
    """Return the metric whose curve Optuna shows: the measured objective if it is the only one, else the pruner's."""
    if fidelity.kind == "zero_cost":
        return SCORE.name
    measured = [metric for metric in study.objectives if not is_cost(metric)]
    return measured[0] if len(study.objectives) == 1 and measured else fidelity.pruner.metric


def violation(constraints: Mapping[str, Bound], costs: Mapping[str, float]) -> dict[str, float]:
    """Return by how much each constraint is violated; 0 or less is feasible, as Optuna has it."""
    amounts: dict[str, float] = {}
    for metric, bound in constraints.items():
        value = float(costs[metric])
        over = value - bound.max if bound.max is not None else float("-inf")
        under = bound.min - value if bound.min is not None else float("-inf")
        amounts[metric] = max(over, under)
    return amounts


def violated(constraints: Mapping[str, Bound], costs: Mapping[str, float]) -> str:
    """Return the first violated constraint in words, or nothing."""
    for metric, amount in violation(constraints, costs).items():
        if amount > 0:
            bound, value = constraints[metric], costs[metric]
            limit, sign = (bound.max, ">") if bound.max is not None and value > bound.max else (bound.min, "<")
            return f"{metric} {value:,} {sign} {limit:,.0f}"
    return ""


def losses(objectives: Mapping[str, Direction], values: Sequence[float]) -> tuple[float, ...]:
    """Return the values with the sign that makes less better in every place."""
    return tuple(-v if way == "maximize" else v for v, way in zip(values, objectives.values(), strict=True))


def pareto_ranks(points: Sequence[Sequence[float]]) -> list[int]:
    """Return for each tuple of losses its front: 0 is dominated by none, 1 only by front 0, and so on.

    Time and memory grow with the square of the number of points: 0.1 GB for 10,000.
    """
    if not points:
        return []
    losses = np.asarray(points, dtype=np.float64)
    no_worse = np.ones((len(losses), len(losses)), dtype=np.bool_)
    for column in losses.T:
        no_worse &= column[:, None] <= column[None, :]
    dominating = no_worse & ~no_worse.T  # no worse everywhere, and not equal
    dominated_by = dominating.sum(axis=0)
    ranks = np.full(len(losses), -1)
    rank = 0
    while (front := (ranks == -1) & (dominated_by == 0)).any():
        ranks[front] = rank
        dominated_by -= dominating[front].sum(axis=0)
        rank += 1
    return [int(rank) for rank in ranks]


def ranking(objectives: Mapping[str, Direction], values: Sequence[Sequence[float]], by: str) -> list[int]:
    """Return the places of `values` from best to worst.

    `value` sorts by the first objective (further ones break ties), `pareto` by front first. Equal ones stay
    in their order, so the earlier trial wins.
    """
    points = [losses(objectives, value) for value in values]
    fronts = pareto_ranks(points) if by == "pareto" else [0] * len(points)
    return sorted(range(len(points)), key=lambda n: (fronts[n], points[n]))
