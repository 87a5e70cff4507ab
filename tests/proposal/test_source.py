from __future__ import annotations

from pathlib import Path

import pytest

from dcasearch.config.data_set import Columns
from dcasearch.data import describe
from dcasearch.data.preparing import prepare
from dcasearch.errors import DataError
from dcasearch.proposal.source import data_of, write_groups
from tests.proposal.conftest import write_pictures


def test_class_folders_are_data_in_one_piece_and_are_divided(photos: Path) -> None:
    data = data_of(photos)
    assert (data.name, data.root) == ("imagefolder", str(photos))
    assert data.split is not None
    info = describe(data)
    assert (info.train_images, info.validation_images, info.test_images) == (18, 6, 6)


def test_parts_of_their_own_are_kept(tmp_path: Path) -> None:
    write_pictures(tmp_path / "train", {"cat": 10, "dog": 10})
    write_pictures(tmp_path / "test", {"cat": 2, "dog": 2}, first=100)
    data = data_of(tmp_path)
    assert data.split is None
    assert describe(data).test_images == 4


def test_parts_with_usual_names_are_kept(tmp_path: Path) -> None:
    write_pictures(tmp_path / "Training", {"cat": 10, "dog": 10})
    write_pictures(tmp_path / "valid", {"cat": 2, "dog": 2}, first=100)
    data = data_of(tmp_path)
    assert (data.name, data.split) == ("imagefolder", None)
    assert describe(data).test_images == 4


def test_a_prepared_set_in_one_piece_is_divided(photos: Path, tmp_path: Path) -> None:
    prepare(photos, tmp_path / "prepared", size=16, workers=0, max_corrupt=0.0)
    original, prepared = data_of(photos), data_of(tmp_path / "prepared")
    assert prepared.split == original.split is not None
    counts = [(i.train_images, i.validation_images, i.test_images) for i in (describe(original), describe(prepared))]
    assert counts[0] == counts[1]


def test_a_lists_columns_are_found_by_their_names_and_cells(photos: Path) -> None:
    head = "Nr;Filename;patient;Diagnosis\n"
    files = sorted(photos.rglob("*.jpg"))
    rows = [f"{n};{path.relative_to(photos)};p{n // 2};{path.parent.name}" for n, path in enumerate(files)]
    (photos / "list.csv").write_text(head + "\n".join(rows) + "\n")
    data = data_of(photos / "list.csv")
    assert data.columns == Columns(path="Filename", label="Diagnosis", group="patient")
    assert describe(data).classes == 2


def test_a_lists_images_may_lie_in_a_folder_beside_it(photos: Path) -> None:
    photos.rename(photos.with_name("images"))
    (photos.parent / "list.csv").write_text("path,kind\n" + "".join(f"cat/{n:03}.jpg,{n % 2}\n" for n in range(18)))
    data = data_of(photos.parent / "list.csv")
    assert (data.columns.label, data.root) == ("kind", str(photos.with_name("images")))


def test_a_split_column_is_taken_and_numbers_of_folds_are_not(photos: Path) -> None:
    for name, cells in {"split": ("train", "test"), "fold": ("1", "2")}.items():
        rows = "".join(f"cat/{n:03}.jpg,{'ab'[n % 2]},{cells[n > 11]}\n" for n in range(18))
        (photos / "list.csv").write_text(f"path,label,{name}\n{rows}")
        data = data_of(photos / "list.csv")
        assert data.columns.split == (name if name == "split" else None)
        assert (data.split is None) == (name == "split")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cat/000.jpg,a\ncat/001.jpg,b\n", "add a head, e.g. path,label"),
        ("path,label\nnowhere.jpg,a\n", "in no column are the cells of the first rows files"),
        ("path,one,two\ncat/000.jpg,a,b\ncat/001.jpg,b,a\n", "which column holds the class"),
        ("path,label\n", "names no image"),
    ],
)
def test_a_list_that_cannot_be_understood_is_told_with_what_is_missing(photos: Path, text: str, told: str) -> None:
    (photos / "list.csv").write_text(text)
    with pytest.raises(DataError, match=told):
        data_of(photos / "list.csv")


def test_a_folder_with_boxes_or_with_a_list_alone_is_told_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder and no list"):
        data_of(tmp_path / "nothing")
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "labels.csv").write_text("path,label\n")
    with pytest.raises(DataError, match=r"give it as --data .*labels\.csv"):
        data_of(tmp_path / "flat")
    (tmp_path / "coco" / "annotations").mkdir(parents=True)
    (tmp_path / "coco" / "annotations" / "instances.json").write_text("{}")
    with pytest.raises(DataError, match="task: detection"):
        data_of(tmp_path / "coco")


def test_groups_are_written_once_and_overwrite_nothing(tmp_path: Path) -> None:
    write_groups(tmp_path / "list.csv", [("a,b.jpg", "cat", "a,b.jpg")])
    assert (tmp_path / "list.csv").read_text() == 'path,label,group\n"a,b.jpg",cat,"a,b.jpg"\n'
    with pytest.raises(FileExistsError):
        write_groups(tmp_path / "list.csv", [])
