from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcasearch.data import describe
from tests.cli.conftest import Command
from tests.export.conftest import DATA, Exporter, exported, trained
from tests.interpretation.detectors import write_detector

__all__ = ["exported", "trained"]


@pytest.fixture
def spec_file(exported: Exporter, tmp_path: Path) -> Path:
    exported(source=describe(DATA).source)
    return tmp_path / "best.yaml"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for n in range(3):
        pixels = np.random.RandomState(n).randint(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{n}.jpg")
    return tmp_path / "photos"


def test_a_folder_of_images_is_predicted_into_a_table_and_a_csv(
    dcasearch: Command, spec_file: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "broken.png").write_bytes(b"no image")
    done = dcasearch("predict", spec_file, photos, "--csv", "out/seen.csv", "--top", 2)
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert "0.jpg" in said
    assert "out/seen.csv: 4 images" in said
    assert "1 of 4 images is unreadable:" in said
    assert "broken.png: cannot identify" in said
    rows = list(csv.DictReader((tmp_path / "out" / "seen.csv").read_text().splitlines()))
    assert len(rows) == 3 * 2 + 1


def test_where_no_image_can_be_read_the_command_fails(dcasearch: Command, spec_file: Path, photos: Path) -> None:
    for path in photos.iterdir():
        path.write_bytes(b"no image")
    done = dcasearch("predict", spec_file, photos)
    assert done.code == 2
    assert "no image could be read" in done.err


def test_a_detectors_boxes_are_written_as_csv_and_drawn_on_the_images(
    dcasearch: Command, photos: Path, tmp_path: Path
) -> None:
    detector = write_detector(tmp_path / "detector")
    command = ("predict", detector, photos, "--csv", "boxes.csv", "--score", 0, "--top", 4, "--draw", "drawn")
    done = dcasearch(*command)
    assert done.code == 0, done.err
    assert "drawn: 3 images with their boxes" in " ".join(done.out.split())
    rows = list(csv.DictReader((tmp_path / "boxes.csv").read_text().splitlines()))
    assert 0 < len(rows) <= 3 * 4
    for row in rows:
        assert row["class"] in ("circle", "square", "star")
        assert 0 <= float(row["x1"]) <= float(row["x2"]) <= 30
        assert 0 <= float(row["y1"]) <= float(row["y2"]) <= 20
    drawn = sorted((tmp_path / "drawn").iterdir())
    assert [file.name for file in drawn] == ["0001-0.png", "0002-1.png", "0003-2.png"]
    with Image.open(drawn[0]) as after, Image.open(photos / "0.jpg") as before:
        assert after.size == before.size
        assert np.abs(np.asarray(after, int) - np.asarray(before, int)).max() > 50
