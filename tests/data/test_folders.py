import shutil
from pathlib import Path

import pytest

from dcasearch.config.data_set import Data
from dcasearch.data.classes import open_set
from dcasearch.data.sets import DataSet, FilePart
from dcasearch.errors import DataError
from tests.data.support import write_folder


def folder(root: Path, name: str = "imagefolder") -> DataSet:
    return open_set(Data(name=name, root=str(root)))


def test_an_image_folder_lists_its_files(tmp_path: Path) -> None:
    dataset = folder(write_folder(tmp_path))
    assert isinstance(dataset.train, FilePart)
    assert dataset.train.paths[0] == str(tmp_path / "train" / "cat" / "00.jpg")
    assert dataset.train.labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert len(dataset.test.labels) == 9
    assert dataset.val is dataset.test


def test_val_and_test_are_told_apart_where_both_exist(tmp_path: Path) -> None:
    write_folder(tmp_path)
    shutil.copytree(tmp_path / "train", tmp_path / "val")
    dataset = folder(tmp_path)
    assert (len(dataset.val.labels), len(dataset.test.labels)) == (18, 9)


def test_imagenet_reads_train_and_val(tmp_path: Path) -> None:
    write_folder(tmp_path, suffix=".JPEG")
    (tmp_path / "test").rename(tmp_path / "val")
    dataset = folder(tmp_path, "imagenet")
    assert (len(dataset.train.labels), len(dataset.val.labels)) == (18, 9)
    assert dataset.test is dataset.val


def test_the_fingerprint_is_of_names_and_sizes_and_not_of_the_place(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        write_folder(tmp_path / name)
    first = tmp_path / "c" / "train" / "cat" / "00.jpg"
    first.write_bytes(first.read_bytes() + b"0")
    first = tmp_path / "d" / "test" / "cat" / "00.jpg"
    first.rename(first.with_name("99.jpg"))
    a, b, c, d = (folder(tmp_path / name).fingerprint for name in "abcd")
    assert a == b
    assert len({a, c, d}) == 3


@pytest.mark.parametrize("name", ["imagefolder", "imagenet", "cifar10"])
def test_a_missing_root_names_the_path_and_the_layout(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"no folder .*/nowhere; .* needs one that holds train/<"):
        folder(tmp_path / "nowhere", name)
    with pytest.raises(DataError, match=r"data.root is missing: .* train/<"):
        open_set(Data(name=name))


def test_a_missing_part_names_the_layout(tmp_path: Path) -> None:
    write_folder(tmp_path)
    with pytest.raises(DataError, match=r"no folder `val`; expected train/<wnid>/<image> and val/<wnid>/<image>"):
        folder(tmp_path, "imagenet")
    shutil.rmtree(tmp_path / "train")
    with pytest.raises(DataError, match="no folder `train`"):
        folder(tmp_path)


def test_parts_of_different_classes_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "test" / "eel").rename(tmp_path / "test" / "fox")
    with pytest.raises(DataError, match="train and test have different classes; only in train: eel; only in test: fox"):
        folder(tmp_path)
