"""What an exported network sees in images of the user's own."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcasearch.data import describe
from dcasearch.errors import DataError, UserError
from dcasearch.export import load_model, load_spec
from dcasearch.export.prediction import Prediction, csv_of, images_of, predict
from tests.export.conftest import DATA, Exporter
from tests.export.snippet import prepare


@pytest.fixture
def spec_file(exported: Exporter, tmp_path: Path) -> Path:
    exported(source=describe(DATA).source)
    return tmp_path / "best.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three readable images, one of them in a folder below, and what is none."""
    for n, name in enumerate(("b.png", "a.jpg", "below/c.bmp")):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.RandomState(n).randint(0, 256, (20 + n, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "photos" / "notes.txt").touch()
    return tmp_path / "photos"


def test_each_image_gets_the_likeliest_classes_with_their_probabilities(spec_file: Path, folder: Path) -> None:
    found = list(predict(spec_file, images_of([folder]).paths, top=3, device="cpu"))
    assert [Path(one.path).name for one in found] == ["a.jpg", "b.png", "c.bmp", "broken.jpg"]
    for one in found[:3]:
        scores = [guess.score for guess in one.guesses]
        assert len(scores) == 3
        assert scores == sorted(scores, reverse=True)
        assert 0 < sum(scores) <= 1 + 1e-6
        assert one.guesses[0].label in (load_spec(spec_file).class_names or ())


def test_the_probabilities_are_those_of_the_documented_preprocessing(spec_file: Path, folder: Path) -> None:
    [found] = predict(spec_file, [str(folder / "b.png")], top=1, device="cpu")
    how = load_spec(spec_file).model_dump(mode="json")["preprocessing"]
    with torch.no_grad(), Image.open(folder / "b.png") as image:
        expected = load_model(spec_file)(prepare(image, how)).softmax(1).max().item()
    assert found.guesses[0].score == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_the_size_of_a_batch_changes_no_prediction(spec_file: Path, folder: Path, batch_size: int) -> None:
    paths = images_of([folder]).paths
    one, several = (list(predict(spec_file, paths, batch_size=size, device="cpu")) for size in (1, batch_size))
    assert [p.path for p in one] == [p.path for p in several]
    for a, b in zip(one, several, strict=True):
        assert [guess.label for guess in a.guesses] == [guess.label for guess in b.guesses]


def test_an_unreadable_image_is_named_with_its_reason_and_the_others_are_seen(spec_file: Path, folder: Path) -> None:
    found = {Path(one.path).name: one for one in predict(spec_file, images_of([folder]).paths, device="cpu")}
    assert "cannot identify" in (found["broken.jpg"].unreadable or "")
    assert found["broken.jpg"].guesses == ()
    assert found["a.jpg"].unreadable is None


def test_files_and_folders_are_taken_once_and_the_rest_is_noted(folder: Path) -> None:
    found = images_of([folder / "b.png", folder])
    assert [Path(path).name for path in found.paths] == ["b.png", "a.jpg", "c.bmp", "broken.jpg"]
    assert found.passed.notes[0].startswith("1 file is passed over, with an ending that is not read")
    with pytest.raises(DataError, match="there is no file or folder"):
        images_of([folder / "nowhere"])
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match="holds no image"):
        images_of([folder / "empty"])


def test_a_spec_that_does_not_say_how_images_are_prepared_is_refused(
    spec_file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = load_spec(spec_file).model_copy(update={"preprocessing": None})
    monkeypatch.setattr("dcasearch.export.prediction.load_spec", lambda path: spec)
    with pytest.raises(UserError, match="does not say how images are prepared"):
        list(predict(spec_file, [str(folder / "a.jpg")], device="cpu"))


def test_predictions_as_csv_have_a_row_for_each_class_and_one_for_each_unreadable_image(
    spec_file: Path, folder: Path
) -> None:
    found = list(predict(spec_file, images_of([folder]).paths, top=2, device="cpu"))
    rows = list(csv.DictReader(io.StringIO(csv_of(found, boxes=False))))
    assert list(rows[0]) == ["image", "place", "class", "probability", "unreadable"]
    assert len(rows) == 3 * 2 + 1
    assert [row["image"] for row in rows if row["unreadable"]] == [str(folder / "broken.jpg")]
    nothing = csv_of([Prediction("x.jpg")], boxes=True)
    assert nothing.splitlines() == ["image,place,class,score,x1,y1,x2,y2,unreadable", "x.jpg,,,,,,,,"]
