from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from dcasearch.config.data_set import Data
from dcasearch.data.folders import list_any
from dcasearch.data.sets import DataSet, FilePart, open_whole
from dcasearch.errors import DataError
from tests.data.support import write_image

WNIDS = ("n01", "n02", "n03")
TRUTH = ("n03", "n01", "n02", "n01", "n03", "n02")
"""Of validation images 1 to 6."""
DEVKIT_IDS = {"n03": 1, "n01": 2, "n02": 3}
"""Not in the order of the wnids."""


def name(number: int) -> str:
    return f"ILSVRC2012_val_{number:08}.JPEG"


def write_imagenet(root: Path) -> Path:
    for wnid in WNIDS:
        for n in range(3):
            write_image(root / "train" / wnid / f"{wnid}_{n}.JPEG", seed=n)
    for n in range(len(TRUTH)):
        write_image(root / "val" / name(n + 1), seed=n)
    (root / "test").mkdir()
    write_image(root / "test" / "ILSVRC2012_test_00000001.JPEG", seed=1)
    return root


def write_kaggle(folder: Path) -> None:
    rows = [f"{Path(name(n + 1)).stem},{wnid} 1 2 3 4 {wnid} 5 6 7 8" for n, wnid in reversed(list(enumerate(TRUTH)))]
    (folder / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *rows]))


def write_devkit(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [str(DEVKIT_IDS[wnid]) for wnid in TRUTH]
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("\n".join(lines) + "\n")
    kinds = {**DEVKIT_IDS, "n99": 1001}
    synsets = np.zeros((len(kinds), 1), [("ILSVRC2012_ID", object), ("WNID", object), ("words", object)])
    for row, (wnid, number) in enumerate(kinds.items()):
        synsets[row, 0] = (float(number), wnid, "a word")
    savemat(folder / "meta.mat", {"synsets": synsets})


def write_wnids(folder: Path) -> None:
    (folder / "imagenet_2012_validation_synset_labels.txt").write_text("\n".join(TRUTH) + "\n")


def imagenet(root: Path) -> DataSet:
    return open_whole(Data(name="imagenet", root=str(root)))


def truth_of(dataset: DataSet) -> dict[str, str]:
    assert isinstance(dataset.val, FilePart)
    return {
        Path(path).name: dataset.classes[label]
        for path, label in zip(dataset.val.paths, dataset.val.labels, strict=True)
    }


EXPECTED = {name(n + 1): wnid for n, wnid in enumerate(TRUTH)}


@pytest.mark.parametrize("place", [".", "val"])
@pytest.mark.parametrize("write", [write_kaggle, write_devkit, write_wnids])
def test_a_flat_val_gets_its_classes_from_each_file_of_them(tmp_path: Path, write: object, place: str) -> None:
    root = write_imagenet(tmp_path)
    write(root / place)  # type: ignore[operator]  # one of the writers
    dataset = imagenet(root)
    assert truth_of(dataset) == EXPECTED
    assert all(Path(path).is_file() for path in dataset.val.paths)  # type: ignore[union-attr]  # files
    assert dataset.test is dataset.val


@pytest.mark.parametrize("folder", ["ILSVRC2012_devkit_t12/data", "devkit"])
def test_the_devkit_is_found_beside_train_and_above(tmp_path: Path, folder: str) -> None:
    root = write_imagenet(tmp_path / "imagenet")
    write_devkit(tmp_path / folder)
    assert truth_of(imagenet(root)) == EXPECTED


def test_kaggles_archive_is_read_as_it_unpacks(tmp_path: Path) -> None:
    write_imagenet(tmp_path / "ILSVRC" / "Data" / "CLS-LOC")
    write_kaggle(tmp_path)
    assert truth_of(imagenet(tmp_path)) == truth_of(imagenet(tmp_path / "ILSVRC" / "Data" / "CLS-LOC")) == EXPECTED


def test_a_flat_val_and_one_in_class_folders_are_the_same_data(tmp_path: Path) -> None:
    flat, sorted_ = (write_imagenet(tmp_path / kind) for kind in ("flat", "sorted"))
    write_kaggle(flat)
    for n, wnid in enumerate(TRUTH):
        (sorted_ / "val" / wnid).mkdir(exist_ok=True)
        (sorted_ / "val" / name(n + 1)).rename(sorted_ / "val" / wnid / name(n + 1))
    first, second = imagenet(flat), imagenet(sorted_)
    assert first.fingerprint == second.fingerprint
    assert np.array_equal(first.val.labels, second.val.labels)
    write_wnids(flat)
    (flat / "LOC_val_solution.csv").unlink()
    labels = (flat / "imagenet_2012_validation_synset_labels.txt").read_text().replace("n01", "n02", 1)
    (flat / "imagenet_2012_validation_synset_labels.txt").write_text(labels)
    open_whole.__globals__["_open"].cache_clear()
    assert imagenet(flat).fingerprint != second.fingerprint


def test_the_test_images_without_labels_are_not_prepared(tmp_path: Path) -> None:
    root = write_imagenet(tmp_path)
    write_kaggle(root)
    assert list(list_any(root).listings) == ["train", "val"]


def test_without_a_file_of_classes_the_error_names_those_that_are_accepted(tmp_path: Path) -> None:
    root = write_imagenet(tmp_path / "a" / "b" / "c" / "d")
    with pytest.raises(
        DataError, match=r"LOC_val_solution\.csv .*ILSVRC2012_validation_ground_truth\.txt with meta\.mat"
    ):
        imagenet(root)


def test_a_devkit_without_its_classes_is_refused(tmp_path: Path) -> None:
    root = write_imagenet(tmp_path)
    write_devkit(root)
    (root / "meta.mat").write_bytes(b"x" * 200)
    with pytest.raises(DataError, match=r"meta\.mat is not the devkit's file of classes"):
        imagenet(root)
    (root / "meta.mat").unlink()
    with pytest.raises(DataError, match=r"meta\.mat that says which is which is missing"):
        imagenet(root)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("LOC_val_solution.csv", "a,b\n1,2\n", "other columns than ImageId,PredictionString"),
        (
            "LOC_val_solution.csv",
            "ImageId,PredictionString\nILSVRC2012_val_00000001,n01 1 2 3 4\n",
            "no class of 5 images",
        ),
        (
            "imagenet_2012_validation_synset_labels.txt",
            "n01\nn02\n",
            "no class of 4 images of val, ILSVRC2012_val_00000003",
        ),
    ],
)
def test_a_file_of_classes_that_does_not_fit_is_refused(tmp_path: Path, file: str, content: str, said: str) -> None:
    root = write_imagenet(tmp_path)
    (root / file).write_text(content)
    with pytest.raises(DataError, match=said):
        imagenet(root)


def test_a_devkit_with_an_unknown_number_is_refused(tmp_path: Path) -> None:
    root = write_imagenet(tmp_path)
    write_devkit(root)
    (root / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n2\n1001\n")
    with pytest.raises(DataError, match="1001 is no class of"):
        imagenet(root)


@pytest.mark.parametrize(
    "file",
    ["LOC_val_solution.csv", "imagenet_2012_validation_synset_labels.txt", "ILSVRC2012_validation_ground_truth.txt"],
)
def test_labels_that_are_no_text_are_named(tmp_path: Path, file: str) -> None:
    root = write_imagenet(tmp_path)
    write_devkit(root)
    (root / "ILSVRC2012_validation_ground_truth.txt").unlink()
    (root / file).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=rf"{file}: is not UTF-8 text"):
        list_any(root)
