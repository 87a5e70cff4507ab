from __future__ import annotations

import math
from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest

from dcasearch.measurement import Measurement, MeasurementKey, wilson

KEY = MeasurementKey(
    architecture_id="a" * 16,
    weights_sha256="b" * 64,
    task="classification",
    data="c" * 16,
    split="validation",
    classes=1000,
    resolution=224,
    preprocessing="d" * 16,
)


def test_wilsons_interval_is_that_of_its_equation() -> None:
    # Both ends p are as far from the share of 15 in 50 as 1.96 deviations of a share of 50 are at p.
    for end in wilson(30.0, 50):
        p = end / 100
        assert abs(0.3 - p) == pytest.approx(1.959964 * math.sqrt(p * (1 - p) / 50), abs=1e-7)


def test_the_interval_of_no_success_and_of_all_stays_within_a_percentage() -> None:
    low, high = wilson(0.0, 10)
    assert low == pytest.approx(0.0, abs=1e-12)
    assert high == pytest.approx(27.753, abs=1e-3)
    assert wilson(100.0, 10) == pytest.approx((72.247, 100.0), abs=1e-3)


def test_more_images_give_a_narrower_interval_around_the_value() -> None:
    low, high = wilson(77.64, 50_000)
    assert low < 77.64 < high
    assert high - low == pytest.approx(0.73, abs=0.01)


def test_a_loss_has_no_interval_of_shares() -> None:
    measured = Measurement(
        key=KEY,
        preprocessing={},
        values={"top1": 50.0, "loss": 1.5},
        images=100,
        seconds=1.0,
        device="cpu",
        version="0",
        measured=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert measured.interval("loss") is None
    assert measured.interval("top1") == wilson(50.0, 100)


@pytest.mark.parametrize("field", [field.name for field in fields(MeasurementKey)])
def test_everything_in_the_key_is_in_its_id(field: str) -> None:
    changed = replace(KEY, **{field: 7 if field in ("classes", "resolution") else "e"})
    assert changed.id != KEY.id
    assert replace(changed, **{field: getattr(KEY, field)}).id == KEY.id
