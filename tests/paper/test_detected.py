"""The average precisions that stand beside the paper's: which trainings of detectors count for which row."""

from __future__ import annotations

from typing import Any

import pytest

from dcasearch.architecture import Architecture
from dcasearch.evaluation import EvaluationProtocol
from dcasearch.paper import row_of
from dcasearch.paper.accuracy import detected, reached
from dcasearch.paper.rows import PRECISIONS
from dcasearch.store import Store
from tests.paper.samples import put_detection, put_role, put_trial, record_values

SE = row_of("t1_se_resnet50").architecture


def detect(
    store: Store,
    *aps: float,
    architecture: Architecture = SE,
    study: str = "paper",
    protocol: EvaluationProtocol = "paper",
    without: str = "",
) -> None:
    """Store a complete trial for each AP, with seeds from 0; the other precisions are n points above AP."""
    for seed, ap in enumerate(aps):
        values = {metric: ap + n for n, metric in enumerate(PRECISIONS) if metric != without}
        number = len(store.trials(study, "full"))
        id = record_values(store, architecture, values, study=study, seed=seed, protocol=protocol)
        put_trial(store, architecture, id, number, seed=seed, study=study)


def test_trainings_of_a_detector_are_means_over_their_seeds_and_say_their_settings(store: Store) -> None:
    put_detection(store)
    detect(store, 36.0, 37.0)
    ((key, (one,)),) = detected(store).items()
    assert key == ("retinanet", SE.id)
    assert [one.mean(metric) for metric in PRECISIONS] == [36.5 + n for n in range(6)]
    assert one.how == (
        "Trained here: study paper, full, 24 epochs with drops after 18 and 22, preset paper, from random weights; "
        "mean of seeds 0, 1; standard deviation of AP 0.71."
    )


def test_two_detectors_on_one_backbone_are_two_rows(store: Store) -> None:
    put_detection(store)
    put_detection(store, "cascade", detector={"name": "cascade_rcnn", "preset": "released"})
    detect(store, 36.0)
    detect(store, 41.0, study="cascade")
    found = detected(store)
    assert {name: one.mean("ap") for (name, _), (one,) in found.items()} == {"retinanet": 36.0, "cascade_rcnn": 41.0}
    assert "preset released, from random" in found["cascade_rcnn", SE.id][0].how


def test_a_detector_with_other_settings_than_its_preset_says_which(store: Store) -> None:
    put_detection(store, detector={"channels": 64, "detections": 50})
    detect(store, 30.0)
    assert "preset paper but channels 64, detections 50, from random" in detected(store)["retinanet", SE.id][0].how


def test_a_detector_on_an_exported_network_says_so(store: Store) -> None:
    put_detection(store, full={"initialize": {"name": "exported", "specs": ["se.yaml"]}})
    detect(store, 37.0)
    assert "preset paper, from exported weights;" in detected(store)["retinanet", SE.id][0].how


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"name": "shapes"}},
        {"meaning": {"data.classes": 20}},
        {"meaning": {"data.validation_images": 128}},
        {"full": {"resolution": 600}},
        {"full": {"train_fraction": 0.5}},
    ],
    ids=["data", "classes", "images", "resolution", "train_fraction"],
)
def test_a_detector_that_was_trained_or_measured_on_other_images_does_not_count(
    store: Store, changes: dict[str, Any]
) -> None:
    put_detection(store, **changes)
    detect(store, 37.0)
    assert detected(store) == {}


def test_a_detector_that_is_measured_on_train_does_not_count(store: Store) -> None:
    put_detection(store)
    detect(store, 37.0, protocol="search")
    assert detected(store) == {}


def test_a_final_training_of_a_detector_counts_on_all_test_images(store: Store) -> None:
    for study, images in (("whole", 5_000), ("part", 500)):
        put_detection(store, study, meaning={"data.validation_images": 11_829, "data.test_images": images})
        id = record_values(store, SE, dict.fromkeys(PRECISIONS, 37.0), study=study, seed=1000, protocol="test")
        put_role(store, SE, id, "winner", role="final", seed=1000, study=study)
    (one,) = detected(store)["retinanet", SE.id]
    assert one.how.startswith("Trained here: study whole, full, 24 epochs with drops after 18 and 22, preset paper, wi")
    assert one.how.endswith("without 10% of train, from random weights; one seed, 1000.")


def test_a_precision_that_was_not_measured_is_left_out(store: Store) -> None:
    put_detection(store)
    detect(store, 37.0, without="ap_small")
    (one,) = detected(store)["retinanet", SE.id]
    assert (one.shown("ap", digits=1), one.shown("ap_small", digits=1), one.shown("ap_large", digits=1)) == (
        "37.0",
        "",
        "42.0",
    )


def test_the_longest_training_of_a_detector_comes_first(store: Store) -> None:
    put_detection(store, "short", full={"epochs": 12})
    put_detection(store)
    detect(store, 30.0, 31.0, study="short")
    detect(store, 37.0)
    assert [one.mean("ap") for one in detected(store)["retinanet", SE.id]] == [37.0, 30.5]


def test_a_detector_is_no_accuracy_of_its_backbone(store: Store) -> None:
    put_detection(store)
    detect(store, 37.0)
    assert reached(store) == {}
