"""The accuracies that stand beside the paper's: which trainings and measurements of a database count."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dcasearch.measurement import Measurement, MeasurementKey
from dcasearch.paper import row_of
from dcasearch.paper.accuracy import reached
from dcasearch.store import Store
from dcasearch.trial import State
from tests.paper.samples import put_role, put_study, put_trial, record, train

SE = row_of("t1_se_resnet50").architecture


def test_trainings_of_one_setting_are_a_mean_over_their_seeds(store: Store) -> None:
    put_study(store)
    train(store, SE, [77.0, 77.2, 77.7])
    (one,) = reached(store)[SE.id]
    assert one.values["top1"] == (77.0, 77.2, 77.7)
    assert (one.shown("top1", digits=2), one.shown("top5", digits=2), one.seeds) == ("77.30", "88.65", 3)
    assert one.how == (
        "Trained here: study paper, full, 100 epochs; mean of seeds 0, 1, 2; standard deviation of top-1 0.36."
    )


def test_a_baseline_counts_and_one_seed_is_said(store: Store) -> None:
    put_study(store)
    put_role(store, SE, record(store, SE, 77.0, seed=7), "vanilla se", seed=7)
    (one,) = reached(store)[SE.id]
    assert one.how.endswith("100 epochs; one seed, 7.")


@pytest.mark.parametrize(
    "study",
    [{"classes": 100}, {"data": "imagefolder"}, {"resolution": 192}, {"train_fraction": 0.5}, {"images": 49_000}],
    ids=lambda study: next(iter(study)),
)
def test_a_training_on_other_images_does_not_count(store: Store, study: dict[str, Any]) -> None:
    put_study(store, **study)
    train(store, SE, [77.0])
    assert reached(store) == {}


def test_a_training_may_lack_a_few_damaged_validation_images(store: Store) -> None:
    put_study(store, images=49_990)
    train(store, SE, [77.0])
    assert list(reached(store)) == [SE.id]


def test_a_training_that_did_not_end_or_is_measured_on_train_does_not_count(store: Store) -> None:
    put_study(store)
    put_trial(store, SE, record(store, SE, 77.0), 0, state=State.PRUNED)
    put_trial(store, SE, record(store, SE, 78.0, seed=1, protocol="search"), 1, seed=1)
    put_role(store, SE, record(store, SE, 79.0, seed=2), "vanilla se", role="parent", seed=2)
    assert reached(store) == {}


def test_a_final_training_says_what_it_did_not_see(store: Store) -> None:
    put_study(store)
    put_role(store, SE, record(store, SE, 77.0, seed=1000, protocol="test"), "winner", role="final", seed=1000)
    (one,) = reached(store)[SE.id]
    assert "100 epochs, without 10% of train; one seed, 1000." in one.how


def test_the_longest_training_comes_first(store: Store) -> None:
    put_study(store)
    put_study(store, "short", epochs=5)
    train(store, SE, [60.0, 61.0], study="short")
    train(store, SE, [77.0])
    assert [one.values["top1"] for one in reached(store)[SE.id]] == [(77.0,), (60.0, 61.0)]


def measurement(top1: float, **changes: Any) -> Measurement:
    key: dict[str, Any] = {
        **{"architecture_id": SE.id, "weights_sha256": "ab12cd34" + "0" * 56, "task": "classification", "data": "d"},
        **{"split": "validation", "classes": 1000, "resolution": 224, "preprocessing": "44136fa355b3678a"},
    }
    images = changes.pop("images", 50_000)
    return Measurement(
        key=MeasurementKey(**{**key, **changes}),
        preprocessing={},
        values={"top1": top1, "top5": 93.5},
        images=images,
        seconds=1.0,
        device="cpu",
        version="0",
        measured=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_measured_weights_follow_the_trainings_and_say_that_they_were_not_trained_here(store: Store) -> None:
    put_study(store)
    train(store, SE, [77.0])
    store.record_measurement(measurement(77.29))
    trained, measured = reached(store)[SE.id]
    assert (trained.values["top1"], measured.values["top1"]) == ((77.0,), (77.29,))
    assert measured.how == "Not trained here: weights ab12cd34, measured on 50,000 images."


@pytest.mark.parametrize(
    "changes",
    [{"classes": 10}, {"resolution": 256}, {"split": "test"}, {"images": 5_000}],
    ids=lambda changes: next(iter(changes)),
)
def test_weights_that_were_measured_on_other_images_do_not_count(store: Store, changes: dict[str, Any]) -> None:
    store.put_architecture(SE)
    store.record_measurement(measurement(77.29, **changes))
    assert reached(store) == {}
