from __future__ import annotations

import csv
from pathlib import Path

import pytest

from dcasearch.store import Store
from tests.cli.conftest import Command
from tests.export.conftest import Exporter, exported, trained

__all__ = ["exported", "trained"]


@pytest.fixture
def spec_file(exported: Exporter, tmp_path: Path) -> Path:
    exported()
    return tmp_path / "best.yaml"


def test_it_prints_top_1_and_top_5_with_their_intervals_and_stores_them(
    dcasearch: Command, spec_file: Path, tmp_path: Path
) -> None:
    done = dcasearch("evaluate", spec_file, "--data", "digits", "--split", "test")
    assert done.code == 0, done.err
    assert "test images, 10 classes, 8 pixels" in done.out
    assert "top-1 " in done.out
    assert "top-5 " in done.out
    assert done.out.count(", 95% interval") == 5
    assert "balanced accuracy " in done.out
    assert "AUROC " in done.out
    assert "stored in sqlite:///dcasearch.db" in done.out
    with Store.open(f"sqlite:///{tmp_path / 'dcasearch.db'}") as store:
        assert len(store.measurements()) == 1
    again = dcasearch("evaluate", spec_file, "--data", "digits", "--split", "test")
    assert "has these weights on these images already, measured" in again.out
    assert "with equal values; nothing is replaced" in again.out
    with Store.open(f"sqlite:///{tmp_path / 'dcasearch.db'}") as store:
        assert len(store.measurements()) == 1


def test_it_says_which_images_it_took_where_the_wanted_ones_are_missing(dcasearch: Command, spec_file: Path) -> None:
    done = dcasearch("evaluate", spec_file, "--data", "digits")
    assert "digits has no validation images of its own; its test images are measured" in done.out


def test_it_prints_and_writes_every_class_and_every_prediction(
    dcasearch: Command, spec_file: Path, tmp_path: Path
) -> None:
    done = dcasearch("evaluate", spec_file, "--data", "digits", "--split", "test", "--out", tmp_path / "seen")
    assert done.code == 0, done.err
    [head] = [line for line in done.out.splitlines() if line.startswith("class ")]
    assert head.split("  ")[0] == "class"
    files = "classes.csv, confusion.png, confusion.svg, mistakes.png, predictions.csv"
    assert f"seen: {files}" in done.out.replace("\n", "")
    with (tmp_path / "seen" / "classes.csv").open() as file:
        classes = list(csv.DictReader(file))
    with (tmp_path / "seen" / "predictions.csv").open() as file:
        predictions = list(csv.DictReader(file))
    assert [row["class"] for row in classes] == [str(n) for n in range(10)]
    assert sum(int(row["images"]) for row in classes) == len(predictions) > 0
    right = sum(row["class"] == row["said"] for row in predictions)
    assert f"top-1 {100 * right / len(predictions):.2f}%" in done.out


def test_an_unknown_split_is_told_at_once(dcasearch: Command, tmp_path: Path) -> None:
    done = dcasearch("evaluate", tmp_path / "x.yaml", "--data", "digits", "--split", "train")
    assert done.code == 2
    assert "'train' is not a split" in done.err
