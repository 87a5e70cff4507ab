from __future__ import annotations

import random
import statistics
from dataclasses import replace
from typing import Any

import pytest
from scipy import stats

from dcasearch.analysis.connecting import Connecting, connecting_of, t_margin, welch_margin
from dcasearch.analysis.networks import TrainedNetwork, TrainedNetworks
from dcasearch.analysis.paired import Noise
from dcasearch.architecture import Architecture
from dcasearch.metrics import METRICS
from tests.analysis.test_fronts import power

SE: dict[str, Any] = {"name": "se", "reduction": 16}


def trained(stages: list[bool], values: dict[int, float], attention: dict[str, Any] = SE) -> TrainedNetwork:
    """A ResNet-18, connected in these of its four stages; in the first one a single block can receive."""
    spec: dict[str, Any] = {"backbone": {"name": "resnet18"}, "attention": attention}
    if any(stages):
        spec["connections"] = {"dimensions": {"channel": {"stages": stages}}}
    architecture = Architecture.parse(spec)
    return TrainedNetwork(
        architecture_id=architecture.id,
        network=architecture.network,
        values=values,
        costs={},
        trial=0,
        baseline=None,
        chosen=False,
    )


def told(*networks: TrainedNetwork, noise: Noise | None = None) -> dict[tuple[str, int], Connecting]:
    at = connecting_of(TrainedNetworks("proxy", METRICS["top1"], networks), None if noise is None else power(noise))
    return {(place.dimension, place.stage): place for place in reversed(at.places)}


ON, OFF = True, False


def test_twins_are_paired_by_seed_and_others_are_observed() -> None:
    found = told(
        trained([OFF, OFF, OFF, OFF], {0: 70.0, 1: 71.0}),
        trained([OFF, ON, OFF, OFF], {0: 72.0, 1: 72.0, 2: 99.0}),  # +2 and +1: the third seed has no twin
        trained([OFF, OFF, ON, OFF], {0: 70.0}),
        trained([OFF, ON, ON, OFF], {0: 73.0}),  # +3
    )
    second = found["channel", 2]
    assert (second.basis, second.pairs, second.connected, second.unconnected) == ("paired", 2, 2, 2)
    assert second.value == pytest.approx(2.25)
    low, high = stats.t.interval(0.95, 1, 2.25, statistics.stdev([1.5, 3.0]) / 2**0.5)
    assert second.margin == pytest.approx((high - low) / 2)
    assert not second.clear
    assert found["channel", 3].value == pytest.approx(statistics.fmean([0.0, 1.0]))
    assert ("channel", 1) not in found  # nobody connects it
    assert ("channel", 4) not in found


def test_the_twins_of_one_network_are_averaged_first() -> None:
    several = [
        trained([OFF, OFF, OFF, OFF], {0: 70.0}),
        trained([OFF, ON, OFF, OFF], {0: 71.0}),
        trained([OFF, OFF, ON, OFF], {0: 80.0}),
        trained([OFF, ON, ON, OFF], {0: 82.0}),
    ]
    spec = {
        "backbone": {"name": "resnet18"},
        "attention": SE,
        "connections": {"dimensions": {"channel": {"stages": [False, True, False, False]}}, "function": "softmax"},
    }
    other = Architecture.parse(spec)
    third = replace(several[1], architecture_id=other.id, network=other.network, values={0: 73.0})
    second = told(*several, third)["channel", 2]
    assert (second.pairs, second.connected) == (2, 3)
    assert second.value == pytest.approx(statistics.fmean([(1 + 3) / 2, 2]))


def test_a_single_pair_counts_by_the_noise_of_all_networks_and_without_it_is_no_experiment() -> None:
    pair = (trained([OFF, OFF, OFF, OFF], {0: 70.0}), trained([OFF, ON, OFF, OFF], {0: 72.0}))
    known = told(*pair, noise=Noise(0.5, 10**9))["channel", 2]
    assert (known.basis, known.pairs) == ("paired", 1)
    assert known.margin == pytest.approx(1.96 * 2**0.5 * 0.5, abs=1e-3)
    assert known.clear
    unknown = told(*pair)["channel", 2]
    assert (unknown.basis, unknown.value, unknown.margin, unknown.clear) == ("observational", 2.0, None, False)


def test_without_twins_the_difference_of_means_has_welchs_interval() -> None:
    draw = random.Random(0)
    eca = {"name": "eca"}
    ours = [70.0 + draw.random() for _ in range(3)]
    theirs = [60.0 + draw.random() for _ in range(3)]
    # Twins differ in stage 2 alone; these differ in the kind of attention or in its reduction too.
    on = [trained([OFF, ON, OFF, OFF], {0: v}, {**SE, "reduction": r}) for v, r in zip(ours, (2, 4, 8), strict=True)]
    off = [trained([OFF, OFF, ON, OFF], {0: v}, {**SE, "reduction": r}) for v, r in zip(theirs, (16, 32), strict=False)]
    second = told(*on, *off, trained([OFF, OFF, ON, OFF], {0: theirs[2]}, eca))["channel", 2]
    assert (second.basis, second.connected, second.unconnected) == ("observational", 3, 3)
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    assert second.value == pytest.approx(statistics.fmean(ours) - statistics.fmean(theirs))
    assert second.margin == pytest.approx((interval.high - interval.low) / 2)
    assert second.clear


def test_who_cannot_connect_is_compared_with_nobody() -> None:
    plain = trained([OFF] * 4, {0: 10.0}, {"name": "none"})
    assert told(plain, trained([OFF, ON, OFF, OFF], {0: 72.0})) == {}
    vanilla = trained([OFF] * 4, {0: 71.0})
    second = told(plain, vanilla, trained([OFF, ON, OFF, OFF], {0: 72.0}))["channel", 2]
    assert (second.unconnected, second.value) == (1, 1.0)


def test_a_place_with_few_pairs_has_both_comparisons_and_one_with_three_the_paired_one_alone() -> None:
    def bases(*networks: TrainedNetwork) -> list[tuple[int, str]]:
        at = connecting_of(TrainedNetworks("proxy", METRICS["top1"], networks), power(Noise(0.5, 10**9)))
        return [(place.stage, place.basis) for place in at.places]

    one = [trained([OFF] * 4, {0: 70.0}), trained([OFF, ON, OFF, OFF], {0: 71.0})]
    assert bases(*one) == [(2, "paired"), (2, "observational")]
    more = [trained([OFF, on, OFF, OFF], {0: 70.0}, {**SE, "reduction": r}) for r in (4, 8) for on in (ON, OFF)]
    assert bases(*one, *more) == [(2, "paired")]


def test_margins_of_too_few_are_none() -> None:
    assert t_margin([1.0]) is None
    assert welch_margin([1.0, 2.0, 3.0], [1.0, 2.0]) is None
    assert welch_margin([1.0] * 3, [2.0] * 3) == 0.0
