from __future__ import annotations

import numpy as np
import pytest

from dcasearch.interpretation.intervals import GROUPS, RESAMPLES, Estimate, bootstrap, jackknife


def known(estimate: Estimate | None) -> Estimate:
    assert estimate is not None
    return estimate


def test_a_bootstrap_is_around_the_mean_and_as_wide_as_the_standard_error_says() -> None:
    values = np.random.default_rng(1).normal(5, 2, (400, 1))
    estimate = known(bootstrap(values).estimates()[0])
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_an_image_without_a_value_is_in_no_mean() -> None:
    values = np.array([[1.0, np.nan], [3.0, np.nan]])
    first, second = bootstrap(values).estimates()
    assert known(first).value == 2.0
    assert second is None
    assert known(bootstrap(np.array([[1.0], [np.nan]])).estimates()[0]) == Estimate(1.0, 1.0, 1.0)


def test_a_difference_of_paired_numbers_has_the_interval_of_the_difference() -> None:
    noise = np.random.default_rng(2).normal(0, 10, (100, 1))
    joined = bootstrap(noise + 1).beside(bootstrap(noise))
    [difference] = joined.estimates(lambda rows: rows[:, :1] - rows[:, 1:])
    assert known(difference).low == pytest.approx(1.0)
    assert known(difference).high == pytest.approx(1.0)


def test_a_bootstrap_is_the_same_each_time() -> None:
    values = np.random.default_rng(3).random((50, 2))
    first, second = bootstrap(values), bootstrap(values)
    assert first.rows.shape == (RESAMPLES + 1, 2)
    assert np.array_equal(first.rows, second.rows)


def test_the_jackknife_of_a_mean_has_the_error_of_that_mean() -> None:
    values = np.random.default_rng(4).normal(0, 3, 8 * GROUPS)
    replicates = jackknife(len(values), lambda chosen: np.array([values[chosen].mean()]))
    estimate = known(replicates.estimates()[0])
    groups = values.reshape(-1, GROUPS).mean(0)  # the mean of each group; their spread is the error of the mean
    half = 2.0395 * groups.std(ddof=1) / np.sqrt(GROUPS)  # t of 31 degrees of freedom
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.high - estimate.value == pytest.approx(half, rel=1e-3)
    assert estimate.value - estimate.low == pytest.approx(half, rel=1e-3)


def test_an_estimate_is_resolved_where_its_interval_misses_zero() -> None:
    assert Estimate(0.2, 0.1, 0.3).resolved
    assert not Estimate(0.2, -0.1, 0.5).resolved
