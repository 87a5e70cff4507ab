from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dcasearch.cli import data as commands
from dcasearch.data import preparing
from tests.cli.conftest import Command
from tests.data.support import write_folder, write_image

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
    assert "1 of 90 images is unreadable, more than --max-corrupt (0.001 of them) allows" in refused.err
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


def write_whole(root: Path) -> dict[str, Any]:
    for n in range(24):
        write_image(root / "photos" / ("cat", "dog")[n % 2] / f"{n}.png", seed=n)
    return {"name": "imagefolder", "root": str(root / "photos"), "split": SPLIT}


def write_parts(root: Path) -> dict[str, Any]:
    for part in ("Training", "valid"):
        for n in range(24):
            write_image(root / "photos" / part / ("cat", "dog")[n % 2] / f"{n}.png", seed=n)
    return {"name": "imagefolder", "root": str(root / "photos"), "classes": ["cat", "dog"], "max_corrupt": 0.1}


def write_imagenet(root: Path) -> dict[str, Any]:
    for part in ("train", "val"):
        for n in range(24):
            write_image(root / "photos" / part / f"n0000000{n % 2}" / f"{n}.png", seed=n)
    return {"name": "imagenet", "root": str(root / "photos"), "validation_fraction": 0.25}


def write_list(root: Path, split: bool = False) -> dict[str, Any]:
    rows = ["file,diagnosis,patient,part"]
    for n in range(24):
        write_image(root / "my scans" / f"{n}.png", seed=n)
        rows.append(f"{n}.png,{('ill', 'well')[n % 2]},p{n // 3},{('train', 'train', 'dev', 'test')[n // 3 % 4]}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    columns = {"path": "file", "label": "diagnosis", "group": "patient", **({"split": "part"} if split else {})}
    where = {"name": "imagelist", "root": str(root / "my scans"), "file": str(root / "labels.csv"), "columns": columns}
    return {**where, "validation_fraction": 0.25} if split else {**where, "split": SPLIT, "split_seed": 3}


SPLIT = {"validation": 0.25, "test": 0.25}
KINDS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "one piece": write_whole,
    "parts": write_parts,
    "imagenet": write_imagenet,
    "list": write_list,
    "list in parts": lambda root: write_list(root, split=True),
}
ONE_EPOCH: dict[str, Any] = {
    "name": "proxy",
    "trials": 1,
    "resolution": 16,
    "epochs": 1,
    "recipe": {"batch_size": 4, "augmentation": {"crop": "random_resized"}},
}


def followed(dcasearch: Command, write_study: Callable[..., Path], kind: str, folder: Path) -> tuple[Path, str]:
    """Do what the hint of `check` says, word for word; return the new study and what `check` says of it."""
    study = write_study("my study.yaml", data={**KINDS[kind](folder), "workers": 0}, fidelities=[ONE_EPOCH])
    said = dcasearch("check", study)
    assert said.code == 0, said.err
    hint = re.search(r"hint: .*`(dcasearch data prepare .*?)` .* Then `data: (\{.*\})` reads", said.out)
    assert hint is not None, said.out
    command, data = (text.replace("DIR", str(folder / "out")) for text in hint.groups())
    prepared = dcasearch(*shlex.split(command)[1:], "--workers", 0)
    assert prepared.code == 0, prepared.err
    assert "is prepared at 16 pixels" in prepared.out
    assert prepared.out.rstrip().endswith(f"in a study: data: {data}")
    study = write_study("prepared.yaml", data=yaml.safe_load(data), fidelities=[ONE_EPOCH])
    checked = dcasearch("check", study)
    assert checked.code == 0, checked.err
    counts = re.compile(r"\d+ classes, .* for the test")
    assert counts.findall(checked.out) == counts.findall(said.out) != []
    assert "hint:" not in checked.out
    return study, checked.out


@pytest.mark.parametrize("kind", KINDS)
def test_the_hint_of_check_works_for_each_kind_of_data(
    dcasearch: Command, write_study: Callable[..., Path], kind: str, tmp_path: Path
) -> None:
    _, checked = followed(dcasearch, write_study, kind, tmp_path)
    assert "prepared at 16 pixels: 2 classes" in checked
    whole = dcasearch("data", "verify", tmp_path / "out", "--deep", "--workers", 0)
    assert (whole.code, whole.err) == (0, "")
    again = dcasearch(
        "data", "verify", tmp_path / "out", "--deep", "--source", tmp_path / "my study.yaml", "--workers", 0
    )
    assert (again.code, again.err) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_of_training_reads_what_the_hint_of_check_made(
    dcasearch: Command, write_study: Callable[..., Path], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, _ = followed(dcasearch, write_study, kind, tmp_path)
    shutil.rmtree(next(path for path in (tmp_path / "photos", tmp_path / "my scans") if path.is_dir()))
    ran = dcasearch("run", study, "--storage", f"sqlite:///{tmp_path}/study.db")
    assert ran.code == 0, ran.err
    assert "proxy trial 0 complete: top-1" in ran.out


def test_a_folder_needs_a_size_and_a_study_chooses_it(
    dcasearch: Command, write_study: Callable[..., Path], root: Path, tmp_path: Path
) -> None:
    refused = dcasearch("data", "prepare", root, "--out", tmp_path / "out")
    assert refused.code == 2
    assert "--size is missing: about 8/7 of the resolution, e.g. 256 for 224 pixels; a study chooses it" in refused.err
    study = write_study(data={"name": "imagefolder", "root": str(root)}, fidelities=[ONE_EPOCH])
    chosen = dcasearch("data", "prepare", study, "--size", 16, "--out", tmp_path / "out", "--workers", 0)
    assert f"{tmp_path / 'out'} is prepared at 16 pixels" in chosen.out


def test_what_is_neither_a_folder_nor_a_study_is_told_what_to_give(dcasearch: Command, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,label\n")
    refused = dcasearch("data", "prepare", tmp_path / "labels.csv", "--out", tmp_path / "out")
    assert refused.code == 2
    assert "labels.csv is no folder and no study; a list of images is prepared by a study that names it" in refused.err
    missing = dcasearch("data", "prepare", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert (missing.code, missing.err) == (2, f"there is no folder and no study {tmp_path / 'nowhere'}\n")


def test_a_study_says_how_many_images_may_be_unreadable(
    dcasearch: Command, write_study: Callable[..., Path], root: Path, tmp_path: Path
) -> None:
    (root / "train" / "cat" / "07.jpg").write_bytes(b"")
    data = {"name": "imagefolder", "root": str(root), "max_corrupt": 0.02}
    study = write_study(data=data, fidelities=[ONE_EPOCH])
    refused = prepare(dcasearch, study, tmp_path / "out", "--max-corrupt", 0.001)
    assert (refused.code, "more than --max-corrupt" in refused.err) == (2, True)
    assert prepare(dcasearch, study, tmp_path / "out").code == 0


def test_a_study_without_image_files_cannot_be_prepared(
    dcasearch: Command, write_study: Callable[..., Path], tmp_path: Path
) -> None:
    refused = dcasearch("data", "prepare", write_study(), "--out", tmp_path / "out")
    assert refused.code == 2
    assert "data digits cannot be prepared, only data of image files" in refused.err


def test_a_folder_in_one_piece_is_prepared_and_the_last_line_says_how_a_study_names_it(
    dcasearch: Command, tmp_path: Path
) -> None:
    write_whole(tmp_path)
    done = prepare(dcasearch, tmp_path / "photos", tmp_path / "out")
    assert "all: 24 images of 2 classes, 1 file, 0.00 GB, 0 unreadable" in done.out
    said = f"in a study: data: {{name: imagefolder, root: {tmp_path / 'out'}, split: {{validation: 0.2, test: 0.2}}}}\n"
    assert done.out.endswith(said)


def test_one_original_that_changed_is_told_in_the_singular(dcasearch: Command, root: Path, tmp_path: Path) -> None:
    image = root / "train" / "cat" / "03.jpg"
    image.write_bytes(image.read_bytes().ljust(9_000, b"0"))
    prepare(dcasearch, root, tmp_path / "out")
    image.write_bytes((root / "train" / "dog" / "03.jpg").read_bytes().ljust(9_000, b"0"))
    found = dcasearch("data", "verify", tmp_path / "out", "--deep", "--workers", 0)
    assert found.code == 1
    assert "1 original image is not what was prepared; prepare the images anew into another folder" in found.err
