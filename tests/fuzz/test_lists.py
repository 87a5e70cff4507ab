"""Lists of images (CSV) of any content: taken, or refused by a sentence about the file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcasearch.config.data_set import Columns, Data
from dcasearch.data import describe
from dcasearch.data.listed import list_rows
from dcasearch.data.reading import READINGS
from dcasearch.errors import UserError
from tests.data.support import write_folder
from tests.fuzz.damage import damaged, thousand

pytestmark = pytest.mark.slow
COLUMNS = Columns(path="path", label="label", group="patient", split="split")
CELLS = st.one_of(
    st.sampled_from(
        ["train/cat/00.jpg", "train/dog/00.jpg", "cat", "dog", "train", "val", "test", "", ".", "/", "a\x00b"]
    ),
    st.text(st.characters(exclude_categories=[]), max_size=20).map(
        lambda text: text.encode("utf-8", "ignore").decode()
    ),
    st.just("x" * 140_000),
)
ROWS = st.lists(st.lists(CELLS, max_size=6), max_size=12)


def written(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, escapechar="\\")
    writer.writerow(("path", "label", "patient", "split"))
    writer.writerows(rows)
    return text.getvalue().encode()


GOOD = written(
    [
        [f"{part}/{name}/{n:02}.jpg", name, f"p{n}{part}", part]
        for part in ("train", "test")
        for name in ("cat", "dog")
        for n in (0, 1)
    ]
)
CONTENTS = st.one_of(st.binary(max_size=300), damaged(GOOD), ROWS.map(written))


@pytest.fixture(scope="module")
def images(folder: Path) -> Path:
    return write_folder(folder / "images", images=4, size=(8, 8))


@thousand
@given(content=CONTENTS)
def test_a_list_of_any_content_is_taken_or_refused_by_a_sentence(content: bytes, folder: Path, images: Path) -> None:
    file = folder / "list.csv"
    file.write_bytes(content)
    try:
        originals = list_rows(images, file, COLUMNS, READINGS[2])
    except UserError:
        return
    for part in originals.listings.values():
        assert all((images / name).is_file() for name, _ in part.files)


@thousand
@given(content=CONTENTS)
def test_a_study_s_data_is_described_or_refused_whatever_its_list_holds(
    content: bytes, folder: Path, images: Path
) -> None:
    file = folder / "described.csv"
    file.write_bytes(content)
    data = Data(name="imagelist", root=str(images), file=str(file), columns=COLUMNS, workers=0)
    try:
        info = describe(data)
    except UserError:
        return
    assert info.classes >= 2
