from __future__ import annotations

import math
import runpy
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from dcasearch.analysis.next_step import splits_for
from dcasearch.analysis.paired import least_difference
from dcasearch.analysis.power import Measurement, Power, difference, mean_margin, power
from dcasearch.analysis.resampling import Splits, detectable, half_width, margin_of, splits_of
from tests.support import make_study

SCRIPT: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "split_coverage.py"))
coverage: Callable[..., dict[str, tuple[float, float]]] = SCRIPT["coverage"]

SHARES = {"validation": 0.2, "test": 0.2}
SPLITS = Splits(number=3, of_seed={1000: 0, 1001: 1, 1002: 2, 1003: 0, 1004: 1, 1005: 2}, ratio=1 / 3, test=0.2)


def divided(**final: Any) -> Splits | None:
    data = {"name": "imagefolder", "root": "photos", "split": SHARES}
    return splits_of(make_study(data=data, final=final))


def measured(values: dict[str, dict[int, float]], images: int = 10**6) -> Power:
    """What final trainings can tell apart; on so many images that their part is nothing, unless it is asked for."""
    trainings = [Measurement(name, seed, value, 1.0) for name, of in values.items() for seed, value in of.items()]
    return power("final", trainings, images=images, seeds=3, splits=SPLITS)


def test_the_corrected_interval_holds_the_truth_in_95_percent_and_the_naive_one_in_far_fewer() -> None:
    for naive, corrected in coverage(sets=250, images=100, splits=10).values():
        assert naive < 0.91
        assert corrected >= 0.94


@pytest.mark.slow
@pytest.mark.parametrize("splits", [3, 5, 10, 30])
def test_more_splits_do_not_make_the_corrected_interval_too_narrow(splits: int) -> None:
    for naive, corrected in coverage(sets=800, images=334, splits=splits, seed=1).values():
        assert naive < corrected
        assert corrected >= 0.94


def test_the_margin_is_that_of_nadeau_and_bengio() -> None:
    values = [80.0, 84.0, 79.0, 85.0, 82.0]
    se = statistics.stdev(values) * math.sqrt(1 / 5 + 0.2 / 0.6)
    assert margin_of(values, 0.2 / 0.6) == pytest.approx(stats.t.ppf(0.975, 4) * se)
    assert margin_of(values, 0.2 / 0.6, comparisons=3) == pytest.approx(stats.t.ppf(1 - 0.025 / 3, 4) * se)
    assert margin_of([80.0], 0.2 / 0.6) is None


def test_a_detectable_difference_is_beyond_its_margin_in_80_percent() -> None:
    splits, ratio, variance = 10, 1 / 3, 4.0
    true = detectable(variance, splits, ratio)
    generator = np.random.default_rng(0)
    # Values whose mean has the variance that the correction says, and whose spread is independent of it.
    means = true + math.sqrt(variance * (1 / splits + ratio)) * generator.normal(size=20000)
    spreads = variance * generator.chisquare(splits - 1, size=20000) / (splits - 1)
    margins = half_width(1.0, splits, ratio) * np.sqrt(spreads)
    assert float(np.mean(np.abs(means) > margins)) == pytest.approx(0.8, abs=0.01)
    assert detectable(0.0, splits, ratio) == 0.0


def test_a_study_repeats_its_split_where_it_says_so() -> None:
    found = divided(splits=3)
    assert found is not None
    assert found.of_seed == {1000: 0, 1001: 1, 1002: 2}
    assert (found.number, found.ratio, found.seen) == (3, pytest.approx(1 / 3), pytest.approx(0.8))
    twice = divided(splits=2, seeds=[7, 8, 9, 10])
    assert twice is not None
    assert twice.of_seed == {7: 0, 8: 1, 9: 0, 10: 1}
    assert divided(splits=1) is None
    assert splits_of(make_study(final={"seeds": [1000, 1001]})) is None


def test_a_fidelity_that_trains_on_a_share_of_the_images_has_a_wider_interval() -> None:
    data = {"name": "imagefolder", "root": "photos", "split": SHARES}
    half = [{"name": "proxy", "trials": 5, "resolution": 16, "epochs": 4, "train_fraction": 0.5}]
    found = splits_of(make_study(data=data, final={"splits": 3}, fidelities=half))
    assert found is not None
    assert found.ratio == pytest.approx(2 / 3)


def test_a_difference_is_paired_by_split_and_judged_by_the_corrected_interval() -> None:
    ours, theirs = {1000: 90.0, 1001: 80.0, 1002: 85.0}, {1000: 80.0, 1001: 71.0, 1002: 74.0}
    found = difference(measured({"a": ours, "b": theirs}), ours, theirs, comparisons=2)
    apart = [10.0, 9.0, 11.0]
    assert found.value == pytest.approx(10.0)
    assert found.margin == pytest.approx(margin_of(apart, SPLITS.ratio, 2))
    assert (found.counts, found.splits) == ("yes", 3)
    noisy = {1000: 70.0, 1001: 71.0, 1002: 84.0}
    assert difference(measured({"a": ours, "b": noisy}), ours, noisy).counts == "no"


def test_seeds_of_one_split_are_one_value() -> None:
    ours = {1000: 90.0, 1003: 92.0, 1001: 80.0, 1004: 80.0, 1002: 85.0, 1005: 87.0}
    theirs = dict.fromkeys(ours, 80.0)
    found = difference(measured({"a": ours, "b": theirs}), ours, theirs)
    assert found.margin == pytest.approx(margin_of([11.0, 0.0, 6.0], SPLITS.ratio))
    noise = measured({"a": ours}).headline.noise
    assert noise is not None
    assert noise.df == 2


def test_two_splits_count_nothing_and_networks_without_a_common_split_have_no_margin() -> None:
    ours, theirs = {1000: 90.0, 1001: 90.0, 1002: 90.0}, {1000: 10.0, 1001: 11.0}
    two = difference(measured({"a": ours, "b": theirs}), ours, theirs)
    assert (two.counts, two.splits, two.resolved) == ("needs 3 splits", 2, False)
    none = difference(measured({"a": ours}), {1000: 90.0}, {1001: 10.0})
    assert (none.value, none.margin, none.resolved) == (80.0, None, False)


def test_the_mean_of_one_network_has_an_interval_over_splits_alone() -> None:
    ours = {1000: 90.0, 1001: 80.0, 1002: 85.0}
    assert mean_margin(measured({"a": ours}), ours) == pytest.approx(margin_of([90.0, 80.0, 85.0], SPLITS.ratio))
    once = power("final", [Measurement("a", seed, value, 1.0) for seed, value in ours.items()], images=67, seeds=3)
    assert mean_margin(once, ours) is None
    assert mean_margin(None, ours) is None


def test_equal_values_of_few_images_are_not_certain() -> None:
    ours, theirs = dict.fromkeys((1000, 1001, 1002), 36.0), dict.fromkeys((1000, 1001, 1002), 35.0)
    found = measured({"a": ours, "b": theirs}, images=67)
    tested = SPLITS.tested(67, 3)
    assert tested == 163  # of 335 images, 0.8³ are in no test part
    mean = mean_margin(found, ours)
    assert mean == pytest.approx(100 * 1.96 * math.sqrt(0.36 * 0.64 / tested), rel=0.01)
    apart = difference(found, ours, theirs)
    assert apart.margin is not None
    assert apart.margin > 1.0
    assert apart.counts == "no"
    assert apart.margin == pytest.approx(100 * 1.96 * math.sqrt(0.01 / tested), rel=0.3)


def test_a_difference_that_no_image_speaks_against_counts_from_the_least_difference_on() -> None:
    ours = dict.fromkeys((1000, 1001, 1002), 50.0)
    found, least = measured({"a": ours}, images=67), least_difference(SPLITS.tested(67, 3))
    beyond = {seed: value - least - 1.0 for seed, value in ours.items()}
    assert difference(found, ours, beyond).counts == "yes"
    within = {seed: value - least + 0.5 for seed, value in ours.items()}
    assert difference(found, ours, within).counts == "no"


def test_more_splits_are_proposed_only_where_they_would_show_the_lead() -> None:
    ours, theirs = {1000: 90.0, 1001: 80.0, 1002: 85.0}, {1000: 86.0, 1001: 75.0, 1002: 82.0}
    found = measured({"a": ours, "b": theirs})
    needed = splits_for(found, SPLITS, 3.0)
    assert needed is not None
    assert found.headline.paired is not None
    variance = 2 * found.headline.paired.sd**2
    assert half_width(variance, needed, SPLITS.ratio) < 3.0 <= half_width(variance, needed - 1, SPLITS.ratio)
    assert splits_for(found, SPLITS, 0.1) is None
    assert splits_for(measured({}), SPLITS, 3.0) is None


def test_what_can_be_told_apart_over_splits_follows_from_the_noise_between_splits() -> None:
    ours, theirs = {1000: 90.0, 1001: 80.0, 1002: 85.0}, {1000: 80.0, 1001: 71.0, 1002: 74.0}
    found = measured({"a": ours, "b": theirs}).headline
    assert found.paired is not None
    assert found.observed == pytest.approx(half_width(2 * found.paired.sd**2, 3, SPLITS.ratio))
    assert found.true is not None
    assert found.observed is not None
    assert found.true > found.observed
    before = power("final", [], images=67, seeds=3, splits=SPLITS).headline
    assert (before.observed, before.at_least) == (None, least_difference(SPLITS.tested(67, 3)))
