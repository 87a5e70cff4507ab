from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dcasearch.analysis.paired import least_difference
from dcasearch.analysis.power import (
    IMAGES_UNKNOWN,
    SEEDS_UNKNOWN,
    Difference,
    Measurement,
    Power,
    difference,
    expected,
    legend,
    power,
)
from dcasearch.analysis.trust import correlate
from dcasearch.analysis.words import cells
from dcasearch.config.study import Promotion


def trained(top1: np.ndarray[Any, Any]) -> list[Measurement]:
    """Trainings of a table: one row a network, one column a seed."""
    return [
        Measurement(f"n{i}", seed, float(value), 1 - float(value) / 100)
        for i, row in enumerate(top1)
        for seed, value in enumerate(row)
    ]


class World:
    """Networks of known true accuracy, that seeds and images blur: every image is right or wrong for every training."""

    def __init__(self, seed: int, *, images: int, seeds: int, spread: float) -> None:
        self.rng = np.random.default_rng(seed)
        self.images, self.seeds, self.spread = images, seeds, spread

    def table(self, truth: list[float]) -> np.ndarray[Any, Any]:
        """Measured top-1 in percent; images are as hard for all networks, so errors overlap as real ones do."""
        hardness = self.rng.random(self.images)
        shifts = self.rng.normal(0, self.spread, (len(truth), self.seeds))
        levels = np.array(truth)[:, None] + shifts
        slack = self.rng.uniform(-0.1, 0.1, (len(truth), self.seeds, self.images))
        return np.asarray(100 * ((hardness + slack) < levels[..., None] / 100).mean(-1))


def verdict(found: Power, table: np.ndarray[Any, Any], a: int, b: int, comparisons: int = 1) -> Difference:
    return difference(found, dict(enumerate(table[a])), dict(enumerate(table[b])), comparisons)


def test_without_a_true_difference_at_most_5_of_100_are_resolved_and_intervals_hold_the_truth() -> None:
    world = World(0, images=500, seeds=3, spread=0.8)
    false = held = 0
    for _ in range(600):
        table = world.table([85.0, 84.0, 80.0, 84.0])
        found = power("full", trained(table), images=500, seeds=3)
        told = verdict(found, table, 1, 3)
        false += told.resolved
        other = verdict(found, table, 0, 2)
        assert other.margin is not None
        held += abs(other.value - 5.0) <= other.margin
    assert false <= 0.05 * 600
    assert held >= 0.95 * 600


def test_seed_noise_alone_gives_false_wins_in_about_5_of_100_and_not_far_fewer() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(800):
        table = 80 + rng.normal(0, 1, (3, 3))
        found = power("full", trained(table), images=10**9, seeds=3)
        told = verdict(found, table, 0, 1)
        assert told.margin is not None
        held += abs(told.value) <= told.margin
    assert 0.93 <= held / 800 <= 0.97


def test_a_leader_picked_by_the_same_values_is_no_false_win() -> None:
    world = World(2, images=2000, seeds=2, spread=1.0)
    corrected = naive = 0
    for _ in range(300):
        table = world.table([80.0] * 12)
        leader = int(table[1:].mean(1).argmax()) + 1
        corrected += verdict(power("p", trained(table), images=2000, seeds=2, candidates=11), table, leader, 0).resolved
        naive += verdict(power("p", trained(table), images=10**9, seeds=2), table, leader, 0).resolved
    assert corrected <= 0.05 * 300
    assert naive > 0.1 * 300  # what the correction is for


@pytest.mark.parametrize(("images", "seeds", "spread"), [(500, 3, 0.8), (5000, 2, 0.5), (10_000, 5, 1.0)])
def test_a_true_difference_of_the_advertised_size_is_found_in_80_of_100(images: int, seeds: int, spread: float) -> None:
    world = World(3, images=images, seeds=seeds, spread=spread)
    others = [84.0, 82.0, 80.0, 78.0]
    found = 0
    for _ in range(250):
        advertised = power("full", trained(world.table(others)), images=images, seeds=seeds).top1.true
        assert advertised is not None
        table = world.table([80.0 + advertised, 80.0, *others])
        found += verdict(power("full", trained(table), images=images, seeds=seeds), table, 0, 1).resolved
    assert found >= 0.8 * 250


def test_with_one_seed_nothing_is_resolved_and_the_seeds_are_said_to_be_unknown() -> None:
    found = power("proxy", trained(np.array([[93.0], [80.0], [85.0]])), images=144, seeds=1)
    assert (found.top1.noise, found.top1.observed, found.top1.true) == (None, None, None)
    told = difference(found, {0: 93.0}, {0: 62.0})
    assert told.value > (told.margin or math.inf)
    assert not told.resolved
    assert str(told).startswith("≈ +31.00 ± ")
    assert str(told).endswith(" + seeds")
    assert told.in_words().endswith("(not resolved)")
    assert SEEDS_UNKNOWN in legend([told])
    assert cells(found)["true"] == "not estimable"
    assert "(images alone)" in cells(found)["observed"]


def test_before_anything_is_measured_the_images_alone_give_a_least_difference() -> None:
    found = power("proxy", [], images=144, seeds=1)
    assert found.top1.at_least == pytest.approx(least_difference(144))
    assert cells(found)["observed"] == "> 2.6 (images alone)"
    assert power("proxy", [], images=None, seeds=1).top1.at_least is None
    assert cells(power("proxy", [], images=None, seeds=1))["images"] == "not known"


def test_seed_noise_of_equal_trainings_on_other_images_is_taken_and_named() -> None:
    several = trained(np.array([[93.0, 92.0], [80.0, 81.5], [85.0, 84.5]]))
    found = power(
        "final", trained(np.array([[93.0], [80.0]])), images=360, seeds=1, elsewhere=several, elsewhere_name="full"
    )
    assert found.noise_from == "full"
    assert difference(found, {1000: 93.0}, {1000: 62.0}).resolved
    assert cells(found)["noise_from"] == "full, df 3"


def test_where_the_number_of_images_was_not_stored_nothing_is_resolved_and_the_reader_is_told() -> None:
    found = power("full", trained(np.array([[93.0, 92.9], [80.0, 80.1]])), images=None, seeds=2)
    told = difference(found, {0: 93.0, 1: 92.9}, {0: 80.0, 1: 80.1})
    assert str(told).endswith(" + images")
    assert not told.resolved
    assert IMAGES_UNKNOWN in legend([told])
    assert str(difference(power("full", [], images=None, seeds=1), {0: 2.0}, {0: 1.0})) == "≈ +1.00"


def test_networks_with_other_seeds_are_not_paired() -> None:
    table = np.array([[90.0, 80.0], [89.0, 79.1], [88.0, 78.2]])  # the seed matters, alike for all
    found = power("full", trained(table), images=10**6, seeds=2)
    paired = difference(found, {0: 90.0, 1: 80.0}, {0: 89.0, 1: 79.1})
    apart = difference(found, {0: 90.0, 1: 80.0}, {2: 89.0})
    assert paired.margin is not None
    assert apart.margin is not None
    assert apart.margin > 5 * paired.margin


def test_of_networks_that_share_some_seeds_those_are_compared() -> None:
    """Means over unequal seeds would say that the better one is the worse one."""
    found = power("full", trained(np.array([[90.0, 80.0], [89.0, 79.1]])), images=10**6, seeds=2)
    shared = difference(found, {0: 90.0, 1: 80.0}, {0: 89.0})
    assert shared.value == 1.0
    assert shared.margin == difference(found, {0: 90.0}, {0: 89.0}).margin


def test_less_noise_on_the_loss_is_told_beside_the_accuracy() -> None:
    found = power("full", trained(np.array([[90.0, 91.0], [88.0, 86.0]])), images=100, seeds=2)
    assert found.loss.noise is not None
    assert found.top1.noise is not None
    assert found.loss.noise.sd == pytest.approx(found.top1.noise.sd / 100)
    assert cells(found, "loss")["name"] == "full, loss"


def test_the_legend_says_only_what_is_needed() -> None:
    known = Difference(3.0, 1.0, True, True)
    assert str(known) == "+3.00 ± 1.0"
    assert len(legend([known])) == 1
    assert legend([]) == ()


def test_below_ten_promoted_networks_no_correlation_is_expected() -> None:
    seen = expected("proxy", "full", Promotion(top=2, random=1), 12)
    assert (seen.networks, seen.drawn, seen.tau, seen.rho) == (3, 1, None, None)
    assert expected("proxy", "full", Promotion(top=8, random=2), 5).networks == 5


def test_the_expected_interval_is_about_as_wide_as_the_bootstraps() -> None:
    seen = expected("proxy", "full", Promotion(top=40, random=0), 40)
    assert seen.rho is not None
    rng, widths = np.random.default_rng(5), []
    for _ in range(20):
        x = rng.standard_normal(40)
        y = 0.52 * x + math.sqrt(1 - 0.52**2) * rng.standard_normal(40)
        found = correlate([(x.tolist(), y.tolist())])
        assert found is not None
        widths.append(found.rho_interval[1] - found.rho_interval[0])
    assert seen.rho[1] - seen.rho[0] == pytest.approx(np.mean(widths), rel=0.2)


def test_few_at_random_that_stand_for_many_make_the_interval_wide() -> None:
    few = expected("proxy", "full", Promotion(top=8, random=2), 200)
    many = expected("proxy", "full", Promotion(top=8, random=20), 200)
    assert few.rho is not None
    assert many.rho is not None
    assert few.rho[1] - few.rho[0] > 1.5 * (many.rho[1] - many.rho[0])
