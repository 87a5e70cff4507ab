import math
import random

import pytest

from dcasearch.config.recipe import Schedule
from dcasearch.training.schedule import learning_rate


def rates(schedule: Schedule, epochs: int = 10, steps: int = 4) -> list[float]:
    return [
        learning_rate(step, steps_per_epoch=steps, epochs=epochs, peak=0.8, schedule=schedule)
        for step in range(epochs * steps)
    ]


def test_cosine_falls_from_the_peak_to_almost_zero() -> None:
    got = rates(Schedule())
    assert got[0] == 0.8
    assert got[20] == pytest.approx(0.4)
    assert got[-1] == pytest.approx(0.8 * (1 + math.cos(math.pi * 39 / 40)) / 2)
    assert got == sorted(got, reverse=True)


def test_warm_up_is_linear_and_cosine_spans_the_rest() -> None:
    got = rates(Schedule(warmup_epochs=2))
    assert got[:8] == pytest.approx([0.1 * n for n in range(1, 9)])
    assert got[8] == 0.8
    assert got[8 + 16] == pytest.approx(0.4)


def test_a_warm_up_may_last_part_of_an_epoch() -> None:
    assert rates(Schedule(warmup_epochs=0.5))[:3] == pytest.approx([0.4, 0.8, 0.8])


def test_step_drops_every_so_many_epochs_counted_from_the_start() -> None:
    got = rates(Schedule(name="step", every=3, factor=0.1, warmup_epochs=1))
    assert got[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert got[4:12] == pytest.approx([0.8] * 8)
    assert got[12:24] == pytest.approx([0.08] * 12)
    assert got[36:] == pytest.approx([0.0008] * 4)


def test_a_warm_up_longer_than_the_training_only_warms_up() -> None:
    assert max(rates(Schedule(warmup_epochs=20))) == pytest.approx(0.4)


@pytest.mark.parametrize("schedule", [Schedule(warmup_epochs=1), Schedule(name="step", every=3, warmup_epochs=1)])
def test_a_rate_depends_on_the_step_and_not_on_those_asked_for_before(schedule: Schedule) -> None:
    in_order = rates(schedule)
    steps = random.Random(0).sample(range(40), 40)
    asked = {
        step: learning_rate(step, steps_per_epoch=4, epochs=10, peak=0.8, schedule=schedule)
        for step in (*steps, *steps[:9])
    }
    assert [asked[step] for step in range(40)] == in_order
