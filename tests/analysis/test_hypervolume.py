from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from dcasearch.analysis.hypervolume import growth_of, hypervolume
from dcasearch.analysis.standing import FidelityStanding
from dcasearch.trial import State, Trial


def at(*values: tuple[float, ...]) -> FidelityStanding:
    trials = [
        Trial(
            study="s",
            fidelity="proxy",
            number=2 * n,
            state=State.COMPLETE,
            origin="sampled",
            params={},
            architecture_id=f"a{n}",
            seed=0,
            values=v,
        )
        for n, v in enumerate(values)
    ]
    return FidelityStanding(
        name="proxy",
        trials=tuple(trials),
        counts={State.COMPLETE: len(trials)},
        leader=None,
        baselines=(),
        suspended=(),
        objectives={"top1": "maximize", "macs": "minimize"},
    )


def test_two_rectangles_that_overlap_count_once() -> None:
    assert hypervolume([(0, 2), (1, 1)], (3, 3)) == 3 * 1 + 2 * 2 - 2 * 1
    assert hypervolume([(0, 2), (1, 1), (2, 2)], (3, 3)) == 5  # a dominated point adds nothing
    assert hypervolume([(3, 0), (4, 1)], (3, 3)) == 0  # none is better than the reference


def test_one_objective_is_a_length_and_three_are_a_volume() -> None:
    assert hypervolume([(2,), (1,)], (4,)) == 3
    assert hypervolume([(0, 0, 0)], (2, 3, 4)) == 24
    assert hypervolume([(0, 0, 1), (1, 1, 0)], (2, 2, 2)) == 4 + 2 - 1


def test_four_objectives_count_the_dominated_cells_of_a_grid() -> None:
    draw = random.Random(0)
    points = [tuple(draw.randrange(4) for _ in range(4)) for _ in range(7)]
    cells = itertools.product(range(4), repeat=4)
    dominated = sum(any(all(p <= c for p, c in zip(point, cell, strict=True)) for point in points) for cell in cells)
    assert hypervolume(points, (4, 4, 4, 4)) == dominated


def test_growth_is_the_share_of_the_box_between_the_worst_and_the_best() -> None:
    growth = growth_of(at((80.0, 200.0), (90.0, 300.0), (70.0, 100.0), (85.0, 250.0)))
    assert growth is not None
    assert growth.reference == (70.0, 300.0)
    assert growth.ideal == (90.0, 100.0)
    assert growth.numbers == (0, 2, 4, 6)
    # The first dominates half by half; the second and the third lie on the box's edges; the last is a quarter by 3/4.
    assert growth.shares == pytest.approx((0.25, 0.25, 0.25, 0.25 + 0.25 * 0.25))


def test_growth_ends_at_the_hypervolume_of_all_trials() -> None:
    draw = random.Random(0)
    raw = [tuple(draw.random() for _ in range(3)) for _ in range(60)]
    three = replace(at(*raw), objectives={"top1": "maximize", "macs": "minimize", "params": "minimize"})
    growth = growth_of(three)
    assert growth is not None
    columns = list(zip(*raw, strict=True))
    scaled = [tuple((v - min(c)) / (max(c) - min(c)) for v, c in zip(p, columns, strict=True)) for p in raw]
    assert growth.shares[-1] == pytest.approx(hypervolume([(1 - a, b, c) for a, b, c in scaled], (1, 1, 1)))
    assert list(growth.shares) == sorted(growth.shares)


def test_one_trial_or_equal_ones_have_no_growth() -> None:
    assert growth_of(at((80.0, 200.0))) is None
    assert growth_of(at((80.0, 200.0), (80.0, 200.0))) is None
    growth = growth_of(at((80.0, 200.0), (90.0, 200.0)))  # an objective in which all are equal does not matter
    assert growth is not None
    assert growth.shares == (0.0, 1.0)
