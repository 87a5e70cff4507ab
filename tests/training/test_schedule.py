import math
import random

import pytest
from pydantic import ValidationError

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


def test_a_warm_up_of_steps_is_one_of_as_many_epochs() -> None:
    assert rates(Schedule(warmup_steps=8)) == rates(Schedule(warmup_epochs=2))


def test_a_warm_up_may_start_at_a_share_of_the_rate() -> None:
    """As mmdetection's linear warm-up: rate * (1 - (1 - step / steps) * (1 - ratio))."""
    got = rates(Schedule(name="step", warmup_steps=6, warmup_start=1 / 3))
    assert got[:7] == pytest.approx([0.8 * (1 - (1 - step / 6) * (1 - 1 / 3)) for step in range(7)])
    assert got[0] == pytest.approx(0.8 / 3)
    assert got[6] == 0.8


def test_step_drops_after_the_epochs_that_are_named() -> None:
    got = rates(Schedule(name="step", drops=(3, 7)))
    assert got == pytest.approx([0.8] * 12 + [0.08] * 16 + [0.008] * 12)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"warmup_epochs": 1, "warmup_steps": 5}, "leave out one of them"),
        ({"warmup_start": 0.3}, "warmup_start needs warmup_epochs or warmup_steps"),
        ({"drops": [3]}, "drops belong to name: step, not to cosine"),
        ({"name": "step", "drops": [7, 3]}, "drops must rise: 7, 3"),
        ({"name": "step", "drops": [3, 3]}, "drops must rise: 3, 3"),
    ],
)
def test_a_schedule_that_contradicts_itself_is_refused(written: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Schedule.model_validate(written)


def test_a_warm_up_longer_than_the_training_only_warms_up() -> None:
    assert max(rates(Schedule(warmup_epochs=20))) == pytest.approx(0.4)


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(warmup_epochs=1),
        Schedule(name="step", every=3, warmup_epochs=1),
        Schedule(name="step", drops=(3, 7), warmup_steps=5, warmup_start=0.3),
    ],
)
def test_a_rate_depends_on_the_step_and_not_on_those_asked_for_before(schedule: Schedule) -> None:
    in_order = rates(schedule)
    steps = random.Random(0).sample(range(40), 40)
    asked = {
        step: learning_rate(step, steps_per_epoch=4, epochs=10, peak=0.8, schedule=schedule)
        for step in (*steps, *steps[:9])
    }
    assert [asked[step] for step in range(40)] == in_order
