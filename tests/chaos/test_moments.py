from __future__ import annotations

import random

import pytest

from dcasearch.chaos.moments import Moment, draw_moments


def drawn(seed: int, workers: float = 0.5) -> list[Moment]:
    return draw_moments(random.Random(seed), 50, workers=workers, startup=5.0, seconds=100.0, epochs=200)


def test_equal_seeds_draw_equal_moments() -> None:
    assert drawn(0) == drawn(0) != drawn(1)


def test_moments_come_in_order_and_spread_over_the_study_but_for_those_while_a_run_starts() -> None:
    within = [moment.epochs for moment in drawn(0) if moment.epochs]
    assert 30 < len(within) < 50
    assert within == sorted(within)
    assert min(within) < 20
    assert 160 < max(within) < 180
    assert all(0 <= moment.seconds <= 5.0 for moment in drawn(0))


@pytest.mark.parametrize(("workers", "least", "most"), [(0.0, 0, 0), (0.5, 15, 35), (1.0, 50, 50)])
def test_the_share_of_workers_is_kept(workers: float, least: int, most: int) -> None:
    assert least <= sum(moment.target == "worker" for moment in drawn(0, workers)) <= most
