"""Every claim that docs/racing.md makes of a race's statistics, by simulation with fixed seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from dcasearch.config.study import Race
from dcasearch.search.race import beaten, floor_of, looks, pooled, resolvable, run_races, share

RACE = Race(confidence=0.95, max_seeds=8)


def values(races: int, candidates: int, seeds: int = 8, seed: int = 1) -> NDArray[np.float64]:
    """Trainings of equal candidates: noise, and what a seed does to all of them alike."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((races, candidates, seeds)) + 3 * rng.standard_normal((races, 1, seeds))


def anyone_left(left: NDArray[np.int64] | NDArray[np.bool_]) -> float:
    return float((left > 0).any(1).mean())


def naive(trained: NDArray[np.float64]) -> float:
    """The share of races in which paired t-tests at 5%, after each seed, tell any two candidates apart."""
    told = np.zeros(len(trained), bool)
    for seeds in range(2, trained.shape[2] + 1):
        d = trained[:, :, None, :seeds] - trained[:, None, :, :seeds]
        spread = np.maximum(d.std(3, ddof=1), 1e-12)
        told |= (d.mean(3) / spread * math.sqrt(seeds) > stats.t.isf(0.025, seeds - 1)).any((1, 2))
    return float(told.mean())


@pytest.mark.parametrize("candidates", [2, 3, 5, 8, 12])
def test_without_a_difference_at_most_one_race_in_twenty_tells_anyone_apart(candidates: int) -> None:
    left = run_races(values(4000 if candidates < 8 else 1000, candidates), RACE)
    assert anyone_left(left) <= 0.05
    alone = (left == 0).sum(1) == 1
    assert alone.mean() <= 0.05


def test_naive_paired_tests_tell_two_thirds_of_such_races_apart() -> None:
    assert naive(values(1000, 2)) > 0.12
    assert 0.6 < naive(values(1000, 4)) < 0.75
    assert naive(values(500, 8)) > 0.9


@pytest.mark.parametrize("race", [Race(max_seeds=4), Race(max_seeds=20), Race(confidence=0.8)])
def test_the_chance_of_error_holds_for_other_lengths_and_confidences(race: Race) -> None:
    left = run_races(values(2000, 3, race.max_seeds), race)
    assert anyone_left(left) <= 1 - race.confidence


def test_the_chance_of_error_holds_where_seeds_are_given_before_the_first_look() -> None:
    assert anyone_left(run_races(values(3000, 3), RACE, given=4)) <= 0.05


@pytest.mark.parametrize("candidates", [3, 5, 8, 12])
@pytest.mark.parametrize("noisy", [1, 2])
def test_the_chance_of_error_holds_where_some_are_three_times_as_noisy(candidates: int, noisy: int) -> None:
    trained = np.random.default_rng(3).standard_normal((3000 if candidates < 8 else 1200, candidates, 8))
    trained[:, :noisy] *= 3
    assert anyone_left(run_races(trained, RACE)) <= 0.05


@pytest.mark.parametrize("candidates", [2, 3, 5])
@pytest.mark.parametrize("noise", ["heavy tails", "skewed", "one training in ten collapses"])
def test_the_chance_of_error_holds_for_noise_that_is_not_normal(candidates: int, noise: str) -> None:
    rng, shape = np.random.default_rng(11), (2000, candidates, 8)
    trained = rng.standard_normal(shape)
    if noise == "heavy tails":
        trained = rng.standard_t(3, shape)
    elif noise == "skewed":
        trained = rng.exponential(size=shape)
    else:
        trained -= 8 * (rng.random(shape) < 0.1)
    assert anyone_left(run_races(trained, RACE)) <= 0.05


@pytest.mark.parametrize("candidates", [3, 5, 8])
def test_two_equals_are_not_told_apart_when_all_others_have_left(candidates: int) -> None:
    trained = values(2000, candidates)
    trained[:, :2] += 9
    left = run_races(trained, RACE)
    assert (left[:, 2:] > 0).all(1).mean() > 0.95
    assert anyone_left(left[:, :2]) <= 0.05


@pytest.mark.parametrize("candidates", [2, 3, 5, 8, 12])
def test_a_difference_of_the_advertised_size_is_found_in_at_least_80_percent(candidates: int) -> None:
    trained = values(1000, candidates, seed=7)
    trained[:, 0] += resolvable(1.0, candidates, RACE)
    left = run_races(trained, RACE)
    assert ((left[:, 0] == 0) & (left[:, 1:] > 0).all(1)).mean() >= 0.8


@pytest.mark.parametrize(("race", "given"), [(Race(max_seeds=4), 1), (Race(max_seeds=16), 1), (RACE, 3)])
def test_the_advertised_size_is_right_for_other_lengths_too(race: Race, given: int) -> None:
    trained = values(1500, 4, race.max_seeds, seed=7)
    trained[:, 0] += resolvable(1.0, 4, race, given)
    left = run_races(trained, race, given)
    assert ((left[:, 0] == 0) & (left[:, 1:] > 0).all(1)).mean() >= 0.8


def test_the_advertised_size_is_in_the_unit_of_the_noise_and_shrinks_with_seeds() -> None:
    assert resolvable(0.5, 3, RACE) == 0.5 * resolvable(1.0, 3, RACE)
    sizes = [resolvable(1.0, 3, Race(max_seeds=seeds)) for seeds in (4, 8, 16)]
    assert sizes == sorted(sizes, reverse=True)
    assert resolvable(1.0, 2, Race(max_seeds=2, confidence=0.999)) == math.inf


def test_raising_the_seeds_once_where_nobody_was_told_apart_costs_little_of_the_confidence() -> None:
    trained = values(4000, 2, 12)
    first = anyone_left(run_races(trained[..., :8], RACE))
    both = (run_races(trained[..., :8], RACE) > 0) | (run_races(trained, Race(max_seeds=12)) > 0)
    assert first < anyone_left(both) <= 0.05


def test_a_race_may_be_stopped_at_any_look() -> None:
    left = run_races(values(2000, 3), RACE)
    by_look = [float(((left > 0) & (left <= look)).any(1).mean()) for look in looks(RACE, 1)]
    assert by_look == sorted(by_look)
    assert by_look[-1] <= 0.05


def test_the_shares_of_the_looks_make_one_whole() -> None:
    for given in (1, 2, 5):
        assert sum(share(RACE, given, look) for look in looks(RACE, given)) == pytest.approx(1)
    assert list(looks(RACE, 1)) == [2, 3, 4, 5, 6, 7, 8]
    assert list(looks(RACE, 5)) == [5, 6, 7, 8]


def test_the_pooled_variance_is_that_of_a_difference_and_counts_only_those_racing() -> None:
    trained = values(200, 6, 20)
    assert pooled(trained, np.ones((200, 6), bool)).mean() == pytest.approx(2, rel=0.05)
    two = np.zeros((200, 6), bool)
    two[:, [1, 4]] = True
    own = (trained[:, 1] - trained[:, 4]).var(1, ddof=1)
    np.testing.assert_allclose(pooled(trained, two), own)
    assert np.isnan(pooled(trained[..., :1], two)).all()


def test_two_candidates_are_compared_by_a_paired_t() -> None:
    trained = values(50, 2, 6)
    d = trained[:, 0] - trained[:, 1]
    p = stats.ttest_1samp(d, 0, axis=1, alternative="greater").pvalue
    told = beaten(trained, np.ones((50, 2), bool), 0.4)
    assert (told[:, 0, 1] == (p < 0.2)).all()
    assert 0 < told[:, 0, 1].sum() < 50


def test_who_has_left_puts_nobody_out_and_a_rivalry_may_be_forbidden() -> None:
    trained = values(1, 3)
    trained[:, 0] += 50
    everyone = np.ones((1, 3), bool)
    assert beaten(trained, everyone, 0.05)[0, 0].tolist() == [False, True, True]
    assert not beaten(trained, np.array([[False, True, True]]), 1e-9).any()
    rivals = np.array([[True, True, False]] * 3)
    assert beaten(trained, everyone, 0.05, rivals=rivals)[0, 0].tolist() == [False, True, False]


def test_equal_curves_of_a_coarse_accuracy_are_not_told_apart_by_chance() -> None:
    steps = np.array([[[90.0] * 3, [90.0, 90.0, 90.0 - 100 / 1000]]])
    shifted = np.array([[[90.0] * 3, [90.0 - 100 / 1000] * 3]])
    everyone = np.ones((1, 2), bool)
    assert beaten(shifted, everyone, 0.01).any()  # no spread at all: any difference would do
    assert not beaten(shifted, everyone, 0.01, floor_of(1000)).any()
    assert not beaten(steps, everyone, 0.05, floor_of(1000)).any()
    assert floor_of(None) == 0
