"""Validation images through a detector: which images, whose pixels, and what is said where there is no sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dcasearch import study as study_room
from dcasearch.analysis.standing import load_study_of
from dcasearch.data import open_set
from dcasearch.data.boxes import BoxedPart
from dcasearch.errors import DataError, UserError
from dcasearch.evaluation import Epoch
from dcasearch.export import load_model, load_spec
from dcasearch.interpretation import finding
from dcasearch.interpretation.finding import look_for_boxes, sheet_of, sighting_of
from dcasearch.search.work import Job
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from tests import support
from tests.interpretation.detectors import DATA, RETINANET, VANILLA, write_detector
from tests.support import Simulated, accuracy, make_study


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_detector(tmp_path_factory.mktemp("detector"))


def part() -> BoxedPart:
    found = open_set(DATA).train
    assert isinstance(found, BoxedPart)
    return found


def index_of(name: str) -> int:
    return int(name.removeprefix("image ").removesuffix(" of shapes (train)"))


def test_boxes_and_objects_are_in_pixels_of_the_held_out_images(detector: Path) -> None:
    seen = sighting_of(detector, count=6)
    assert (seen.network, seen.images.title) == ("vanilla se", "shapes_boxes, held-out images of train")
    assert seen.class_names == ("circle", "square", "star")
    assert len(seen.detected) == 6
    for one in seen.detected:
        index = index_of(one.picture.name)
        assert np.array_equal(one.picture.pixels, np.asarray(part().pictures.read(index)))
        assert one.truth.boxes == pytest.approx(part().pictures.objects_of(index).boxes, abs=1e-3)
        assert (one.truth.labels == part().pictures.objects_of(index).labels + 1).all()
    boxes = np.concatenate([one.found.boxes for one in seen.detected])
    assert len(boxes) == 60
    assert 64 < boxes.max() <= 128  # the network sees 64 pixels
    assert seen.objects == sum(len(one.truth.boxes) for one in seen.detected)
    assert (seen.drawn(0.3), seen.drawn(1.0)) == (60, 0)


def test_every_detector_gets_the_same_images_each_class_in_proportion(detector: Path, tmp_path: Path) -> None:
    def names(path: Path, count: int) -> list[str]:
        return [one.picture.name for one in sighting_of(path, count=count).detected]

    twelve = names(detector, 12)
    assert names(write_detector(tmp_path, "other", seed=1), 12) == twelve
    assert names(detector, 3) == twelve[:3]
    shown = np.bincount(part().labels[[index_of(name) for name in twelve]], minlength=3)
    expected = 12 * np.bincount(part().labels, minlength=3) / len(part().labels)
    assert (abs(shown - expected) < 1.5).all()


def test_a_classifier_finds_no_boxes(specs: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="has learned classification, so it finds no boxes; `dcasearch gradcam`"):
        sighting_of(specs["plain"])


def test_data_that_is_not_here_or_is_another_is_refused(detector: Path) -> None:
    spec = load_spec(detector)
    assert spec.data is not None
    far = spec.model_copy(update={"data": spec.data.model_copy(update={"name": "coco"})})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "load_spec", lambda path: far)
        with pytest.raises(UserError, match="was trained on coco; name the folder of that data with --data"):
            sighting_of(detector)
    model, other = load_model(detector), spec.model_copy(update={"class_names": ("circle", "square", "ring")})
    with pytest.raises(DataError, match="other classes than the network"):
        look_for_boxes(model, other, DATA, 1)
    digits, nameless = DATA.model_copy(update={"name": "digits"}), spec.model_copy(update={"class_names": None})
    with pytest.raises(UserError, match="the images of digits have no boxes"):
        look_for_boxes(model, nameless, digits, 1)


@pytest.fixture
def studied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """A study of two detectors in which nothing was trained, so that no weights are there."""

    def epoch(job: Job, number: int) -> Epoch:
        return Epoch(epoch=number, train_loss=1.0, values={"ap": accuracy(job, number) / 2}, seconds=0.0)

    monkeypatch.setattr(support, "make_epoch", epoch)
    row: dict[str, Any] = {"label": "vanilla", **VANILLA}
    study = make_study(
        task="detection",
        data={"name": "shapes", "workers": 0},
        detector=RETINANET.model_dump(),
        space={"architectures": [row, {**row, "label": "direct", "connections": {"function": "direct"}}]},
        sampler={"name": "grid"},
        fidelities=[
            {"name": "proxy", "resolution": 64, "epochs": 1, "recipe": {"augmentation": {"crop": "none"}}},
        ],
        artifacts=str(tmp_path),
    )
    store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    study_room.run(LoadedStudy(study, read_space(study.space), tmp_path / "s.yaml", frozenset()), store, Simulated())
    return store


def test_a_sheet_says_which_network_and_images_it_shows_and_why_there_is_none(
    studied: Store, detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = load_study_of(studied, "tiny")
    gone = sheet_of(studied, study)
    assert gone.png is None
    assert gone.caption.startswith("No image is shown: the weights of evaluation ")
    assert gone.caption.endswith("has room for.")
    monkeypatch.setattr(finding, "export_winner", lambda *asked: load_spec(detector))
    monkeypatch.setattr(finding, "load_model", lambda path: load_model(detector))
    sheet = sheet_of(studied, study)
    assert sheet.png is not None
    assert sheet.png.startswith(b"\x89PNG")
    assert "Network: vanilla se (architecture " in sheet.caption
    assert "training at fidelity proxy, seed 0). Images: 12 of shapes_boxes, held-out images of train" in sheet.caption
    assert "a score of at least 0.30 are drawn: 120 boxes for " in sheet.caption
    assert sheet_of(studied, study) == sheet
    missing = study.model_copy(update={"data": study.data.model_copy(update={"name": "coco", "root": "/nowhere"})})
    assert "there is no folder /nowhere" in sheet_of(studied, missing).caption
