"""Commands of a study, and of a training, that start from a weights file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcasearch.proposal import machine
from tests.cli.conftest import Command
from tests.cli.test_train import OPTIONS
from tests.full_training.support import write
from tests.models.weights import SMALL, safe, values_of
from tests.proposal.conftest import no_cache, photos
from tests.space.test_loaded_study import write_study

__all__ = ["no_cache", "photos"]
SPACE: dict[str, Any] = {"backbone": SMALL, "attention": {"name": "se"}, "connections": {}}


def started(folder: Path, weights: str, **said: Any) -> Path:
    start = {"weights": weights, **said}
    level = {"name": "proxy", "trials": 1, "resolution": 16, "epochs": 1, "initialize": start}
    return write_study(folder, space=SPACE, fidelities=[level])


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "w.safetensors").write_bytes(safe(values_of()))
    return "w.safetensors"


def test_check_says_what_becomes_of_the_file_and_how_images_are_prepared_if_nobody_knows(
    dcasearch: Command, tmp_path: Path, file: str
) -> None:
    done = dcasearch("check", started(tmp_path, file))
    said = " ".join(done.out.split())
    assert done.code == 0, done.err
    assert "warning: proxy: w.safetensors does not say how its images were prepared" in said
    assert "start: mobilenet_v2 takes 314 tensors; attention and connections are drawn" in said
    assert "start: the classifier is drawn: 20 classes in the file, 10 in the data" in said
    half = [0.5, 0.5, 0.5]
    assert "does not say" not in dcasearch("check", started(tmp_path, file, mean=half, std=half)).out


def test_check_needs_the_file_unless_it_looks_at_paper_alone(dcasearch: Command, tmp_path: Path) -> None:
    study = started(tmp_path, "none.pth")
    done = dcasearch("check", study)
    assert done.code == 2
    assert "fidelities.0.initialize.weights: there is no file" in " ".join(done.err.split())
    paper = dcasearch("check", study, "--no-data")
    assert paper.code == 0, paper.err
    assert "warning: there is no file" in paper.out


def test_run_needs_the_file(dcasearch: Command, tmp_path: Path) -> None:
    done = dcasearch("run", started(tmp_path, "none.pth"))
    assert done.code == 2
    assert "there is no file" in done.err


def test_train_says_what_it_starts_from_and_what_nobody_knows(dcasearch: Command, tmp_path: Path, file: str) -> None:
    write(tmp_path)
    done = dcasearch("train", "net.yaml", *OPTIONS, "--weights", file, "--epochs", 1)
    said = " ".join(done.out.split())
    assert done.code == 0, done.err
    assert "seed 0, from w.safetensors, to net-trained" in said
    assert "note: w.safetensors does not say how its images were prepared" in said


@pytest.mark.slow
def test_init_says_what_becomes_of_the_weights(
    dcasearch: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_SECONDS", 0.01)
    (tmp_path / "w.safetensors").write_bytes(safe(values_of({"name": "mobilenet_v2"})))
    options = ("--data", photos, "--hours", 5, "--weights", "w.safetensors")
    refused = dcasearch("init", "animals", *options)
    assert refused.code == 2
    assert "add --backbone NAME" in " ".join(refused.err.split())
    done = dcasearch("init", "animals", *options, "--backbone", "mobilenet_v2")
    assert done.code == 0, done.err
    assert "start: the classifier is drawn: 20 classes in the file, 2 in the data" in " ".join(done.out.split())
