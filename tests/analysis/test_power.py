from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from dcasearch.analysis.paired import ENOUGH, least_difference
from dcasearch.analysis.power import (
    IMAGES_UNKNOWN,
    SEEDS_UNKNOWN,
    Difference,
    Measurement,
    Power,
    difference,
    legend,
    power,
)
from dcasearch.analysis.words import cells


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
    for _ in range(200):
        table = world.table([85.0, 84.0, 80.0, 84.0])
        found = power("full", trained(table), images=500, seeds=3)
        told = verdict(found, table, 1, 3)
        false += told.resolved
        other = verdict(found, table, 0, 2)
        assert other.margin is not None
        held += abs(other.value - 5.0) <= other.margin
    assert false <= 0.05 * 200
    assert held >= 0.95 * 200


def test_a_leader_picked_by_the_same_values_is_no_false_win() -> None:
    world = World(2, images=2000, seeds=3, spread=1.0)
    false = 0
    for _ in range(100):
        table = world.table([80.0] * 12)
        leader = int(table[1:].mean(1).argmax()) + 1
        false += verdict(power("p", trained(table), images=2000, seeds=3, candidates=11), table, leader, 0).resolved
    assert false <= 0.05 * 100


ROUNDS = 4000
AT_MOST = 0.05 + 2 * math.sqrt(0.05 * 0.95 / ROUNDS)
"""Where the chance is 5% to the letter, as of the paired t of two networks, so many rounds may show that."""
Tables = NDArray[np.float64]
"""rounds × networks × seeds, of networks that are equally good."""


def told_apart(
    tables: Tables, leaders: NDArray[np.int64], comparisons: int = 1, *, own: bool = True
) -> NDArray[np.bool_]:
    """What `difference` says of many tables at once, all of seeds and nothing of images: rounds × networks."""
    _, networks, seeds = tables.shape
    centred = tables - tables.mean(2, keepdims=True)
    squares = ((centred - centred.mean(1, keepdims=True)) ** 2).sum((1, 2))
    df = (networks - 1) * (seeds - 1)
    margins = stats.t.isf(0.025 / comparisons, df) * np.sqrt(2 * squares / df / seeds)[:, None]
    lead = tables[np.arange(len(tables)), leaders][:, None] - tables
    if own:
        paired = stats.t.isf(0.025 / math.sqrt(comparisons), seeds - 1) * lead.std(2, ddof=1) / math.sqrt(seeds)
        margins = np.maximum(margins, paired)
    told: NDArray[np.bool_] = np.abs(lead.mean(2)) > margins
    return told


def noisy(kind: str, networks: int, seeds: int, place: int, rounds: int = ROUNDS) -> Tables:
    rng = np.random.default_rng(6)
    tables = 80 + rng.standard_normal((rounds, networks, seeds)) + 3 * rng.standard_normal((rounds, 1, seeds))
    if kind.startswith("times"):
        tables[:, place] = 80 + float(kind.split()[1]) * (tables[:, place] - 80)
    elif kind.startswith("fails"):
        tables[:, place] -= float(kind.split()[1]) * (rng.random((rounds, seeds)) < 0.2)
    elif kind.startswith("all fail"):
        tables -= float(kind.split()[2]) * (rng.random(tables.shape) < 0.2)
    return tables


KINDS = ["equal", "times 3", "times 10", "fails 8", "fails 30", "all fail 30"]


@pytest.mark.parametrize("kind", ["equal", "times 10"])
def test_the_simulated_verdicts_are_those_of_the_package(kind: str) -> None:
    tables = noisy(kind, 4, 3, 1, rounds=60)
    tables[:, 0] += np.linspace(0, 30, 60)[:, None]
    told = told_apart(tables, np.zeros(60, int), 3)
    for n, table in enumerate(tables):
        found = power("p", trained(table), images=10**12, seeds=3)
        assert [verdict(found, table, 0, b, 3).resolved for b in (1, 2, 3)] == told[n, 1:].tolist()
    assert 10 < told[:, 1:].sum() < 170


def at_once(tables: Tables) -> float:
    """The share of tables that call anything a difference, of the first network and all others."""
    return float(told_apart(tables, np.zeros(len(tables), int), tables.shape[1] - 1)[:, 1:].any(1).mean())


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("networks", [2, 3, 6, 12])
@pytest.mark.parametrize("kind", KINDS)
def test_at_most_5_of_100_tables_hold_a_false_win_however_unequal_the_noise(
    seeds: int, networks: int, kind: str
) -> None:
    for place in (0, 1):  # the leader, one of those it is compared with
        assert at_once(noisy(kind, networks, seeds, place)) <= AT_MOST


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("candidates", [2, 6, 11])
@pytest.mark.parametrize("kind", KINDS)
def test_nor_where_the_leader_was_picked_by_the_same_values(seeds: int, candidates: int, kind: str) -> None:
    for place in (0, candidates):  # one of the candidates, one of the baselines
        tables = noisy(kind, 12, seeds, place)
        leaders = tables[:, :candidates].mean(2).argmax(1)
        told = told_apart(tables, leaders, candidates * (12 - candidates))[:, candidates:]
        assert told.any(1).mean() <= AT_MOST


def test_without_the_pairs_own_noise_or_the_correction_it_would_be_far_more() -> None:
    tables = noisy("times 10", 12, 3, 0)
    assert told_apart(tables, np.zeros(ROUNDS, int), 11, own=False)[:, 1:].any(1).mean() > 0.25
    tables = noisy("equal", 12, 3, 0)
    leaders = tables[:, 1:].mean(2).argmax(1) + 1
    naive = told_apart(tables, leaders, own=False)[:, 0].mean()
    assert 0.13 < naive < 0.18  # the chance that the best of 11 equals is two standard errors above a 12th is 15%


def test_the_seed_noise_of_all_networks_alone_gives_false_wins_in_5_of_100_and_not_far_fewer() -> None:
    assert 0.04 <= told_apart(noisy("equal", 3, 3, 0), np.zeros(ROUNDS, int), own=False)[:, 1].mean() <= AT_MOST
    assert 0.04 <= told_apart(noisy("equal", 2, 3, 0), np.zeros(ROUNDS, int))[:, 1].mean() <= AT_MOST


def test_two_seeds_resolve_nothing_since_a_network_that_sometimes_fails_may_do_so_with_both() -> None:
    assert told_apart(noisy("fails 30", 2, 2, 0), np.zeros(ROUNDS, int))[:, 1].mean() > 0.05
    table = np.array([[93.0, 92.0], [80.0, 81.5], [85.0, 84.5], [60.0, 28.0]])
    found = power("full", trained(table), images=10**6, seeds=2)
    told = verdict(found, table, 0, 1)
    assert told.margin is not None
    assert not told.resolved
    assert told.counts == "needs 3 seeds"
    assert SEEDS_UNKNOWN in legend([told])
    assert (found.headline.observed, found.headline.true) == (None, None)
    assert cells(found)["true"] == f"needs {ENOUGH} seeds"
    assert cells(found)["noise"] != "not estimable"


def test_the_row_of_a_network_that_sometimes_fails_is_no_win_of_the_others() -> None:
    """As it came out once: 33 points of spread over three seeds, where the others have one or two."""
    table = np.array(
        [[92.9, 90.5, 95.4], [93.2, 93.8, 92.6], [95.4, 94.7, 96.1], [93.4, 93.0, 93.8], [28.0, 81.9, 89.5]]
    )
    found = power("final", trained(table), images=10**6, seeds=3)
    steady, failing = verdict(found, table, 0, 1, 4), verdict(found, table, 0, 4, 4)
    assert failing.value > 20
    assert not failing.resolved
    assert steady.margin is not None
    assert failing.margin is not None
    assert failing.margin > 2 * steady.margin


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("networks", [2, 3, 6, 12])
def test_a_true_difference_of_the_advertised_size_is_found_in_80_of_100_by_seeds(seeds: int, networks: int) -> None:
    tables = noisy("equal", networks, seeds, 0)
    advertised = [
        power("full", trained(table), images=10**12, seeds=seeds).headline.true or math.nan
        for table in noisy("equal", networks, seeds, 0, 40)
    ]
    tables[:, 0] += np.resize(advertised, ROUNDS)[:, None]
    assert told_apart(tables, np.zeros(ROUNDS, int))[:, 1].mean() >= 0.8


@pytest.mark.parametrize(("images", "seeds", "spread"), [(500, 3, 0.8), (2000, 4, 0.5), (4000, 5, 1.0)])
def test_a_true_difference_of_the_advertised_size_is_found_in_80_of_100(images: int, seeds: int, spread: float) -> None:
    world = World(3, images=images, seeds=seeds, spread=spread)
    others = [84.0, 82.0, 80.0, 78.0]
    found = 0
    for _ in range(100):
        advertised = power("full", trained(world.table(others)), images=images, seeds=seeds).headline.true
        assert advertised is not None
        table = world.table([80.0 + advertised, 80.0, *others])
        found += verdict(power("full", trained(table), images=images, seeds=seeds), table, 0, 1).resolved
    assert found >= 0.8 * 100


def test_with_one_seed_nothing_is_resolved_and_the_seeds_are_said_to_be_unknown() -> None:
    found = power("proxy", trained(np.array([[93.0], [80.0], [85.0]])), images=144, seeds=1)
    assert (found.headline.noise, found.headline.observed, found.headline.true) == (None, None, None)
    told = difference(found, {0: 93.0}, {0: 62.0})
    assert told.value > (told.margin or math.inf)
    assert not told.resolved
    assert str(told).startswith("+31.00 ± ")
    assert told.in_words().endswith(" (does not count: needs 3 seeds)")
    assert SEEDS_UNKNOWN in legend([told])
    assert cells(found)["true"] == f"needs {ENOUGH} seeds"
    assert cells(found)["observed"].endswith("(images, at 86%)")


def test_before_anything_is_measured_the_images_alone_give_a_least_difference() -> None:
    found = power("proxy", [], images=144, seeds=1)
    assert found.headline.at_least == pytest.approx(least_difference(144))
    assert cells(found)["observed"] == "> 2.6 (images alone)"
    assert cells(power("final", [], images=10_000, seeds=3))["observed"] == "> 0.01 (images alone)", "not 0.0"
    assert power("proxy", [], images=None, seeds=1).headline.at_least is None
    assert cells(power("proxy", [], images=None, seeds=1))["images"] == "not known"


def test_seed_noise_of_equal_trainings_on_other_images_is_taken_and_named() -> None:
    several = trained(np.array([[93.0, 92.0], [80.0, 81.5], [85.0, 84.5]]))
    found = power("final", [], images=360, seeds=3, elsewhere=several, elsewhere_name="full")
    assert found.noise_from == "full"
    assert cells(found)["noise_from"] == "full, df 3"
    assert difference(found, dict(enumerate([93.0, 92.5, 93.1])), dict(enumerate([62.0, 61.8, 62.3]))).resolved
    assert not difference(found, {1000: 93.0}, {1000: 62.0}).resolved


def test_where_the_number_of_images_was_not_stored_nothing_is_resolved_and_the_reader_is_told() -> None:
    found = power("full", trained(np.array([[93.0, 92.9], [80.0, 80.1]])), images=None, seeds=2)
    told = difference(found, {0: 93.0, 1: 92.9}, {0: 80.0, 1: 80.1})
    assert told.counts == "image count not known"
    assert not told.resolved
    assert IMAGES_UNKNOWN in legend([told])
    assert str(difference(power("full", [], images=None, seeds=1), {0: 2.0}, {0: 1.0})) == "+1.00"


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
    assert found.headline.noise is not None
    assert found.loss.noise.sd == pytest.approx(found.headline.noise.sd / 100)
    assert cells(found, of_loss=True)["name"] == "full, loss"


def test_the_legend_says_only_what_is_needed() -> None:
    known = Difference(3.0, 1.0, seeds_known=True, images_known=True)
    assert str(known) == "+3.00 ± 1.0"
    assert len(legend([known])) == 1
    assert legend([]) == ()
