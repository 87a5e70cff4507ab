from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dcasearch.config.study import Pruner
from dcasearch.search.pruning import goes_on, rungs

HALVING = Pruner(name="successive_halving", min_epochs=1, reduction_factor=3, startup=3)
MEDIAN = Pruner(name="median", min_epochs=2, startup=3)


def test_rungs_grow_by_the_factor_and_never_include_the_last_epoch() -> None:
    assert rungs(HALVING, 15) == [1, 3, 9]
    assert rungs(HALVING, 9) == [1, 3]
    assert rungs(MEDIAN, 5) == [2, 3, 4]
    assert rungs(Pruner(), 5) == []


def test_halving_keeps_the_best_third_at_a_rung() -> None:
    others = [[float(value)] for value in (10, 20, 30, 40, 50)]
    assert goes_on(HALVING, 9, [45.0], others)
    assert not goes_on(HALVING, 9, [35.0], others)


def test_between_rungs_every_trial_goes_on() -> None:
    others = [[90.0, 90.0]] * 9
    assert goes_on(HALVING, 9, [1.0, 1.0], others)


def test_no_rung_prunes_before_it_has_seen_enough_trials() -> None:
    assert goes_on(HALVING, 9, [1.0], [[90.0]] * 2)
    assert not goes_on(HALVING, 9, [1.0], [[90.0]] * 3)


def test_curves_that_did_not_reach_the_rung_do_not_count() -> None:
    assert goes_on(HALVING, 9, [1.0, 1.0, 1.0], [[90.0]] * 9)


def test_median_stops_what_is_below_the_median_of_the_same_epoch() -> None:
    others = [[0.0, value] for value in (10.0, 20.0, 30.0)]
    assert goes_on(MEDIAN, 9, [0.0, 20.0], others)
    assert not goes_on(MEDIAN, 9, [99.0, 19.0], others)


def test_a_loss_is_better_when_lower() -> None:
    pruner = Pruner(name="median", metric="loss", min_epochs=1, startup=3)
    others = [[1.0], [2.0], [3.0]]
    assert goes_on(pruner, 9, [1.5], others)
    assert not goes_on(pruner, 9, [2.5], others)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.floats(0, 100))
def test_asking_twice_answers_the_same(seen: list[float], value: float) -> None:
    others = [[v] for v in seen]
    assert goes_on(HALVING, 9, [value], others) == goes_on(HALVING, 9, [value], others)


@given(st.lists(st.floats(0, 100), min_size=3, max_size=30))
def test_the_best_of_all_is_never_pruned(seen: list[float]) -> None:
    others = [[v] for v in seen]
    assert goes_on(HALVING, 9, [max(seen)], others)
