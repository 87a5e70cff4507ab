from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dcasearch.config.data_set import Data
from dcasearch.data import open_held_out
from dcasearch.data.preparing import prepare
from dcasearch.errors import DataError
from tests.data.support import write_folder, write_image


def folder(root: Path | str) -> Data:
    return Data(name="imagefolder", root=str(root))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with val and test, and no train."""
    write_folder(tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "train")
    for n, name in enumerate(("cat", "dog")):
        write_image(tmp_path / "data" / "val" / name / "0.png", seed=n)
    return tmp_path / "data"


def test_a_folder_needs_no_train(root: Path) -> None:
    found = open_held_out(folder(root), "validation")
    assert (found.split, found.dataset.classes, len(found.part.labels)) == ("validation", ("cat", "dog"), 2)
    assert len(open_held_out(folder(root), "test").part.labels) == 9


def test_the_other_images_are_measured_where_the_wanted_ones_are_missing(root: Path) -> None:
    shutil.rmtree(root / "val")
    found = open_held_out(folder(root), "validation")
    assert (found.split, len(found.part.labels)) == ("test", 9)


def test_a_folder_without_either_says_the_layout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no folder `val` or `test`; expected train/<class>"):
        open_held_out(folder(tmp_path), "validation")


def test_images_elsewhere_are_the_same_and_a_class_of_another_name_is_not(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "copy")
    before = open_held_out(folder(root), "validation").fingerprint
    assert open_held_out(folder(tmp_path / "copy"), "validation").fingerprint == before
    (tmp_path / "copy" / "val" / "dog").rename(tmp_path / "copy" / "val" / "eel")
    assert open_held_out(folder(tmp_path / "copy"), "validation").fingerprint != before


def test_what_train_holds_changes_nothing(root: Path) -> None:
    before = open_held_out(folder(root), "validation").fingerprint
    write_image(root / "train" / "cat" / "0.png", seed=0)
    assert open_held_out(folder(root), "validation").fingerprint == before


def test_of_a_data_set_without_validation_images_the_test_images_are_measured() -> None:
    found = open_held_out(Data(name="digits"), "validation")
    assert found.split == "test"
    assert found.part is found.dataset.test


def test_some_classes_alone_are_measured_where_the_data_says_so() -> None:
    whole = open_held_out(Data(name="digits"), "test")
    some = open_held_out(Data(name="digits", classes=("0", "1")), "test")
    assert some.dataset.classes == ("0", "1")
    assert some.fingerprint != whole.fingerprint


@pytest.mark.parametrize(("part", "split"), [("val", "validation"), ("test", "test")])
def test_of_a_prepared_set_with_one_part_the_part_is_named_as_it_is(part: str, split: str, tmp_path: Path) -> None:
    original = write_folder(tmp_path / "images", images=2)
    if part == "val":
        (original / "test").rename(original / "val")
    prepare(original, tmp_path / "prepared", size=16, workers=0, max_corrupt=0.0)
    assert open_held_out(folder(tmp_path / "prepared"), "validation").split == split


def test_some_classes_of_a_folder_with_val_alone_are_its_validation_images(tmp_path: Path) -> None:
    original = write_folder(tmp_path / "images", images=2)
    (original / "test").rename(original / "val")
    found = open_held_out(folder(original).model_copy(update={"classes": ("cat", "eel")}), "test")
    assert (found.split, found.dataset.classes, len(found.part.labels)) == ("validation", ("cat", "eel"), 2)
