from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from scipy import stats

from dcasearch.analysis.paired import Error, Noise, image_variance, least_difference, own_margin, pooled, residual


def test_the_pooled_noise_is_that_within_groups_with_their_degrees_of_freedom() -> None:
    noise = pooled([[1.0, 3.0], [10.0, 11.0, 12.0], [50.0]])
    assert noise is not None
    assert (noise.sd, noise.df) == (pytest.approx(math.sqrt((2.0 + 2.0) / 3)), 3)
    assert pooled([[1.0], [2.0]]) is None


def test_of_two_networks_the_residual_is_the_paired_t_tests() -> None:
    a, b = [90.0, 91.5, 89.0, 90.5], [88.0, 90.0, 88.5, 88.0]
    noise = residual({("a", n): v for n, v in enumerate(a)} | {("b", n): v for n, v in enumerate(b)})
    assert noise is not None
    differences = [x - y for x, y in zip(a, b, strict=True)]
    assert noise.df == 3
    assert noise.sd * math.sqrt(2) == pytest.approx(statistics.stdev(differences))
    margin = Error(2 * noise.sd**2 / 4, noise.df).margin()
    theirs = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert margin == pytest.approx((theirs.high - theirs.low) / 2)


def test_what_all_networks_share_of_a_seed_is_no_residual() -> None:
    rng = np.random.default_rng(0)
    networks, seeds, noise = 10 * rng.standard_normal(30), 10 * rng.standard_normal(4), rng.standard_normal((30, 4))
    values = {(f"n{i}", s): networks[i] + seeds[s] + noise[i, s] for i in range(30) for s in range(4)}
    del values["n3", 2]  # not every network needs every seed
    found, band = residual(values), pooled([[values[f"n{i}", s] for s in range(4)] for i in range(30) if i != 3])
    assert found is not None
    assert band is not None
    assert found.df == 29 * 3 - 1
    assert found.sd == pytest.approx(1.0, abs=0.2)
    assert band.sd > 5
    assert residual({("a", 0): 1.0, ("a", 1): 2.0}) is None
    assert residual({("a", 0): 1.0, ("b", 0): 2.0}) is None


def test_the_noise_band_holds_the_truth_in_95_of_100_and_its_upper_limit_in_80() -> None:
    rng = np.random.default_rng(1)
    held = above = 0
    for _ in range(1000):
        noise = pooled(rng.normal(0, 0.7, (3, 3)).tolist())
        assert noise is not None
        low, high = noise.interval
        held += low <= 0.7 <= high
        above += noise.upper >= 0.7
    assert 930 <= held <= 970
    assert 770 <= above <= 830


def test_the_bound_of_the_images_is_above_their_variance_and_below_twice_it_where_errors_are_independent() -> None:
    rng = np.random.default_rng(2)
    right = rng.random((2000, 2, 400)) < np.array([0.9, 0.85])[:, None]
    differences = 100 * (right[:, 0].mean(1) - right[:, 1].mean(1))
    bound = image_variance(90.0, 85.0, 400)
    assert differences.var() < bound < 2 * differences.var()
    assert image_variance(100.0, 100.0, 400) > 0


def test_no_difference_below_the_least_is_ever_beyond_its_margin() -> None:
    images = 144
    z = stats.norm.ppf(0.975)
    beyond = [k for k in range(1, images) if k / images > z * math.sqrt((k / images - (k / images) ** 2) / images)]
    assert 100 * (beyond[0] - 1) / images <= least_difference(images) <= 100 * beyond[0] / images
    assert least_difference(50_000, 3) < 0.01


@pytest.mark.parametrize(("measured", "df", "known"), [(1.0, 2, 0.0), (1.0, 4, 0.5), (0.25, 1, 4.0), (0.0, 1, 1.0)])
def test_margins_hold_the_truth_in_about_95_of_100(measured: float, df: int, known: float) -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(2000):
        found = rng.normal(0, math.sqrt(measured + known))
        estimate = measured * rng.chisquare(df) / df
        held += abs(found) <= Error(estimate, df, known).margin()
    assert 0.93 <= held / 2000 <= 0.985


@pytest.mark.parametrize("error", [Error(1.0, 2), Error(1.0, 6, 0.5), Error(0.0, 1, 2.0)])
@pytest.mark.parametrize("seeds", [3, 5])
def test_the_detectable_difference_is_found_in_80_of_100(error: Error, seeds: int) -> None:
    rng = np.random.default_rng(4)
    true, found = error.detectable(seeds), 0
    for _ in range(1500):
        estimate = error.measured * rng.chisquare(error.df) / error.df
        pair = rng.normal(0, math.sqrt(error.measured * seeds), seeds)
        margin = max(Error(estimate, error.df, error.known).margin(), own_margin([pair.tolist()], error.known))
        found += abs(rng.normal(true, error.se)) > margin
    assert 0.77 <= found / 1500 <= 0.83


def test_without_any_error_any_difference_is_detectable() -> None:
    assert Error(0.0, 3).detectable(3) == 0
    assert Error(0.0, 3).margin() == 0


@pytest.mark.parametrize("times", [1.0, 10.0])
@pytest.mark.parametrize("known", [0.0, 4.0])
def test_the_own_margin_holds_the_truth_in_95_of_100_whatever_the_noise_of_each(times: float, known: float) -> None:
    rng, held = np.random.default_rng(5), {"paired": 0, "apart": 0}
    for _ in range(2000):
        a, b = rng.normal(0, 1, 3), rng.normal(0, times, 4)
        images = rng.normal(0, math.sqrt(known))
        held["paired"] += abs(b[:3].mean() + images) <= own_margin([b[:3].tolist()], known)
        held["apart"] += abs(a.mean() - b.mean() + images) <= own_margin([a.tolist(), b.tolist()], known)
    assert min(held.values()) >= 0.94 * 2000


def test_the_own_margin_of_paired_seeds_is_the_paired_t_tests() -> None:
    differences = [1.0, 3.0, 2.5, 2.0]
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert own_margin([differences], 0.0) == pytest.approx((high - low) / 2)


def test_more_comparisons_make_a_wider_margin() -> None:
    error = Error(1.0, 5)
    assert error.margin(10) == pytest.approx(stats.t.isf(0.0025, 5))
    assert error.margin(1) < error.margin(2) < error.margin(10)
    assert Noise(1.0, 1).upper > 3
