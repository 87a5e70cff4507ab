from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from dcasearch.evaluation import fingerprint
from dcasearch.measurement import Measurement, MeasurementKey
from dcasearch.store import Store, upgrade
from tests.store import sql
from tests.store.samples import ARCHITECTURE
from tests.store.test_table_versions import migrated_to

PREPROCESSING = {"color": "RGB", "steps": [{"resize": 256}], "scale": 255.0, "mean": [0.1, 0.2, 0.3]}


def measurement(top1: float = 77.64, **changes: object) -> Measurement:
    values: dict[str, object] = {
        "architecture_id": ARCHITECTURE.id,
        "weights_sha256": "b" * 64,
        "task": "classification",
        "data": "c" * 16,
        "split": "validation",
        "classes": 1000,
        "resolution": 224,
        "preprocessing": fingerprint(PREPROCESSING),
        **changes,
    }
    return Measurement(
        key=MeasurementKey(**values),  # type: ignore[arg-type]
        preprocessing=PREPROCESSING,
        values={"top1": top1, "top5": 93.74, "loss": 0.1 + 0.2},
        images=50_000,
        seconds=1 / 3,
        device="cpu",
        version="0.1.0",
        measured=datetime(2026, 11, 27, 12, 30, 15, 123456, tzinfo=UTC),
    )


@pytest.fixture
def known(store: Store) -> Store:
    store.put_architecture(ARCHITECTURE)
    return store


def test_a_measurement_comes_back_equal_to_the_last_bit(known: Store) -> None:
    assert known.record_measurement(measurement()) == measurement()
    assert known.measurements() == [measurement()]


def test_of_two_measurements_of_one_key_the_first_stays(known: Store) -> None:
    known.record_measurement(measurement())
    later = replace(measurement(top1=50.0), measured=datetime(2027, 1, 1, tzinfo=UTC), device="NVIDIA H100")
    assert known.record_measurement(later) == measurement()
    assert known.measurements() == [measurement()]


@pytest.mark.parametrize("change", [{"data": "e" * 16}, {"weights_sha256": "f" * 64}, {"resolution": 256}])
def test_other_weights_images_or_sizes_are_another_measurement(known: Store, change: dict[str, object]) -> None:
    known.record_measurement(measurement())
    later = replace(measurement(**change), measured=measurement().measured + timedelta(seconds=1))
    known.record_measurement(later)
    assert known.measurements(ARCHITECTURE.id) == [measurement(), later]
    assert known.measurements("0" * 16) == []


def test_values_that_are_not_finite_come_back(known: Store) -> None:
    diverged = replace(measurement(), values={"top1": 0.1, "loss": math.inf})
    known.record_measurement(diverged)
    assert known.measurements() == [diverged]


def test_the_architecture_of_a_measurement_is_stored_before(store: Store) -> None:
    with pytest.raises(IntegrityError):
        store.record_measurement(measurement())


def test_an_upgrade_adds_the_table_and_keeps_what_is_there(url: str) -> None:
    migrated_to(url, "0006")
    sql.run(url, "INSERT INTO dca_devices (name, report, changed) VALUES ('gpu', '{}', '2026-01-01 00:00:00')")
    upgrade(url)
    with Store.open(url) as opened:
        assert opened.devices() == {"gpu": "{}"}
        opened.put_architecture(ARCHITECTURE)
        assert opened.record_measurement(measurement()) == measurement()
