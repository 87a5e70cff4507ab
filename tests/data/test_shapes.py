"""The data set `shapes`: works as `digits` does, with the box of every object."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dcasearch.config.data_set import Data
from dcasearch.data import describe, sets, shapes
from dcasearch.data.classes import open_set
from dcasearch.data.sets import MemoryPart
from tests.training.support import make_assignment, run


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """Draw a few pictures: each takes a millisecond."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "IMAGES", {"train": 160, "test": 40})
        forget()
        yield
    forget()


def forget() -> None:
    """Let no data set of another number of pictures be found in a cache."""
    sets._open.cache_clear()
    shapes._drawn.cache_clear()


def parts() -> tuple[MemoryPart, MemoryPart]:
    dataset = shapes.open_shapes(None)
    assert isinstance(dataset.train, MemoryPart)
    assert isinstance(dataset.test, MemoryPart)
    return dataset.train, dataset.test


def test_opening_and_describing_draw_nothing() -> None:
    shapes._drawn.cache_clear()
    describe(Data(name="shapes"))
    assert shapes._drawn.cache_info().currsize == 0


def test_the_classes_are_balanced_and_the_parts_share_no_picture() -> None:
    train, test = parts()
    assert np.bincount(train.labels).tolist() == [20] * 8
    pixels = np.concatenate([part.read(None).array for part in (train, test)])
    assert pixels.shape == (200, 3, 64, 64)
    assert len(np.unique(pixels.reshape(200, -1), axis=0)) == 200


def test_every_object_has_a_box_whose_pixels_differ_from_those_outside() -> None:
    train, _ = parts()
    pixels, boxes = train.read(None).array.astype(float), shapes.boxes_of("train")
    assert boxes.shape == (160, 4)
    assert train.boxes is not None
    assert np.array_equal(train.boxes(), boxes)
    distances = []
    for image, (x1, y1, x2, y2) in zip(pixels, boxes.astype(int), strict=True):
        inside = np.zeros((64, 64), bool)
        inside[y1:y2, x1:x2] = True
        background = np.median(image[:, ~inside], axis=1)[:, None]
        far = np.linalg.norm(image.reshape(3, -1) - background, axis=0) > 60
        distances.append(far[inside.ravel()].mean() - far[~inside.ravel()].mean())
    assert np.mean(distances) > 0.3
    assert np.mean(np.array(distances) > 0) > 0.97


def test_boxes_follow_a_choice_of_classes() -> None:
    whole, some = open_set(Data(name="shapes")), open_set(Data(name="shapes", classes=("ring", "star")))
    assert isinstance(whole.test, MemoryPart)
    assert isinstance(some.test, MemoryPart)
    assert whole.test.boxes is not None
    assert some.test.boxes is not None
    kept = np.isin(whole.test.labels, [whole.classes.index(name) for name in ("ring", "star")])
    assert np.array_equal(some.test.boxes(), whole.test.boxes()[kept])


def test_pictures_are_kept_in_the_scratch_folder(tmp_path: Path) -> None:
    _, test = parts()
    first = test.read(tmp_path).array
    shapes._drawn.cache_clear()
    assert np.array_equal(test.read(tmp_path).array, first)
    assert shapes._drawn.cache_info().currsize == 0


def test_the_fingerprint_of_shapes_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    before = shapes._fingerprint()
    monkeypatch.setattr(shapes, "DRAWING", 2)
    assert shapes._fingerprint() != before
    monkeypatch.undo()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_tiny_network_learns_the_shapes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Guessing gets an eighth."""
    monkeypatch.setattr(shapes, "IMAGES", {"train": 4000, "test": 200})
    forget()
    network = {"backbone": {"name": "resnet18", "width": 0.125, "stem": "small"}}
    recipe = {"lr": 0.05, "batch_size": 64, "schedule": {"name": "cosine", "warmup_epochs": 4}}
    assignment = make_assignment(
        network, data=Data(name="shapes"), recipe=recipe, resolution=32, epochs=14, train_fraction=1.0
    )
    assert run(assignment, tmp_path).history[-1].values["top1"] > 50
