from __future__ import annotations

import numpy as np
import pytest

from dcasearch.analysis.contrasts import Term, contrast, slope
from dcasearch.analysis.power import Measurement, Power, difference, power

SEEDS = (0, 1, 2)


def powered(*networks: dict[int, float], images: int | None = 10_000) -> Power:
    measured = [
        Measurement(str(n), seed, value, None) for n, network in enumerate(networks) for seed, value in network.items()
    ]
    return power("full", measured, images=images, seeds=len(SEEDS), candidates=7)


def network(mean: float, *noise: float) -> dict[int, float]:
    return {seed: mean + by for seed, by in zip(SEEDS, noise or (0.0, 0.1, -0.1), strict=True)}


def test_one_term_of_weight_one_is_the_difference_of_two_networks() -> None:
    a, b, c = network(70.0, 0.1, 0.2, -0.3), network(69.0, 0.3, -0.1, -0.2), network(68.0, 0.0, 0.4, -0.1)
    known = powered(a, b, c)
    found = contrast(known, [Term(1.0, a, b)])
    assert found is not None
    expected = difference(power("full", [], images=None, seeds=3), a, b)
    assert found.value == pytest.approx(expected.value)
    one_candidate = Power(**{**known.__dict__, "candidates": 1})
    assert found.margin == pytest.approx(difference(one_candidate, a, b).margin)


def test_an_interaction_is_both_minus_each_plus_none() -> None:
    none, channel, spatial, both = network(60.0), network(62.0), network(61.0), network(66.0)
    found = contrast(powered(none, channel, spatial, both), [Term(1.0, both, channel), Term(-1.0, spatial, none)])
    assert found is not None
    assert found.value == pytest.approx(66 - 62 - 61 + 60)


def test_the_slope_of_a_line_is_found() -> None:
    plain = network(70.0)
    points = [(x, network(70.0 + 3.0 - 0.5 * x), plain) for x in (5.6, 6.7, 7.2)]
    found = contrast(powered(plain, *(ours for _, ours, _ in points)), slope(points))
    assert found is not None
    assert found.value == pytest.approx(-0.5)


def test_seeds_that_not_all_networks_have_are_left_out() -> None:
    a, b = network(70.0), {0: 69.0, 5: 10.0}
    found = contrast(powered(a, b), [Term(1.0, a, b)])
    assert found is not None
    assert found.value == pytest.approx(1.0)
    assert not found.seeds_known
    assert contrast(powered(a, {7: 1.0}), [Term(1.0, a, {7: 1.0})]) is None


def test_a_network_that_stands_in_two_terms_counts_with_the_sum_of_its_weights() -> None:
    rng = np.random.default_rng(0)
    a, b, c = ({seed: 50 + rng.normal() for seed in SEEDS} for _ in range(3))
    known = powered(a, b, c, images=None)
    telescoped, direct = contrast(known, [Term(1.0, a, b), Term(1.0, b, c)]), contrast(known, [Term(1.0, a, c)])
    assert telescoped is not None
    assert direct is not None
    assert telescoped.margin == pytest.approx(direct.margin)


def test_a_contrast_of_nothing_is_seldom_called_one() -> None:
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(400):
        networks = [{seed: 50 + rng.normal() for seed in SEEDS} for _ in range(4)]
        none, channel, spatial, both = networks
        found = contrast(powered(*networks, images=10**9), [Term(1.0, both, channel), Term(-1.0, spatial, none)])
        assert found is not None
        wrong += found.resolved
    assert wrong / 400 < 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_a_clear_interaction_is_resolved() -> None:
    rng = np.random.default_rng(2)
    none, channel, spatial, both = (
        {seed: mean + 0.1 * rng.normal() for seed in range(5)} for mean in (60.0, 62.0, 61.0, 67.0)
    )
    measured = powered(none, channel, spatial, both, images=10**6)
    found = contrast(measured, [Term(1.0, both, channel), Term(-1.0, spatial, none)])
    assert found is not None
    assert found.resolved
