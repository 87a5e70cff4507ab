from __future__ import annotations

from typing import Any

import pytest
import torch

from dcasearch.config.data_set import Data
from dcasearch.config.recipe import Recipe
from dcasearch.data import open_set
from dcasearch.data.batches import Loader
from dcasearch.data.detection_loaders import DetectionLoaders
from dcasearch.data.loaders import Loaders
from dcasearch.data.sets import DATASETS, DataSet
from dcasearch.errors import DataError, UserError

DATA = Data(name="shapes_boxes", validation_fraction=0.5, workers=0)


def made(data: Data = DATA, **changes: Any) -> DetectionLoaders:
    return DetectionLoaders(data=data, resolution=32, batch_size=8, device=torch.device("cpu"), **changes)


def training(protocol: Any, *, flip: bool = False, **changes: Any) -> Loaders:
    recipe = Recipe.model_validate({"augmentation": {"crop": "none", "flip": flip}})
    return made(**changes).of_training(protocol, train_fraction=0.1, recipe=recipe, seed=0)


def ids(loader: Loader) -> list[int]:
    return [int(target["image_id"]) for _, targets in loader.epoch(1) for target in targets]


def test_search_sees_no_image_twice_and_the_test_part_at_the_end_alone() -> None:
    found = training("test")
    train, each, final = (set(ids(loader)) for loader in (found.train, found.each, found.final))
    assert not train & each  # both are of the part train
    assert (len(train), len(each), len(final)) == (16, 180, 100)
    assert training("search").final is not found.final
    assert found.class_names == ("circle", "square", "star")


def test_paper_trains_on_all_and_measures_the_official_images() -> None:
    found = training("paper")
    assert len(ids(found.train)) == 32  # a tenth of 360, in whole batches
    assert found.each is found.final
    assert len(ids(found.each)) == 100


def test_an_image_is_mirrored_where_the_recipe_says_so() -> None:
    plain, mirrored = (training("search", flip=flip).train for flip in (False, True))
    (first, _), (second, _) = (next(loader.epoch(1)) for loader in (plain, mirrored))
    assert any(not torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(torch.equal(a, b) or torch.equal(a, b.flip(2)) for a, b in zip(first, second, strict=True))


def test_what_is_measured_comes_mixed_where_that_is_asked_for() -> None:
    ordered, mixed = made().of_evaluation("search"), made(mixed=True).of_evaluation("search")
    assert ids(ordered) == sorted(ids(mixed)) != ids(mixed)


def test_all_images_of_a_part_are_measured() -> None:
    dataset = open_set(DATA)
    assert ids(made().of_part(dataset, dataset.test)) == list(range(100))


def test_images_with_one_label_are_refused() -> None:
    with pytest.raises(UserError, match="images of digits have no boxes, which task detection learns from"):
        made(Data(name="digits")).of_evaluation("search")


def test_too_many_unreadable_images_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from dcasearch.data.images import Unreadable
    from dcasearch.data.shapes_boxes import DrawnPictures

    def broken(self: DrawnPictures, index: int) -> None:
        raise Unreadable("is broken")

    monkeypatch.setattr(DrawnPictures, "read", broken)
    with pytest.raises(DataError, match=r"image \d+ of shapes \(train\): is broken"):
        ids(made().of_evaluation("search"))


def test_a_data_set_with_boxes_is_one_of_the_table() -> None:
    found = [name for name in ("coco", "shapes_boxes") if name in DATASETS]
    assert found == ["coco", "shapes_boxes"]
    assert isinstance(open_set(DATA), DataSet)
