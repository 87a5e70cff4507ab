from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcasearch.config.study import Bound
from dcasearch.evaluation import Epoch
from dcasearch.search.objectives import (
    curve_metric,
    headline_at,
    measured,
    objectives_at,
    pareto_ranks,
    ranking,
    values_of,
    violation,
)
from tests.support import make_study

EPOCH = Epoch(epoch=3, train_loss=0.5, values={"loss": 0.7, "top1": 80.0, "top5": 99.0}, seconds=1.0)
COST = {"params": 5_000_000, "macs": 300_000_000}


def test_a_trial_has_one_value_per_objective_in_the_order_of_the_yaml() -> None:
    assert values_of({"top1": "maximize", "macs": "minimize", "loss": "minimize"}, EPOCH, COST) == (80.0, 3e8, 0.7)


ZERO: dict[str, Any] = {"name": "zero", "kind": "zero_cost", "score": "snip", "trials": 3, "resolution": 16}
PROXY: dict[str, Any] = {"name": "proxy", "promote": {"top": 2}, "resolution": 16, "epochs": 2}


@pytest.mark.parametrize(
    ("objectives", "scored"),
    [
        ({"top1": "maximize"}, {"score": "maximize"}),
        ({"loss": "minimize", "macs": "minimize"}, {"score": "maximize", "macs": "minimize"}),
        ({"macs": "minimize", "top1": "maximize", "top5": "maximize"}, {"macs": "minimize", "score": "maximize"}),
    ],
)
def test_where_nothing_is_trained_the_score_is_maximized_in_place_of_what_is_measured(
    objectives: dict[str, str], scored: dict[str, str]
) -> None:
    study = make_study(objectives=objectives, fidelities=[ZERO, PROXY])
    zero, proxy = study.fidelities
    assert list(objectives_at(study, zero).items()) == list(scored.items())
    assert objectives_at(study, proxy) == objectives
    assert (curve_metric(study, zero), curve_metric(study, proxy)) == (
        "score",
        next(iter(objectives)) if len(objectives) == 1 else "top1",
    )


def test_an_epoch_is_told_by_its_accuracy_and_a_score_by_itself() -> None:
    study = make_study(fidelities=[ZERO, PROXY])
    zero, proxy = study.fidelities
    assert measured(EPOCH, headline_at(study, proxy)) == {"top1": 80.0}
    assert measured(Epoch.of_score(4.5, 0.1, "cpu"), headline_at(study, zero)) == {"score": 4.5}


@pytest.mark.parametrize(
    ("objectives", "headline"),
    [
        ({"macro_f1": "maximize"}, "macro_f1"),
        ({"params": "minimize", "calibration_error": "minimize"}, "calibration_error"),
        ({"top1": "maximize", "macro_f1": "maximize"}, "top1"),
        ({"loss": "minimize"}, "top1"),
    ],
)
def test_a_study_that_optimises_a_further_metric_is_compared_by_it(objectives: dict[str, str], headline: str) -> None:
    study = make_study(objectives=objectives)
    assert headline_at(study, study.fidelities[0]).name == headline


def test_a_violated_constraint_is_positive_by_the_amount_and_a_kept_one_is_not() -> None:
    assert violation({"params": Bound(max=4_000_000)}, COST) == {"params": 1_000_000}
    assert violation({"params": Bound(max=5_000_000)}, COST) == {"params": 0}
    assert violation({"macs": Bound(min=4e8)}, COST) == {"macs": 1e8}
    assert violation({"macs": Bound(min=1e8, max=4e8)}, COST)["macs"] < 0


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and tuple(a) != tuple(b)


@given(st.integers(1, 3).flatmap(lambda n: st.lists(st.tuples(*[st.integers(0, 6).map(float)] * n), max_size=25)))
def test_pareto_ranks_are_those_of_the_definition(points: list[tuple[float, ...]]) -> None:
    ranks = pareto_ranks(points)
    for point, rank in zip(points, ranks, strict=True):
        above = [other for other, r in zip(points, ranks, strict=True) if dominates(other, point) and r == rank - 1]
        assert rank == 0 or above  # someone of the front before dominates it, and nobody of its own or a later one
        assert not [o for o, r in zip(points, ranks, strict=True) if r >= rank and dominates(o, point)]


def test_pareto_ranks_peel_front_by_front() -> None:
    assert pareto_ranks([(1, 4), (2, 2), (4, 1), (3, 3), (5, 5)]) == [0, 0, 0, 1, 2]


def test_ranking_by_value_prefers_the_first_objective_and_the_earlier_trial_on_a_tie() -> None:
    objectives = {"top1": "maximize", "macs": "minimize"}
    assert ranking(objectives, [(70, 5), (80, 9), (80, 7), (80, 7)], "value") == [2, 3, 1, 0]  # type: ignore[arg-type]  # literals


def test_ranking_by_pareto_puts_the_front_first() -> None:
    objectives = {"top1": "maximize", "macs": "minimize"}
    assert ranking(objectives, [(70, 1), (80, 9), (75, 9)], "pareto") == [1, 0, 2]  # type: ignore[arg-type]  # literals
