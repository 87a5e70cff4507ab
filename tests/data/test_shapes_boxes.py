from __future__ import annotations

import numpy as np
import pytest

from dcasearch.config.data_set import Data
from dcasearch.data import describe, open_set
from dcasearch.data.boxes import BoxedPart
from dcasearch.data.shapes_boxes import CLASSES, IMAGES, SIDE
from dcasearch.errors import DataError

DATA = Data(name="shapes_boxes", validation_fraction=1 / 6)


def part(name: str) -> BoxedPart:
    found = getattr(open_set(DATA), name)
    assert isinstance(found, BoxedPart)
    return found


def test_its_pictures_never_change() -> None:
    """A change of them is a change of stored records; then the fingerprint must change too."""
    assert describe(DATA).fingerprint == "1fd4afd823f9117b"
    pixels = np.asarray(part("train").pictures.read(7))
    assert (pixels.shape, int(pixels.astype(np.int64).sum())) == ((SIDE, SIDE, 3), 7_279_457)


def test_pictures_show_one_to_four_objects_within_the_picture() -> None:
    pictures = part("test").pictures
    shown = [pictures.objects_of(index) for index in range(len(pictures))]
    assert {len(objects.labels) for objects in shown} == {1, 2, 3, 4}
    boxes = np.concatenate([objects.boxes for objects in shown])
    assert boxes.min() >= 0
    assert boxes.max() <= SIDE
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert {int(label) for objects in shown for label in objects.labels} == set(range(len(CLASSES)))
    assert not any(objects.crowd.any() for objects in shown)


def test_train_and_test_are_other_pictures() -> None:
    train, test = part("train").pictures, part("test").pictures
    assert (len(train), len(test)) == (IMAGES["train"], IMAGES["test"])
    assert len(set(train.ids.tolist())) == len(train)
    assert not np.array_equal(np.asarray(train.read(0)), np.asarray(test.read(0)))


def test_the_data_set_says_its_counts_and_sizes() -> None:
    info = describe(DATA)
    assert (info.classes, info.train_images, info.validation_images, info.test_images) == (3, 300, 60, 100)
    assert info.sizes == {"validation": {"small", "medium"}, "test": {"small", "medium"}}


def test_classes_cannot_be_chosen_among_boxes() -> None:
    with pytest.raises(DataError, match="not among boxes"):
        open_set(Data(name="shapes_boxes", classes=2))
