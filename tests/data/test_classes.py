from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dcasearch.config.data_set import Data
from dcasearch.config.recipe import Recipe
from dcasearch.data import describe, open_loaders, open_set
from dcasearch.data.classes import choose
from dcasearch.data.loaders import parts_of
from dcasearch.data.preparing import prepare
from dcasearch.data.sets import FilePart, PreparedPart, open_whole
from dcasearch.errors import DataError
from tests.data.support import write_folder

KNOWN = tuple(f"n{number:03}" for number in range(100))


def test_fewer_classes_are_always_among_more() -> None:
    ten, fifty = choose(KNOWN, 10, 0), choose(KNOWN, 50, 0)
    assert set(ten) < set(fifty)
    assert list(ten) == sorted(ten)
    assert len(ten) == 10
    assert choose(KNOWN, 10, 1) != ten
    assert choose(KNOWN, 100, 3) == KNOWN


def test_the_draw_is_the_same_for_good() -> None:
    assert choose(KNOWN, 5, 0) == ("n016", "n034", "n075", "n097", "n099")


def test_names_come_in_the_order_of_the_data_set() -> None:
    assert choose(KNOWN, ("n007", "n003"), 0) == ("n003", "n007")


def test_unknown_or_too_many_classes_say_where_the_mistake_is() -> None:
    with pytest.raises(DataError, match=r"'n00x' is no class; .*n00") as unknown:
        choose(KNOWN, ("n001", "n00x"), 0)
    assert unknown.value.path == ("data", "classes", 1)
    assert len(str(unknown.value)) < 400
    with pytest.raises(DataError, match="101 classes are more than the 100 there are") as many:
        choose(KNOWN, 101, 0)
    assert many.value.path == ("data", "classes")


def test_only_the_images_of_the_chosen_classes_are_left_with_new_numbers(tmp_path: Path) -> None:
    root = write_folder(tmp_path)
    dataset = open_set(Data(name="imagefolder", root=str(root), classes=("dog", "eel")))
    assert dataset.classes == ("dog", "eel")
    assert isinstance(dataset.train, FilePart)
    assert {Path(path).parent.name for path in dataset.train.paths} == {"dog", "eel"}
    for path, label in zip(dataset.train.paths, dataset.train.labels, strict=True):
        assert Path(path).parent.name == dataset.classes[label]
    assert dataset.val is dataset.test


def test_prepared_and_original_images_of_a_class_are_the_same(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "images")
    (root / "train" / "dog" / "00.jpg").write_bytes(b"")
    prepare(root, tmp_path / "out", size=32, workers=0, max_corrupt=0.1)
    data = Data(name="imagefolder", root=str(tmp_path / "out"), classes=("dog", "eel"))
    part, whole = open_set(data).train, open_whole(data).train
    assert isinstance(part, PreparedPart)
    assert isinstance(whole, PreparedPart)
    assert part.labels.tolist() == [0] * 6 + [1] * 6
    assert torch.equal(part.pixels(7), whole.pixels(13))
    assert list(part.unreadable) == [0]


def test_classes_of_a_set_in_memory() -> None:
    data = Data(name="digits", classes=("3", "7"), validation_fraction=0.2)
    loaders = open_loaders(
        data,
        "search",
        resolution=8,
        train_fraction=1.0,
        recipe=Recipe(batch_size=16),
        seed=0,
        artifacts=None,
        device=torch.device("cpu"),
    )
    assert loaders.classes == 2
    labels = torch.cat([labels for _, labels in loaders.each.epoch(0)])
    assert set(labels.tolist()) == {0, 1}
    whole = open_whole(data)
    sevens = int((whole.train.labels == 7).sum())
    assert int((open_set(data).train.labels == 1).sum()) == sevens


def test_a_fraction_of_some_classes_is_stratified() -> None:
    data = Data(name="digits", classes=4)
    dataset = open_set(data)
    train = parts_of(dataset, data, "search").train
    counts = np.bincount(dataset.train.labels[train[: len(train) // 4]])
    assert len(counts) == 4
    assert counts.max() - counts.min() <= 3


def test_the_fingerprint_tells_which_classes_and_not_how_they_were_named() -> None:
    def fingerprint(**changes: object) -> str:
        return describe(Data.model_validate({"name": "digits", **changes})).fingerprint

    drawn = open_set(Data(name="digits", classes=3)).classes
    assert fingerprint(classes=3) == fingerprint(classes=list(drawn)) == fingerprint(classes=list(reversed(drawn)))
    assert fingerprint(classes=10) == fingerprint()
    assert len({fingerprint(), fingerprint(classes=3), fingerprint(classes=4)}) == 3


def test_the_description_counts_what_is_left() -> None:
    whole, some = describe(Data(name="digits")), describe(Data(name="digits", classes=5))
    assert some.classes == 5
    assert some.train_images < 0.6 * whole.train_images
