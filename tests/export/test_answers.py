from __future__ import annotations

import numpy as np
import pytest
import torch

from dcasearch.export.answers import Answers, classes_csv, classes_of, intervals_of
from dcasearch.measurement import wilson
from dcasearch.training.tasks.further_metrics import FurtherMetrics


def answers(images: int, classes: int, seed: int = 0) -> tuple[Answers, torch.Tensor]:
    """Made-up answers that are right for about two images of three, and their probabilities, shape (N, K)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (images,), generator=generator)
    logits = torch.randn(images, classes, generator=generator)
    logits[torch.arange(images), labels] += 2
    top, said = logits.softmax(1).max(1)
    made = Answers(
        names=tuple(map(str, range(images))),
        labels=labels.numpy(),
        said=said.numpy(),
        probabilities=top.double().numpy(),
        class_names=tuple(f"c{n}" for n in range(classes)),
    )
    return made, logits


def test_a_class_has_wilsons_interval_and_nothing_where_it_has_no_image() -> None:
    made = Answers(
        names=("a", "b", "c", "d"),
        labels=np.array([0, 0, 0, 1]),
        said=np.array([0, 0, 1, 1]),
        probabilities=np.full(4, 0.9),
        class_names=("cat", "dog", "eel"),
    )
    cat, dog, eel = classes_of(made)
    assert (cat.images, cat.recall, cat.precision, cat.f1) == (3, pytest.approx(200 / 3), 100, pytest.approx(80))
    assert cat.interval == wilson(200 / 3, 3)
    assert (dog.recall, dog.precision, dog.f1) == (100, 50, pytest.approx(200 / 3))
    assert (eel.images, eel.recall, eel.interval, eel.precision, eel.f1) == (0, None, None, None, None)
    assert classes_csv([eel]).splitlines()[1] == "eel,0,,,,,"


def test_an_interval_is_that_of_the_metric_of_resampled_images() -> None:
    made, logits = answers(200, 4)
    names = ("balanced_accuracy", "macro_f1", "calibration_error")
    drawn = np.random.default_rng(3).integers(200, size=(20, 200))
    metrics = FurtherMetrics(4, torch.device("cpu"), names)
    metrics.update(logits, torch.from_numpy(made.labels))
    whole = metrics.compute()
    expected = {name: [] for name in names}  # type: dict[str, list[float]]
    for images in drawn:
        metrics = FurtherMetrics(4, torch.device("cpu"), names)
        metrics.update(logits[images], torch.from_numpy(made.labels[images]))
        for name, value in metrics.compute().items():
            expected[name].append(value)
    for name, interval in intervals_of(made, resamples=20, seed=3).items():
        bias = np.mean(expected[name]) - whole[name]
        assert interval == pytest.approx(np.percentile(expected[name], (2.5, 97.5)) - bias, abs=1e-3)


def test_the_interval_of_a_well_calibrated_networks_error_holds_the_error() -> None:
    generator = np.random.default_rng(0)
    sure = generator.uniform(0.4, 0.95, 70)
    right = generator.permutation(70) < round(sure.sum())
    made = Answers(
        names=tuple(map(str, range(70))),
        labels=np.where(right, 0, 1),
        said=np.zeros(70, np.int64),
        probabilities=np.full(70, sure.mean()),  # one bin, whose share of right images is its probability
        class_names=("cat", "dog"),
    )
    low, high = intervals_of(made)["calibration_error"]
    assert low == 0
    assert abs(100 * (right.mean() - sure.mean())) <= high


def test_intervals_are_equal_for_one_seed_and_narrower_for_more_images() -> None:
    few, many = answers(100, 3)[0], answers(3000, 3)[0]
    assert intervals_of(few, resamples=200) == intervals_of(few, resamples=200)
    widths = [high - low for one in (few, many) for low, high in intervals_of(one, resamples=200).values()]
    assert all(wide > narrow for wide, narrow in zip(widths[:3], widths[3:], strict=True))
