"""The data set `imagelist`: a table of paths and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from dcasearch.config.data_set import Columns, Data
from dcasearch.data import describe
from dcasearch.data.classes import open_set
from dcasearch.data.sets import DataSet, FilePart
from dcasearch.errors import DataError
from tests.data.support import write_image

SPLIT = {"validation": 0.25, "test": 0.25}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve images of each of two classes, three of each of eight patients."""
    lines = ["path,label,patient,part"]
    for n in range(24):
        write_image(tmp_path / "images" / f"{n:02}.png", seed=n)
        part = ("train", "train", "Validation", "test")[n // 3 % 4]
        lines.append(f"{n:02}.png,{'ill' if n % 2 else 'well'},p{n // 3},{part}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def data(folder: Path, file: str = "labels.csv", **more: Any) -> Data:
    return Data.model_validate(
        {"name": "imagelist", "root": str(folder / "images"), "file": str(folder / file), "reading": 2, **more}
    )


def part(dataset: DataSet, name: str) -> FilePart:
    found = getattr(dataset, name)
    assert isinstance(found, FilePart)
    return found


def test_a_list_is_divided_by_shares_stratified_by_class(folder: Path) -> None:
    dataset = open_set(data(folder, split=SPLIT))
    assert dataset.classes == ("ill", "well")
    assert (len(part(dataset, "train").labels), len(part(dataset, "test").labels)) == (18, 6)
    assert np.bincount(part(dataset, "test").labels).tolist() == [3, 3]
    assert not set(part(dataset, "train").paths) & set(part(dataset, "test").paths)
    info = describe(data(folder, split=SPLIT))
    assert (info.train_images, info.validation_images, info.test_images) == (12, 6, 6)


def test_images_of_one_group_stay_on_one_side(folder: Path) -> None:
    dataset = open_set(data(folder, split=SPLIT, columns={"group": "patient"}))
    patients = [{Path(path).stem for path in part(dataset, name).paths} for name in ("train", "test")]
    torn = [{int(stem) // 3 for stem in of} for of in patients]
    assert not torn[0] & torn[1]
    assert len(part(dataset, "test").labels) == 6


def test_a_split_column_names_the_parts(folder: Path) -> None:
    dataset = open_set(data(folder, columns={"split": "part", "group": "patient"}))
    assert [len(part(dataset, name).labels) for name in ("train", "val", "test")] == [12, 6, 6]


def test_a_group_that_is_in_several_parts_is_refused(folder: Path) -> None:
    text = (folder / "labels.csv").read_text().replace("01.png,ill,p0,train", "01.png,ill,p0,test")
    (folder / "labels.csv").write_text(text)
    with pytest.raises(DataError, match="1 group is in several parts, so a test would see what was trained on: p0"):
        open_set(data(folder, columns={"split": "part", "group": "patient"}))


def test_the_fingerprint_is_of_rows_sizes_and_split_and_not_of_the_place(folder: Path) -> None:
    first = describe(data(folder, split=SPLIT)).fingerprint
    moved = folder.rename(folder.with_name("moved"))
    assert describe(data(moved, split=SPLIT)).fingerprint == first
    assert describe(data(moved, split={**SPLIT, "test": 0.5})).fingerprint != first
    assert describe(data(moved, split=SPLIT, split_seed=1)).fingerprint != first


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_and_a_byte_order_mark_are_read(folder: Path, separator: str) -> None:
    text = (folder / "labels.csv").read_text().replace(",", separator)
    (folder / "other.csv").write_text(text, encoding="utf-8-sig")
    assert len(part(open_set(data(folder, "other.csv", split=SPLIT)), "train").labels) == 18


def test_a_parquet_file_is_a_list_too(folder: Path) -> None:
    from pyarrow import csv, parquet

    parquet.write_table(csv.read_csv(folder / "labels.csv"), folder / "labels.parquet")
    listed = [describe(data(folder, file, split=SPLIT)).fingerprint for file in ("labels.csv", "labels.parquet")]
    assert listed[0] == listed[1]
    (folder / "broken.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match="is no Parquet file"):
        open_set(data(folder, "broken.parquet", split=SPLIT))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("99.png,ill,p9,train", r"1 row whose image is not there: line 26 \(99.png\)"),
        (",ill,p9,train", "1 row without a path: line 26"),
        ("01.png,well,p9,train", r"1 row whose image is named twice: line 26 \(01.png\)"),
        ("00.png,,p9,train", "1 row without a label: line 26"),
    ],
)
def test_every_row_that_is_no_image_is_named(folder: Path, row: str, said: str) -> None:
    with (folder / "labels.csv").open("a") as file:
        file.write(f"{row}\n")
    with pytest.raises(DataError, match=said):
        open_set(data(folder, split=SPLIT))


def test_a_missing_column_names_the_nearest(folder: Path) -> None:
    with pytest.raises(DataError, match="has no column 'lable'; did you mean 'label'"):
        open_set(data(folder, split=SPLIT, columns=Columns(label="lable")))


def test_a_list_in_one_piece_needs_shares_and_one_in_parts_takes_none(folder: Path) -> None:
    with pytest.raises(DataError, match=r"comes in one piece.*add data.split: \{validation: 0.2, test: 0.2\}"):
        open_set(data(folder))
    with pytest.raises(DataError, match="has parts of its own"):
        open_set(data(folder, split=SPLIT, columns={"split": "part"}))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"name": "imagelist"}, "`file` names the CSV"),
        ({"name": "imagefolder", "file": "a.csv"}, "`file` names the CSV"),
        ({"name": "imagefolder", "split": SPLIT, "validation_fraction": 0.1}, "not both"),
        ({"name": "imagefolder", "split": {"validation": 0.6, "test": 0.5}}, "leave nothing to train on"),
    ],
)
def test_data_that_contradicts_itself_is_refused(written: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Data.model_validate(written)


def test_a_folder_of_classes_without_parts_is_divided(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        for n in range(10):
            write_image(tmp_path / label / f"{n}.jpg", seed=n)
    written = {"name": "imagefolder", "root": str(tmp_path), "reading": 2}
    info = describe(Data.model_validate({**written, "split": {"validation": 0.2, "test": 0.2}}))
    assert (info.classes, info.train_images, info.validation_images, info.test_images) == (2, 12, 4, 4)
    with pytest.raises(DataError, match="comes in one piece"):
        describe(Data.model_validate(written))
