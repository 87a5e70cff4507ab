from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dcasearch.analysis.fronts import front_of
from dcasearch.analysis.networks import means_of
from dcasearch.analysis.paired import Noise
from dcasearch.analysis.power import Power, Smallest
from dcasearch.analysis.standing import FidelityStanding
from tests.analysis.test_hypervolume import at

VALUES = ((80.0, 100.0), (90.0, 200.0), (89.0, 250.0), (80.5, 260.0), (79.5, 100.0))


def power(noise: Noise | None, images: int | None = None) -> Power:
    known = Smallest(noise=noise, paired=None, observed=None, true=None)
    none = Smallest(noise=None, paired=None, observed=None, true=None)
    changes: dict[str, Any] = {"name": "proxy", "metric": "top1", "images": images, "seeds": 1, "trainings": 9}
    return Power(**changes, headline=known, loss=none)


def told(fidelity: FidelityStanding, noise: Noise | None, images: int | None = None) -> list[tuple[str, bool, bool]]:
    front = front_of(replace(fidelity, power=power(noise, images)))
    assert front is not None
    return [(point.architecture_id, point.on_front, point.in_band) for point in front.points]


def test_who_is_within_the_noise_of_all_that_cost_no_more_may_be_on_the_front() -> None:
    # z · √2 · sd, with as good as endless degrees of freedom: 1.96 · 1.414 · 0.5 = 1.386
    assert told(at(*VALUES), Noise(0.5, 10**9)) == [
        ("a0", True, False),
        ("a1", True, False),
        ("a2", False, True),  # one point behind the second
        ("a3", False, False),  # near the first, far behind the second, which costs less than it
        ("a4", False, True),  # as dear as the first, half a point behind
    ]


def test_the_margin_is_that_of_a_difference_of_two_networks() -> None:
    front = front_of(replace(at(*VALUES), power=power(Noise(0.5, 10**9))))
    assert front is not None
    assert front.margins == pytest.approx((1.386, 1.386), abs=1e-3)
    assert (front.seeds, front.seeds_known) == (1, True)


def test_without_noise_there_is_no_band_and_with_images_alone_one_that_says_so() -> None:
    front = front_of(at(*VALUES))
    assert front is not None
    assert front.margins is None
    assert not any(point.in_band for point in front.points)
    of_images = front_of(replace(at(*VALUES), power=power(None, 1000)))
    assert of_images is not None
    assert of_images.margins is not None
    assert of_images.margins[0] > of_images.margins[1] > 0  # 80% leaves more room than 90%
    assert not of_images.seeds_known


def test_a_front_is_made_of_networks_over_their_seeds_and_not_of_lucky_seeds() -> None:
    seeds = at((80.0, 100.0), (99.0, 100.0), (82.0, 100.0))
    first, lucky, second = seeds.trials
    fidelity = replace(
        seeds, trials=(first, replace(lucky, architecture_id="b"), replace(second, architecture_id="a0"))
    )
    assert means_of(fidelity) == {"a0": (81.0, 100.0)}
    assert front_of(fidelity) is None  # a single network has no front


def test_one_objective_has_no_front() -> None:
    assert front_of(replace(at(*VALUES), objectives={"top1": "maximize"})) is None
