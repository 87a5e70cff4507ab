"""The further metrics of classification, against scikit-learn's and against sums by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from dcasearch.config.recipe import Recipe
from dcasearch.errors import DataError
from dcasearch.metrics import CLASSIFICATION
from dcasearch.training import Ranks
from dcasearch.training.tasks import learning_task
from dcasearch.training.tasks.classification import ClassificationMeter as Meter
from dcasearch.training.tasks.further_metrics import BINS
from tests.training.pair import Pair, pair

CPU = torch.device("cpu")
CLASSES, IMAGES = 6, 300
SKEWED = (0.6, 0.2, 0.1, 0.06, 0.04, 0.0)
"""Share of each class; the last one has no image, and is said of some."""


@pytest.fixture(scope="module")
def two() -> Iterator[Pair]:
    with pair() as made:
        yield made


def answers() -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits, shape (300, 6), and skewed classes, shape (300,); the network is right of about half of them."""
    random = np.random.RandomState(0)
    labels = random.choice(CLASSES, IMAGES, p=SKEWED)
    logits = random.normal(size=(IMAGES, CLASSES))
    logits[np.arange(IMAGES), labels] += 1
    return torch.tensor(logits, dtype=torch.float32), torch.tensor(labels)


def measured(names: tuple[str, ...] = CLASSIFICATION.further) -> dict[str, float]:
    logits, labels = answers()
    meter = Meter(CLASSES, CPU, names)
    for part in torch.arange(IMAGES).split(64):
        meter.update(logits[part], labels[part])
    return meter.compute()


def by_scikit_learn() -> dict[str, float]:
    logits, labels = answers()
    probabilities, truth = logits.softmax(1).numpy(), labels.numpy()
    said, shown = probabilities.argmax(1), np.unique(truth)
    of_classes = [roc_auc_score(truth == k, probabilities[:, k]) for k in shown]
    return {
        "balanced_accuracy": 100 * balanced_accuracy_score(truth, said),
        "macro_f1": 100 * f1_score(truth, said, labels=shown, average="macro"),
        "auroc": 100 * float(np.mean(of_classes)),
    }


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1", "auroc"])
def test_a_metric_is_that_of_scikit_learn_where_a_class_has_no_image(name: str) -> None:
    assert measured()[name] == pytest.approx(by_scikit_learn()[name], abs=1e-3)


def test_the_calibration_error_is_the_mean_distance_of_said_and_right_over_fifteen_bins() -> None:
    logits, labels = answers()
    confidence, said = logits.softmax(1).max(1)
    bins = np.minimum((confidence.numpy() * BINS).astype(int), BINS - 1)
    distance = confidence.numpy() - (said == labels).numpy()
    by_hand = sum(abs(distance[bins == n].sum()) for n in range(BINS)) / IMAGES
    assert measured()["calibration_error"] == pytest.approx(100 * by_hand, abs=1e-3)


def test_a_network_that_says_one_class_of_all_images_has_the_balanced_accuracy_of_chance() -> None:
    meter = Meter(2, CPU, ("balanced_accuracy", "macro_f1"))
    meter.update(torch.tensor([[1.0, 0.0]] * 10), torch.tensor([0] * 9 + [1]))
    values = meter.compute()
    assert (values["top1"], values["balanced_accuracy"]) == (90.0, 50.0)
    assert values["macro_f1"] == pytest.approx(100 * (18 / 19 + 0) / 2, abs=1e-4)


def test_only_what_is_asked_for_is_measured() -> None:
    assert set(measured(())) == set(CLASSIFICATION.metrics)
    assert set(measured(("macro_f1",))) == {*CLASSIFICATION.metrics, "macro_f1"}


def test_logits_between_0_and_1_are_not_taken_for_probabilities() -> None:
    meter = Meter(2, CPU, ("calibration_error",))
    meter.update(torch.tensor([[1.0, 0.0]]), torch.tensor([0]))
    assert meter.compute()["calibration_error"] == pytest.approx(100 * (1 - np.e / (np.e + 1)), abs=1e-3)


def test_auroc_of_images_of_one_class_is_refused() -> None:
    meter = Meter(3, CPU, ("auroc",))
    meter.update(torch.zeros(4, 3), torch.ones(4, dtype=torch.int64))
    with pytest.raises(DataError, match="auroc compares images of two classes"):
        meter.compute()


def test_a_further_metric_of_another_task_is_refused() -> None:
    with pytest.raises(ValueError, match="task detection does not measure macro_f1"):
        learning_task("detection", Recipe(), None, ("macro_f1",))


def as_one_of_two(ranks: Ranks) -> dict[str, Any]:
    """Return what a rank measures together with the other; the second rank has fewer images."""
    logits, labels = answers()
    mine = slice(0, 200) if ranks.rank == 0 else slice(200, IMAGES)
    meter = Meter(CLASSES, CPU, CLASSIFICATION.further)
    meter.update(logits[mine], labels[mine])
    return meter.compute()


def test_each_of_two_ranks_has_the_metrics_of_the_images_of_both(two: Pair) -> None:
    alone = measured()
    for values in two.run(as_one_of_two):
        assert values == pytest.approx(alone, abs=2e-4)
