"""`dcasearch gradcam`: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcasearch.data import sets, shapes
from tests.cli.conftest import Command
from tests.interpretation.conftest import NETWORKS, write_spec


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("specs")
    return [part for name in NETWORKS for part in ("--spec", str(write_spec(folder, name, NETWORKS[name])))]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "IMAGES", {"train": 16, "test": 16})
    monkeypatch.setattr(sets, "_open", sets._open.__wrapped__)
    monkeypatch.setattr(shapes, "_drawn", shapes._drawn.__wrapped__)


def test_a_sheet_of_image_files_is_written(dcasearch: Command, specs: list[str], tmp_path: Path) -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (40, 60, 3)).astype(np.uint8)
    Image.fromarray(pixels).save("photo.png")
    done = dcasearch("gradcam", *specs, "photo.png", "--class", "star", "--out", "seen")
    assert done.code == 0, done.err
    assert "vanilla" not in done.out
    assert "connected cbam (spatial)" in done.out
    assert "contact_sheet.png" in done.out
    assert len(list((tmp_path / "seen" / "photo").glob("*.png"))) == 8


@pytest.mark.usefixtures("few")
def test_the_share_inside_the_boxes_is_printed_and_is_in_the_json(dcasearch: Command, specs: list[str]) -> None:
    asked = ("gradcam", *specs, "--data", "shapes", "--count", "6", "--shown", "1")
    done = dcasearch(*asked)
    assert done.code == 0, done.err
    for word in ("inside the boxes", "boxes' area", "plain resnet18", "stage4", "classified rightly"):
        assert word in done.out
    plain = json.loads(dcasearch(*asked, "--json").out)
    assert [spec["words"] for spec in plain["specs"]] == ["plain resnet18", "connected cbam (spatial)"]
    assert [stage["scale"] for stage in plain["specs"][0]["stages"]] == [1, 2, 4, 8]
    assert len(plain["images"]) == 12
    assert len(plain["energy"]) == 8
    boxes = shapes.boxes_of("test")[:6]
    for row in plain["energy"]:
        assert row["images"] + row["zero"] == 6
        if row["zero"] == 0:
            assert row["area"] == pytest.approx(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).mean() / 64**2)
            assert 0 < row["inside"]["value"] < 1
        assert (row["ahead"] is None) == (row["spec"] == "plain" or row["zero"] == 6)


def test_what_cannot_be_done_is_said(dcasearch: Command, specs: list[str]) -> None:
    for arguments, said in (
        (("x.png",), "no network is named"),
        ((*specs,), "one of the two"),
        ((*specs, "x.png", "--data", "shapes"), "one of the two"),
        ((*specs, "x.png"), "x.png"),
        (("--spec", "none.yaml", "x.png"), "none.yaml"),
        ((*specs, "--data", "digits"), "digits has no boxes"),
    ):
        done = dcasearch("gradcam", *arguments)
        assert done.code == 2
        assert said in done.err
