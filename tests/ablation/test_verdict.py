"""Non-inferiority: which networks are not worse, which are, and what it would cost to know."""

from __future__ import annotations

import numpy as np
import pytest

from dcasearch.ablation import Variant, judge
from dcasearch.ablation.verdict import Verdict, seeds_needed
from dcasearch.ablation.words import conclusion
from dcasearch.analysis.power import Measurement, Power, power
from dcasearch.architecture import Architecture
from dcasearch.evaluation import Cost

NAMES = ("chosen", "equal", "bad", "unclear")
NETWORKS = [
    Architecture.parse({"backbone": {"name": "resnet18", "width": 0.125 * (n + 1), "stem": "small"}}) for n in range(4)
]
VARIANTS = [Variant(name, None, network) for name, network in zip(NAMES, NETWORKS, strict=True)]
COSTS = {network.id: Cost(params=400 - 100 * n, macs=1000) for n, network in enumerate(NETWORKS)}


def trained(levels: dict[str, float], noise: float, seeds: int) -> dict[str, dict[int, float]]:
    """Values whose seeds do the same to all networks, up to `noise`."""
    rng = np.random.default_rng(0)
    common = rng.normal(0, 1, seeds)
    ids = {variant.label: variant.architecture.id for variant in VARIANTS}
    return {
        ids[name]: {seed: level + common[seed] + rng.normal(0, noise) for seed in range(seeds)}
        for name, level in levels.items()
    }


def power_of(values: dict[str, dict[int, float]], images: int = 10_000_000) -> Power:
    measured = [Measurement(id, seed, value, None) for id, by in values.items() for seed, value in by.items()]
    return power("seeds", measured, images=images, seeds=5)


def judged(values: dict[str, dict[int, float]], margin: float = 0.5, images: int = 10_000_000) -> Verdict:
    return judge(VARIANTS, values, COSTS, power_of(values, images), margin)


def words(verdict: Verdict) -> dict[str, str]:
    return {row.label: row.word for row in verdict.rows}


def test_what_lies_above_the_margin_is_not_worse_and_what_lies_below_is() -> None:
    verdict = judged(trained({"chosen": 80, "equal": 79.95, "bad": 78, "unclear": 79.7}, 0.02, 5))
    assert words(verdict) == {"chosen": "chosen", "equal": "not worse", "bad": "worse", "unclear": "not worse"}


def test_noise_as_large_as_the_margin_leaves_it_open_and_says_what_it_costs_to_know() -> None:
    values = trained({"chosen": 80, "equal": 80, "bad": 70, "unclear": 79.8}, 0.6, 5)
    verdict = judged(values)
    assert words(verdict)["bad"] == "worse"
    assert {"equal", "unclear"} <= {row.label for row in verdict.open}
    assert verdict.seeds_needed is not None
    assert verdict.seeds_needed > 5
    said = " ".join(conclusion(verdict))
    assert f"--seeds {verdict.seeds_needed}" in said
    assert "No smaller network is known to be not worse" in said


def test_few_images_are_said_to_be_too_few_for_any_number_of_seeds() -> None:
    values = trained({"chosen": 80, "equal": 80, "bad": 79, "unclear": 79.8}, 0.05, 5)
    verdict = judged(values, images=360)
    assert verdict.seeds_needed is None
    assert set(words(verdict).values()) == {"chosen", "not known"}
    assert "too few images" in " ".join(conclusion(verdict))


def test_what_is_not_trained_is_said_and_stays_open() -> None:
    values = trained({"chosen": 80, "bad": 70}, 0.05, 5)
    verdict = judged(values)
    assert words(verdict)["equal"] == "not trained"
    assert {row.label for row in verdict.open} >= {"equal"}


def test_two_seeds_tell_nothing() -> None:
    values = trained({"chosen": 80, "equal": 80, "bad": 60, "unclear": 80}, 0.05, 2)
    assert set(words(judged(values)).values()) == {"chosen", "not known"}


def test_the_smallest_network_not_worse_is_named_by_its_parameters() -> None:
    values = trained({"chosen": 80, "equal": 80.2, "bad": 60, "unclear": 80.2}, 0.02, 5)
    verdict = judged(values)
    assert verdict.smallest.label == "unclear"
    assert "200 fewer" not in " ".join(conclusion(verdict))
    assert "300 fewer (75.0%)" in " ".join(conclusion(verdict))


def test_as_many_seeds_as_are_named_find_an_equal_network_in_80_of_100() -> None:
    """The promise of `seeds_needed`, simulated: noise known as well as it is in the plan, images without a part."""
    sd, margin, found, runs = 0.2, 0.5, 0, 200
    planned = seeds_needed(power_of(trained(dict.fromkeys(NAMES, 80.0), sd, 40)), 3, margin)
    assert planned is not None
    rng = np.random.default_rng(1)
    for _ in range(runs):
        values = {
            variant.architecture.id: {seed: 80 + rng.normal(0, sd) for seed in range(planned)} for variant in VARIANTS
        }
        verdict = judge(VARIANTS, values, COSTS, power_of(values), margin)
        found += words(verdict)["equal"] == "not worse"
    assert found / runs >= 0.75


@pytest.mark.parametrize("level", [79.5, 79.4])
def test_a_network_worse_by_the_margin_is_called_not_worse_in_at_most_5_of_100(level: float) -> None:
    rng, wrong, runs = np.random.default_rng(2), 0, 300
    for _ in range(runs):
        levels = dict(zip(NAMES, (80, level, 80, 80), strict=True))
        values = {
            v.architecture.id: {seed: levels[v.label] + rng.normal(0, 0.1) for seed in range(4)} for v in VARIANTS
        }
        wrong += words(judge(VARIANTS, values, COSTS, power_of(values), 0.5))["equal"] == "not worse"
    assert wrong / runs <= 0.05
