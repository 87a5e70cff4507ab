"""`dcasearch boxes`, and what `status` and `report` say of a study of detectors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.cli.conftest import Command
from tests.interpretation.conftest import NETWORKS, write_spec
from tests.interpretation.detectors import RETINANET, VANILLA, write_detector


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_detector(tmp_path_factory.mktemp("detector"))


def test_a_contact_sheet_is_written_and_said(dcasearch: Command, detector: Path, tmp_path: Path) -> None:
    done = dcasearch("boxes", detector, "--images", "5", "--score", "0.25", "--out", "seen/sheet.png")
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert said.startswith("seen/sheet.png: vanilla se on 5 images of shapes_boxes, held-out images of train; ")
    assert said.endswith(" objects, 50 boxes of a score of at least 0.25")
    with Image.open(tmp_path / "seen" / "sheet.png") as sheet:
        assert sheet.width > 4 * 336
        assert 2 * 336 < sheet.height < 3 * 336
    assert "0 boxes of a score of at least 1.00" in dcasearch("boxes", detector, "--images", "1", "--score", "1").out


def test_classifiers_have_no_boxes_and_detectors_no_maps(dcasearch: Command, detector: Path, tmp_path: Path) -> None:
    plain = write_spec(tmp_path, "plain", NETWORKS["plain"])
    for arguments, said in (
        (("boxes", plain), "has learned classification, so it finds no boxes"),
        (("gradcam", "--spec", detector, "x.png"), "has learned detection"),
        (("boxes", "none.yaml"), "none.yaml"),
        (("boxes", detector, "--score", "1.5"), "less than or equal to 1"),
    ):
        done = dcasearch(*arguments)
        assert done.code == 2
        assert said in " ".join(done.err.split())
    assert not Path("boxes.png").exists()


@pytest.mark.slow
def test_a_trained_study_shows_its_classes_and_the_boxes_of_its_best_detector(
    dcasearch: Command, write_study: Callable[..., Path], tmp_path: Path
) -> None:
    recipe: dict[str, Any] = {"optimizer": "adamw", "lr": 0.001, "batch_size": 4, "augmentation": {"crop": "none"}}
    proxy = {"name": "proxy", "resolution": 64, "epochs": 1, "train_fraction": 0.05, "recipe": recipe}
    row = {"label": "vanilla", **VANILLA}
    study = write_study(
        task="detection",
        data={"name": "shapes", "workers": 0},
        detector=RETINANET.model_dump(),
        space={"architectures": [row, {**row, "label": "direct", "connections": {"function": "direct"}}]},
        sampler={"name": "grid"},
        fidelities=[proxy],
        final={"seeds": [100]},
        storage=f"sqlite:///{tmp_path}/study.db",
        artifacts=str(tmp_path / "artifacts"),
    )
    assert dcasearch("run", study).code == 0
    status = dcasearch("status", study).out
    assert "AP of each class, the worst class first" in status
    assert re.search(r"final: chosen \((vanilla|direct)\), one seed, on the test split\.", " ".join(status.split()))
    plain = json.loads(dcasearch("status", study, "--json").out)
    for network in (plain["fidelities"][0]["leader"], plain["finals"][0]):
        assert set(network["of_classes"]) == {"circle", "square", "star"}
        assert sum(values[0] for values in network["of_classes"].values()) / 3 == pytest.approx(network["ap"][0])
    report = dcasearch("report", study, "--out", "report")
    assert report.code == 0, report.err
    page = Path("report/report.html").read_text()
    assert "final training at fidelity proxy, seed 100). Images: 12 of shapes_boxes, held-out images of train" in page
    with Image.open("report/boxes.png") as sheet:
        assert sheet.width > 4 * 336
