from __future__ import annotations

import pytest

from dcasearch.errors import UserError
from dcasearch.proposal.looking import Looked
from dcasearch.proposal.plan import Plan, Wanted, epochs_for, plan_for
from dcasearch.proposal.template import Rung


class Constant:
    """A machine that runs every network at one speed."""

    def __init__(self, throughput: float) -> None:
        self._throughput = throughput
        self.measured: list[Rung] = []

    def macs(self, rung: Rung) -> int:
        dense = 16 if rung.stem == "small" else 1
        return int(1.8e9 * rung.width**2 * (rung.resolution / 224) ** 2 * dense)

    def throughput(self, rung: Rung) -> float:
        self.measured.append(rung)
        return self._throughput


def looked(images: int = 334, side: int = 224, decode: float = 0.001, **more: object) -> Looked:
    counts = {"a": images // 2, "b": images - images // 2}
    facts: dict[str, object] = {"sides": (side, side, side), "decoded": images, "decode_seconds": decode, **more}
    return Looked(classes=("a", "b"), counts=counts, parts={}, **facts)  # type: ignore[arg-type]


def planned(hours: float, machine: Constant | None = None, seen: Looked | None = None, **more: object) -> Plan:
    seen = seen or looked()
    facts: dict[str, object] = {"concurrent": 2, **more}
    train = max(1, round(0.6 * seen.images))
    parts = {"train_images": train, "compared_on": train // 3, "test_images": train // 3, "divided": True}
    wanted = Wanted(looked=seen, hours=hours, **{**parts, **facts})  # type: ignore[arg-type]
    return plan_for(wanted, machine or Constant(5e10))


def test_more_hours_buy_a_larger_network_or_more_trials() -> None:
    plans = [planned(hours) for hours in (0.2, 0.5, 2, 10)]
    assert [plan.fits for plan in plans] == [True] * 4
    assert all(plan.hours <= hours for plan, hours in zip(plans, (0.2, 0.5, 2, 10), strict=True))
    sizes = [(plan.rung.width * plan.rung.resolution, plan.trials) for plan in plans]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert all(12 <= plan.trials <= 40 for plan in plans)


def test_no_time_is_spent_on_networks_that_cannot_fit() -> None:
    machine = Constant(5e10)
    planned(0.2, machine)
    assert len(machine.measured) <= 3


def test_where_nothing_fits_the_cheapest_study_says_how_long_it_takes() -> None:
    plan = planned(0.01)
    assert not plan.fits
    assert plan.hours > 0.01
    assert (plan.rung.width, plan.rung.resolution, plan.trials) == (0.25, 64, 12)


def test_images_are_not_enlarged_and_small_ones_keep_their_resolution() -> None:
    assert planned(100, seen=looked(side=100)).rung.resolution == 96
    small = planned(100, seen=looked(side=28))
    assert (small.rung.resolution, small.rung.stem) == (32, "small")


def test_large_sets_have_fewer_epochs_and_a_part_of_train_in_the_proxy() -> None:
    assert [epochs_for(images) for images in (50, 200, 800, 5000, 10**6)] == [60, 60, 30, 12, 10]
    assert planned(1, seen=looked(images=334)).proxy_fraction == 1
    assert planned(1, seen=looked(images=100_000)).proxy_fraction == pytest.approx(0.33)


def test_a_backbone_named_by_its_width_has_no_other() -> None:
    plan = planned(10, backbone="mnasnet0_5")
    assert (plan.rung.backbone, plan.rung.width) == ("mnasnet0_5", 1.0)
    with pytest.raises(UserError, match="did you mean 'resnet50'"):
        planned(1, backbone="resnet5O")


def test_few_test_images_are_drawn_several_times_where_they_are_drawn_at_all() -> None:
    assert (planned(1).seeds, planned(1).splits) == (5, 5)
    assert planned(1, divided=False).splits == 1
    assert planned(1, seen=looked(images=3000)).splits == 1


def test_unreadable_images_may_all_be_in_the_smallest_part() -> None:
    assert planned(1).max_corrupt is None
    broken = looked(unreadable={f"{n}.jpg": "cut off" for n in range(3)})
    plan = planned(1, seen=broken)
    assert plan.max_corrupt is not None
    assert plan.max_corrupt * 67 >= 3


def test_reading_images_slows_a_training_down_unless_they_are_prepared() -> None:
    slow, fast = looked(decode=0.1), looked(decode=0.1, prepared=224)
    assert planned(5, seen=slow).image_seconds > planned(5, seen=fast).image_seconds
