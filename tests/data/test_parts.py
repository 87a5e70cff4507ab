"""What parts are called, and when a folder with such a name is a class."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dcasearch.config.data_set import Data
from dcasearch.data import Split, describe, open_held_out
from dcasearch.data.classes import open_set
from dcasearch.data.parts import PARTS, exact_folders, part_folders, part_named
from dcasearch.data.reading import READINGS
from dcasearch.data.sets import DataSet
from dcasearch.errors import DataError
from tests.data.support import write_folder, write_image

NEWEST = READINGS[2]
SPLIT = {"validation": 0.25, "test": 0.25}


def write_classes(folder: Path, *classes: str, images: int = 4) -> None:
    for label in classes:
        for n in range(images):
            write_image(folder / label / f"{n}.png", seed=n, size=(8, 8))


def data(root: Path, **more: object) -> Data:
    return Data.model_validate({"name": "imagefolder", "root": str(root), "reading": 2, **more})


def opened(root: Path, **more: object) -> DataSet:
    return open_set(data(root, **more))


@pytest.mark.parametrize("name", [*PARTS, "Train", "VALID", "Testing", "Dev"])
def test_each_usual_name_of_a_part_is_known_in_any_case(name: str, tmp_path: Path) -> None:
    part = PARTS[name.lower()]
    assert part_named(name) == part
    write_classes(tmp_path / name, "cat", "dog")
    assert part_folders(tmp_path, NEWEST) == {part: tmp_path / name}


@pytest.mark.parametrize("name", ["trains", "validate", "my test", ""])
def test_another_name_is_no_part(name: str) -> None:
    assert part_named(name) is None


@pytest.mark.parametrize(
    ("train", "val", "test"), [("Train", "VALID", "Testing"), ("training", "dev", "test"), ("TRAIN", "Val", "TEST")]
)
def test_parts_with_usual_names_are_the_same_data_as_with_exact_ones(
    tmp_path: Path, train: str, val: str, test: str
) -> None:
    for name in ("train", "val", "test"):
        write_classes(tmp_path / "exact" / name, "cat", "dog")
    shutil.copytree(tmp_path / "exact", tmp_path / "usual")
    for name, usual in (("train", train), ("val", val), ("test", test)):
        (tmp_path / "usual" / name).rename(tmp_path / "usual" / usual)
    exact, usual_data = (describe(data(tmp_path / folder, validation_fraction=0.25)) for folder in ("exact", "usual"))
    assert exact.fingerprint == usual_data.fingerprint
    assert (usual_data.train_images, usual_data.test_images) == (6, 8)
    splits: tuple[Split, ...] = ("validation", "test")
    for split in splits:
        held_out = [open_held_out(data(tmp_path / folder), split) for folder in ("exact", "usual")]
        assert held_out[0].fingerprint == held_out[1].fingerprint
        assert held_out[1].split == split


def test_the_oldest_reading_knows_the_exact_names_alone(tmp_path: Path) -> None:
    write_classes(tmp_path / "Training", "cat", "dog")
    write_classes(tmp_path / "test", "cat", "dog")
    assert part_folders(tmp_path, READINGS[1]) == exact_folders(tmp_path) == {"test": tmp_path / "test"}
    with pytest.raises(DataError, match="has no folder `train`"):
        opened(tmp_path, reading=1)


def test_evaluation_finds_a_usual_name_whatever_the_reading(tmp_path: Path) -> None:
    write_classes(tmp_path / "Valid", "cat", "dog")
    found = open_held_out(data(tmp_path, reading=1), "validation")
    assert (found.split, len(found.part.labels)) == ("validation", 8)
    write_classes(tmp_path / "val", "cat", "dog", images=2)
    assert len(open_held_out(data(tmp_path, reading=1), "validation").part.labels) == 4, "as before usual names"


def test_two_folders_for_one_part_are_refused_with_both_names(tmp_path: Path) -> None:
    for name in ("train", "valid", "Validation"):
        write_classes(tmp_path / name, "cat", "dog")
    with pytest.raises(DataError, match="has two folders for one part, `Validation` and `valid`"):
        opened(tmp_path)
    with pytest.raises(DataError, match="has two folders for one part"):
        open_held_out(data(tmp_path), "validation")


def test_a_folder_beside_the_parts_that_may_not_be_read_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_folder(tmp_path)
    (root / "lost+found").mkdir()
    real = os.scandir

    def scan(path: Path) -> object:
        if Path(path).name == "lost+found":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scan)
    assert opened(root).notes == ()


@pytest.mark.parametrize("name", ["train", "test", "Dev", "valid"])
def test_a_class_that_is_called_like_a_part_is_a_class_beside_others(tmp_path: Path, name: str) -> None:
    write_classes(tmp_path, "car", "plane", name)
    assert set(opened(tmp_path, split=SPLIT).classes) == {"car", "plane", name}


def test_folders_that_are_all_called_like_parts_are_parts(tmp_path: Path) -> None:
    write_classes(tmp_path, "train", "test")
    with pytest.raises(DataError, match=r"train holds no class folders, so its images have no labels; expected"):
        opened(tmp_path, split=SPLIT)


def test_train_and_test_with_images_alone_are_no_classes_though_other_folders_lie_there(tmp_path: Path) -> None:
    write_classes(tmp_path, "train", "test", "more")
    with pytest.raises(DataError, match=r"train holds no class folders, so its images have no labels"):
        opened(tmp_path, split=SPLIT)


def test_a_test_folder_without_labels_is_told(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", "cat", "dog")
    write_classes(tmp_path, "test")
    with pytest.raises(DataError, match=r"test holds no class folders, so its images have no labels; .* or no such"):
        opened(tmp_path)


def test_a_training_part_alone_beside_class_folders_is_told_with_both_ways_out(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", "cat", "dog")
    write_classes(tmp_path, "cat", "dog")
    (tmp_path / "notes").mkdir()
    with pytest.raises(DataError) as refused:
        opened(tmp_path, split=SPLIT)
    said = str(refused.value)
    assert "has no folder `val` or `test`; expected train/<class>/<image>" in said
    assert said.endswith(
        "Beside `train` lie folders with images: cat, dog. If `train` is one of the classes, give its folder another "
        f"name; if it is a part, move the other folders out of {tmp_path}"
    )


def test_a_part_alone_can_be_divided_and_the_error_says_how(tmp_path: Path) -> None:
    write_classes(tmp_path / "Training", "cat", "dog")
    with pytest.raises(DataError) as refused:
        opened(tmp_path)
    said = f"To divide the images of `Training`, give data.root: {tmp_path / 'Training'} and data.split"
    assert str(refused.value).endswith(said)
    assert opened(tmp_path / "Training", split=SPLIT).classes == ("cat", "dog")


def test_class_folders_beside_whole_parts_are_passed_over_with_a_word(tmp_path: Path) -> None:
    root = write_folder(tmp_path)
    write_classes(root, "cat", "fox")
    (root / "annotations").mkdir()
    (root / "annotations" / "cat.xml").touch()
    (root / "runs" / "best").mkdir(parents=True)
    dataset = opened(root)
    assert dataset.classes == ("cat", "dog", "eel")
    assert dataset.notes == ("2 folders with images are passed over, beside the parts: cat, fox",)


def test_parts_of_different_classes_are_told_by_their_own_names(tmp_path: Path) -> None:
    write_classes(tmp_path / "Training", "cat", "dog", "eel")
    write_classes(tmp_path / "valid", "cat", "fox")
    with pytest.raises(
        DataError, match="Training and valid have different classes; only in Training: dog, eel; only in valid: fox"
    ):
        opened(tmp_path)


def test_imagenet_keeps_its_exact_names(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", "n00000001", "n00000002")
    write_classes(tmp_path / "validation", "n00000001", "n00000002")
    with pytest.raises(DataError, match="has no folder `val`; expected train/<wnid>"):
        opened(tmp_path, name="imagenet")


def write_known(root: Path) -> None:
    """Files of known names and sizes, which are never decoded."""
    for label in ("cat", "dog"):
        for n in range(4):
            path = root / label / f"{n}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(n + 1))


@pytest.mark.parametrize(("reading", "known"), [(1, "89f573fc2629644a"), (2, "c9ae8c2c04f6f795")])
def test_the_fingerprints_of_train_val_and_test_stay(tmp_path: Path, reading: int, known: str) -> None:
    for part in ("train", "val", "test"):
        write_known(tmp_path / part)
    said = data(tmp_path, reading=reading, validation_fraction=0.25)
    assert describe(said).fingerprint == known
    assert open_held_out(said, "validation").fingerprint == "da4090143a23e355"


def test_the_fingerprint_of_a_folder_in_one_piece_stays(tmp_path: Path) -> None:
    write_known(tmp_path)
    assert describe(data(tmp_path, split=SPLIT, split_seed=3)).fingerprint == "9157e3b96f550a69"
    assert open_held_out(data(tmp_path), "validation").fingerprint == "da4090143a23e355"


def test_the_fingerprints_of_lists_stay(tmp_path: Path) -> None:
    write_known(tmp_path)
    parts = ("train", "train", "valid", "testing")
    rows = [f"{label}/{n}.jpg,{label},{parts[n]}" for label in ("cat", "dog") for n in range(4)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
    listed = {"name": "imagelist", "file": str(tmp_path / "list.csv")}
    in_parts = data(tmp_path, **listed, columns={"split": "split"}, validation_fraction=0.25)
    assert describe(in_parts).fingerprint == "eb65da5df56d5255"
    assert describe(data(tmp_path, **listed, split=SPLIT)).fingerprint == "0e6ca666034a2f41"
