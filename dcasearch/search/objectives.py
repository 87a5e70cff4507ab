"""What a study optimises: the values of a trial, its violated constraint, and who is better than whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dcasearch.config.study import COSTS, Bound, CostMetric, Direction, Fidelity, Metric, Study
from dcasearch.evaluation import Cost, Epoch


def objectives_at(study: Study, fidelity: Fidelity) -> dict[Metric, Direction]:
    """Return what is optimised at a fidelity: the study's, or the score and the costs where nothing is measured."""
    if fidelity.kind == "training":
        return dict(study.objectives)
    at: dict[Metric, Direction] = {}
    for metric, direction in study.objectives.items():
        if metric in COSTS:
            at[metric] = direction
        else:
            at["score"] = "maximize"  # in the place of the first that is measured; there is one score
    return at


def measured(epoch: Epoch) -> dict[str, float]:
    """Return the one number that an epoch is told by, under its name: top-1 in percent, or the score."""
    return {"top1": epoch.top1} if epoch.score is None else {"score": epoch.score}


def values_of(objectives: Mapping[Metric, Direction], epoch: Epoch, cost: Cost) -> tuple[float, ...]:
    """Return one value per objective, of a trial whose last epoch and cost are given."""
    return tuple(float(getattr(cost if metric in COSTS else epoch, metric)) for metric in objectives)


def curve_metric(study: Study, fidelity: Fidelity) -> Metric:
    """Return the metric whose curve Optuna shows: the measured objective if it is the only one, else the pruner's."""
    if fidelity.kind == "zero_cost":
        return "score"
    measured = [metric for metric in study.objectives if metric not in COSTS]
    return measured[0] if len(study.objectives) == 1 and measured else fidelity.pruner.metric


def violation(constraints: Mapping[CostMetric, Bound], cost: Cost) -> dict[CostMetric, float]:
    """Return by how much each constraint is violated; 0 or less is feasible, as Optuna has it."""
    amounts: dict[CostMetric, float] = {}
    for metric, bound in constraints.items():
        value = float(getattr(cost, metric))
        over = value - bound.max if bound.max is not None else float("-inf")
        under = bound.min - value if bound.min is not None else float("-inf")
        amounts[metric] = max(over, under)
    return amounts


def violated(constraints: Mapping[CostMetric, Bound], cost: Cost) -> str:
    """Return the first violated constraint in words, or nothing."""
    for metric, amount in violation(constraints, cost).items():
        if amount > 0:
            bound, value = constraints[metric], getattr(cost, metric)
            limit, sign = (bound.max, ">") if bound.max is not None and value > bound.max else (bound.min, "<")
            return f"{metric} {value:,} {sign} {limit:,.0f}"
    return ""


def losses(objectives: Mapping[Metric, Direction], values: Sequence[float]) -> tuple[float, ...]:
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


def ranking(objectives: Mapping[Metric, Direction], values: Sequence[Sequence[float]], by: str) -> list[int]:
    """Return the places of `values` from best to worst.

    `value` sorts by the first objective (further ones break ties), `pareto` by front first. Equal ones stay
    in their order, so the earlier trial wins.
    """
    points = [losses(objectives, value) for value in values]
    fronts = pareto_ranks(points) if by == "pareto" else [0] * len(points)
    return sorted(range(len(points)), key=lambda n: (fronts[n], points[n]))
