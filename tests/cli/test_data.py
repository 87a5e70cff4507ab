from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcasearch.cli import data as commands
from dcasearch.data import preparing
from tests.cli.conftest import Command
from tests.data.support import write_folder

PROXY: dict[str, Any] = {"name": "proxy", "trials": 4, "resolution": 16, "epochs": 2}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "images", images=20)


def prepare(dcasearch: Command, root: Path, out: Path, *more: object) -> Any:
    return dcasearch("data", "prepare", root, "--size", 16, "--out", out, "--workers", 0, *more)


def test_prepare_says_what_it_made_and_the_second_time_that_it_was_there(
    dcasearch: Command, root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = prepare(dcasearch, root, out)
    assert (done.code, done.err) == (0, "")
    assert "train: 60 images of 3 classes, 1 file, 0.00 GB, 0 unreadable" in done.out
    assert f"{out} is prepared at 16 pixels" in done.out
    again = prepare(dcasearch, root, out)
    assert "90 images were there before; the names and sizes of the originals did not change" in again.out
    whole = dcasearch("data", "verify", out)
    assert (whole.code, whole.out) == (0, f"{out}: every file is what was written\n")


def test_unreadable_images_are_listed_and_too_many_are_exit_2(dcasearch: Command, root: Path, tmp_path: Path) -> None:
    (root / "train" / "cat" / "07.jpg").write_bytes(b"")
    refused = prepare(dcasearch, root, tmp_path / "out")
    assert refused.code == 2
    assert "1 of 90 images are unreadable, more than --max-corrupt (0.001 of them) allows" in refused.err
    allowed = prepare(dcasearch, root, tmp_path / "out", "--max-corrupt", 0.02)
    assert allowed.code == 0
    assert "left out, since they cannot be read:\n  train/cat/07.jpg: " in allowed.out


def test_verify_lists_damaged_files_and_exits_1(dcasearch: Command, root: Path, tmp_path: Path) -> None:
    prepare(dcasearch, root, tmp_path / "out")
    shard = tmp_path / "out" / "train-00000.npy"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x01")
    found = dcasearch("data", "verify", tmp_path / "out", "--workers", 0)
    assert found.code == 1
    assert f"{shard}: its content is not what was written" in found.out
    assert f"1 file of {tmp_path / 'out'} is damaged; the `dcasearch data prepare` that made the folder" in found.err
    none = dcasearch("data", "verify", root)
    assert none.code == 2
    assert "is no prepared data set" in none.err


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(
    dcasearch: Command, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_LINE_SECONDS", 0.0)
    done = prepare(dcasearch, root, tmp_path / "out")
    assert "prepared 60 of 90 images" in done.out
    assert "prepared 90 of 90 images" in done.out


@pytest.mark.slow
def test_an_interruption_is_told_with_what_goes_on(root: Path, tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from dcasearch.data import preparing\n"
        "preparing.decoded = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"
        "from dcasearch.cli import main\n"
        "main()\n"
    )
    arguments = ["data", "prepare", str(root), "--size", "16", "--out", str(tmp_path / "out"), "--workers", "0"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert done.returncode == 130
    assert done.stderr == "interrupted; what is done is kept, the same command goes on\n"


def test_check_shows_the_data_and_proposes_to_prepare_it(
    dcasearch: Command, write_study: Callable[..., Path], root: Path, tmp_path: Path
) -> None:
    preparing.prepare(root, tmp_path / "out", size=16, workers=0, max_corrupt=0)

    def check(folder: Path, resolution: int = 16) -> Any:
        data = {"name": "imagefolder", "root": str(folder), "classes": 2}
        return dcasearch("check", write_study(data=data, fidelities=[{**PROXY, "resolution": resolution}]))

    original, prepared = check(root), check(tmp_path / "out")
    assert (original.code, prepared.code) == (0, 0)
    assert "Data: imagefolder, some of its classes: 2 classes, 36 images to train on" in original.out
    assert f"hint: the images are decoded anew in every epoch; `dcasearch data prepare {tmp_path}/" in original.out
    assert "Data: imagefolder, some of its classes, prepared at 16 pixels" in prepared.out
    assert "hint" not in prepared.out
    refused = check(tmp_path / "out", resolution=32)
    assert refused.code == 2
    assert "fidelities.0.resolution: 32 is above the 16 pixels" in refused.err
    assert "study.yaml:" in refused.err
