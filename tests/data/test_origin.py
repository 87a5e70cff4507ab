"""Each kind of origin, prepared: a folder in parts or in one piece, a list in parts or in one piece."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dcasearch.config.data_set import Data
from dcasearch.data import describe, open_held_out, open_set, shards
from dcasearch.data.loaders import parts_of
from dcasearch.data.origin import Origin, noted, noted_origin
from dcasearch.data.prepared import Index, read_index
from dcasearch.data.preparing import prepare
from dcasearch.data.sets import FilePart, Part, PreparedPart
from dcasearch.data.shard_work import Step
from dcasearch.data.verifying import verify, verify_source
from dcasearch.errors import DataError, UserError
from dcasearch.evaluation import EvaluationProtocol

SIZE = 8
SPLIT = {"validation": 0.25, "test": 0.25}
IMAGES = 24
PROTOCOLS: tuple[EvaluationProtocol, ...] = ("search", "test", "paper")


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four images a file."""
    monkeypatch.setattr(shards, "_SHARD_BYTES", 4 * 3 * SIZE * SIZE)


def data(**said: Any) -> Data:
    return Data.model_validate({"name": "imagefolder", "reading": 2, "workers": 0, **said})


def write_grey(path: Path, number: int) -> None:
    """An image whose every pixel is ten times its number, so that it is known again after it was prepared."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 10), (10 * number,) * 3).save(path)


def label_of(number: int) -> str:
    return ("ill", "well")[number % 2]


def write_whole(root: Path) -> Data:
    for n in range(IMAGES):
        write_grey(root / "images" / label_of(n) / f"{n:02}.png", n)
    return data(root=str(root / "images"), split=SPLIT)


def write_parts(root: Path) -> Data:
    for n in range(IMAGES):
        part = ("Training", "Training", "valid", "Testing")[n // 3 % 4]
        write_grey(root / "images" / part / label_of(n) / f"{n:02}.png", n)
    return data(root=str(root / "images"))


def write_list(root: Path, **said: Any) -> Data:
    """Three images of each of eight patients, each of whom is in one part; the folders say nothing of the classes."""
    rows = ["file,diagnosis,patient,part"]
    for n in range(IMAGES):
        write_grey(root / "images" / f"scans{n % 5}" / f"{n:02}.png", n)
        part = ("train", "training", "Dev", "testing")[n // 3 % 4]
        rows.append(f"scans{n % 5}/{n:02}.png,{label_of(n)},p{n // 3},{part}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    said["columns"] = {"path": "file", "label": "diagnosis", **said.get("columns", {})}
    return data(name="imagelist", root=str(root / "images"), file=str(root / "labels.csv"), **said)


KINDS: dict[str, Callable[[Path], Data]] = {
    "folder in one piece": write_whole,
    "folder in parts": write_parts,
    "list in one piece": lambda root: write_list(root, split=SPLIT),
    "list with groups": lambda root: write_list(root, split=SPLIT, columns={"group": "patient"}),
    "list in parts": lambda root: write_list(root, columns={"split": "part"}),
    "list in parts with groups": lambda root: write_list(root, columns={"split": "part", "group": "patient"}),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def image_of(root: Path, number: int) -> Path:
    """Return the file of an image, whatever the kind."""
    [path] = (root / "images").rglob(f"{number:02}.png")
    return path


def make(origin: Origin, out: Path, *, max_corrupt: float = 0.0) -> tuple[Index, list[Step]]:
    steps: list[Step] = []
    index = prepare(origin, out, size=SIZE, workers=0, max_corrupt=max_corrupt, observe=steps.append)
    return index, steps


def kept(steps: list[Step]) -> int:
    return sum(step.shard.kept for step in steps)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def prepared_of(original: Data, out: Path) -> Data:
    """Return what a study says of the prepared images; all else is as of the original ones."""
    split = None if original.split is None else original.split.model_dump()
    return data(root=str(out), split=split, split_seed=original.split_seed)


def numbers(part: Part) -> list[int]:
    """Return which images a part has, in its order."""
    if isinstance(part, FilePart):
        return [int(Path(path).stem) for path in part.paths]
    assert isinstance(part, PreparedPart)
    return [round(part.pixels(row).float().mean().item() / 10) for row in range(len(part.labels))]


@each_kind
@pytest.mark.parametrize("seed", [0, 7])
def test_a_prepared_set_is_divided_exactly_as_the_originals(kind: str, seed: int, tmp_path: Path) -> None:
    original = KINDS[kind](tmp_path).model_copy(update={"split_seed": seed})
    make(original, tmp_path / "out")
    prepared = prepared_of(original, tmp_path / "out")
    before, after = open_set(original), open_set(prepared)
    assert before.classes == after.classes == ("ill", "well")
    for name in ("train", "val", "test"):
        files_, pixels = getattr(before, name), getattr(after, name)
        assert numbers(files_) == numbers(pixels)
        assert np.array_equal(files_.labels, pixels.labels)
        assert np.array_equal(files_.groups, pixels.groups)
    for protocol in PROTOCOLS:
        old, new = parts_of(before, original, protocol), parts_of(after, prepared, protocol)
        assert np.array_equal(old.train, new.train)
        assert np.array_equal(old.each.indices, new.each.indices)
        assert np.array_equal(old.final.indices, new.final.indices)


def test_another_seed_or_share_of_the_split_divides_a_prepared_set_otherwise(tmp_path: Path) -> None:
    original = write_whole(tmp_path)
    make(original, tmp_path / "out")
    first, second = (data(root=str(tmp_path / "out"), split=SPLIT, split_seed=seed) for seed in (0, 1))
    more = data(root=str(tmp_path / "out"), split={"validation": 0.25, "test": 0.5})
    assert numbers(open_set(first).test) != numbers(open_set(second).test)
    assert len(numbers(open_set(more).test)) == 12
    assert len({describe(one).fingerprint for one in (original, first, second, more)}) == 4


@each_kind
def test_the_fingerprint_of_a_prepared_set_is_of_its_content_and_not_of_the_place(kind: str, tmp_path: Path) -> None:
    first, _ = make(KINDS[kind](tmp_path / "a"), tmp_path / "out")
    elsewhere = KINDS[kind](tmp_path / "b")
    assert make(elsewhere, tmp_path / "again")[0].fingerprint == first.fingerprint
    write_grey(image_of(tmp_path / "b", 3), 25)
    assert make(elsewhere, tmp_path / "other")[0].fingerprint != first.fingerprint


def test_lists_that_differ_in_groups_alone_are_other_data(tmp_path: Path) -> None:
    plain, grouped = (KINDS[kind](tmp_path) for kind in ("list in one piece", "list with groups"))
    one, two = make(plain, tmp_path / "plain")[0], make(grouped, tmp_path / "grouped")[0]
    assert one.parts["all"].shards == two.parts["all"].shards
    assert one.fingerprint != two.fingerprint
    assert "groups" not in json.loads((tmp_path / "plain" / "prepared.json").read_text())["parts"]["all"]
    assert "p0" not in (tmp_path / "grouped" / "prepared.json").read_text(), "groups are numbers, no names of patients"


@each_kind
def test_unreadable_images_are_named_as_they_lie_and_counted(kind: str, tmp_path: Path) -> None:
    original = KINDS[kind](tmp_path)
    broken = image_of(tmp_path, 4)
    broken.write_bytes(b"no image")
    with pytest.raises(DataError, match="1 of 24 images is unreadable, more than --max-corrupt"):
        make(original, tmp_path / "out")
    index, steps = make(original, tmp_path / "out", max_corrupt=0.05)
    assert kept(steps) == len(steps)
    [(path, reason)] = [why for part in index.parts.values() for why in part.unreadable.values()]
    assert path == broken.relative_to(tmp_path / "images").as_posix()
    assert str(tmp_path) not in reason
    prepared = prepared_of(original, tmp_path / "out").model_copy(update={"max_corrupt": 0.1})
    [note] = describe(prepared).notes
    assert note.endswith(f"could not be read: {path}")
    train, test = open_set(prepared).train, open_set(prepared).test
    for part in (train, test):
        assert isinstance(part, PreparedPart)
        assert all(part.pixels(row).sum() == 0 for row in part.unreadable)


@each_kind
def test_a_changed_original_is_seen_by_a_deep_look_alone(kind: str, tmp_path: Path) -> None:
    original = KINDS[kind](tmp_path)
    make(original, tmp_path / "out")
    changed = image_of(tmp_path, 5)
    size = changed.stat().st_size
    write_grey(changed, 6)
    changed.write_bytes(changed.read_bytes().ljust(size, b"0")[:size])
    assert changed.stat().st_size == size
    assert verify(tmp_path / "out", workers=0) == []
    name = changed.relative_to(tmp_path / "images").as_posix()
    said = [f"{name}: its content is not what was prepared"]
    assert verify_source(tmp_path / "out", None, workers=0) == said
    assert verify_source(tmp_path / "out", original, workers=0) == said


@pytest.mark.parametrize("kind", ["folder in one piece", "folder in parts"])
def test_an_original_that_is_gone_is_told_by_a_deep_look(kind: str, tmp_path: Path) -> None:
    original = KINDS[kind](tmp_path)
    make(original, tmp_path / "out")
    image_of(tmp_path, 0).unlink()
    [said] = verify_source(tmp_path / "out", None, workers=0)
    before = read_index(tmp_path / "out").parts["train" if kind == "folder in parts" else "all"].images
    assert said.endswith(f": {before - 1} original images are there today, {before} were prepared")


def test_a_part_that_came_or_went_is_told_by_a_deep_look(tmp_path: Path) -> None:
    make(write_parts(tmp_path), tmp_path / "out")
    (tmp_path / "images" / "valid").rename(tmp_path / "valid")
    [said] = verify_source(tmp_path / "out", None, workers=0)
    assert said == "val: 0 original images are there today, 6 were prepared"
    make(tmp_path / "images", tmp_path / "less")
    (tmp_path / "valid").rename(tmp_path / "images" / "valid")
    assert verify_source(tmp_path / "less", None, workers=0) == [
        "val: 6 original images are there today, 0 were prepared"
    ]


def test_a_list_whose_image_is_gone_is_told_by_a_deep_look(tmp_path: Path) -> None:
    make(KINDS["list in one piece"](tmp_path), tmp_path / "out")
    image_of(tmp_path, 0).unlink()
    with pytest.raises(DataError, match=r"1 row whose image is not there: line 2 \(scans0/00.png\)"):
        verify_source(tmp_path / "out", None, workers=0)


@each_kind
def test_what_was_broken_off_is_gone_on_with(kind: str, tmp_path: Path) -> None:
    original = KINDS[kind](tmp_path)
    make(original, tmp_path / "whole")

    def stop(step: Step) -> None:
        if step.shard.number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(original, tmp_path / "out", size=SIZE, workers=0, max_corrupt=0, observe=stop)
    with pytest.raises(DataError, match="not prepared to the end"):
        open_set(prepared_of(original, tmp_path / "out"))
    _, steps = make(original, tmp_path / "out")
    assert 0 < kept(steps) < len(steps)
    assert files(tmp_path / "out") == files(tmp_path / "whole")


@pytest.mark.slow
def test_a_list_goes_on_after_a_kill(tmp_path: Path) -> None:
    original = KINDS["list with groups"](tmp_path)
    command = [sys.executable, "-c", _KILLED, original.model_dump_json(), str(tmp_path / "out")]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "out").glob("*.npy.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    _, steps = make(original, tmp_path / "out")
    assert 2 <= kept(steps) < len(steps)
    make(original, tmp_path / "whole")
    assert files(tmp_path / "out") == files(tmp_path / "whole")


_KILLED = f"""
import sys
import time
from pathlib import Path
from dcasearch.config.data_set import Data
from dcasearch.data import shard_work, shards
from dcasearch.data.preparing import prepare
decode = shard_work.decode
shard_work.decode = lambda *some: time.sleep(0.03) or decode(*some)
shards._SHARD_BYTES = {4 * 3 * SIZE * SIZE}
prepare(Data.model_validate_json(sys.argv[1]), Path(sys.argv[2]), size={SIZE}, workers=0, max_corrupt=0)
"""


def test_a_row_that_is_added_to_a_list_leaves_other_shards_as_they_are(tmp_path: Path) -> None:
    original = KINDS["list in one piece"](tmp_path)
    make(original, tmp_path / "out")
    write_grey(tmp_path / "images" / "scans9" / "24.png", 24)
    with (tmp_path / "labels.csv").open("a") as file:
        file.write("scans9/24.png,well,p9,train\n")
    index, steps = make(original, tmp_path / "out")
    assert kept(steps) == 6
    assert index == make(original, tmp_path / "new")[0]


def test_a_folder_in_one_piece_is_prepared_by_its_path_as_by_its_study(tmp_path: Path) -> None:
    original = write_whole(tmp_path)
    by_study, _ = make(original, tmp_path / "one")
    by_path, steps = make(tmp_path / "images", tmp_path / "two")
    assert by_study == by_path
    assert by_path.whole
    _, steps = make(original, tmp_path / "two")
    assert kept(steps) == len(steps)


def test_a_prepared_set_in_one_piece_needs_shares_and_is_no_imagenet(tmp_path: Path) -> None:
    make(write_whole(tmp_path), tmp_path / "out")
    with pytest.raises(DataError, match=r"out comes in one piece, .*add data.split: \{validation: 0.2, test: 0.2\}"):
        open_set(data(root=str(tmp_path / "out")))
    with pytest.raises(DataError, match="was prepared in one piece; expected train and val"):
        open_set(data(name="imagenet", root=str(tmp_path / "out")))


def test_all_of_a_prepared_set_in_one_piece_is_measured_on_where_nothing_divides_it(tmp_path: Path) -> None:
    original = write_whole(tmp_path)
    make(original, tmp_path / "out")
    undivided = original.model_copy(update={"split": None})
    for said in (undivided, data(root=str(tmp_path / "out"))):
        found = open_held_out(said, "validation")
        assert (found.split, len(found.part.labels)) == ("validation", IMAGES)
    assert len(open_held_out(prepared_of(original, tmp_path / "out"), "test").part.labels) == 6


def test_some_classes_of_a_prepared_set_in_one_piece_are_divided(tmp_path: Path) -> None:
    for n in range(IMAGES):
        write_grey(tmp_path / "images" / f"c{n % 3}" / f"{n:02}.png", n)
    original = data(root=str(tmp_path / "images"), split=SPLIT, classes=["c0", "c2"])
    make(original, tmp_path / "out")
    prepared = prepared_of(original, tmp_path / "out").model_copy(update={"classes": ("c0", "c2")})
    assert numbers(open_set(original).train) == numbers(open_set(prepared).train)
    assert open_set(prepared).classes == ("c0", "c2")


def test_a_list_whose_root_is_a_prepared_folder_is_told_what_to_write(tmp_path: Path) -> None:
    original = KINDS["list in one piece"](tmp_path)
    make(original, tmp_path / "out")
    wrong = original.model_copy(update={"root": str(tmp_path / "out")})
    with pytest.raises(DataError, match=r"has the labels in it; give it as data: \{name: imagefolder, root: "):
        open_set(wrong)
    with pytest.raises(DataError, match="is a prepared data set itself"):
        make(wrong, tmp_path / "new")


def test_data_that_are_no_image_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="data digits cannot be prepared, only data of image files: imagefolder, image"):
        make(Data(name="digits"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_was_prepared_with_another_reading_or_rotation_is_refused(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for n in range(4):
            write_grey(tmp_path / "images" / part / f"n0000000{n % 2}" / f"{n}.png", n)
    root = tmp_path / "images"
    make(root, tmp_path / "out")  # its classes are wnids, so it lies
    with pytest.raises(UserError, match="was prepared without the rotation in EXIF; give a new folder"):
        make(data(root=str(root)), tmp_path / "out")
    with pytest.raises(UserError, match=r"was prepared with data.reading 2, and the study has 1; give a new folder"):
        make(data(root=str(root), reading=1), tmp_path / "out")


@pytest.mark.parametrize("kind", ["folder in one piece", "list with groups"])
def test_an_origin_is_noted_with_absolute_paths_and_without_what_does_not_matter(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = KINDS[kind](tmp_path)
    monkeypatch.chdir(tmp_path)
    relative = {name: os.path.relpath(place) for name in ("root", "file") if (place := getattr(original, name))}
    again = noted_origin(noted(original.model_copy(update=relative)))
    assert isinstance(again, Data)
    assert (again.name, again.root, again.file) == (original.name, original.root, original.file)
    assert again.columns == original.columns
    assert again.split is None
    assert noted_origin(noted(Path("images"))) == tmp_path / "images"


_OLD_INDEX = (
    '{"format":1,"size":8,"source":"1d26cb0addac1cf2","reading":2,"upright":true,"passed_over":[],"classes":["cat",'
    '"dog","eel"],"parts":{"train":{"images_per_class":[2,2,2],"shards":['
    '"073d658ca20b718a4e2a9d0ec48550a4eb73d39cb02c108e420b864d4fda9e02"],"files":["93184a1d8c5e58f4"],"unreadable":{"1":'
    '["train/cat/01.jpg","cannot identify image file \'train/cat/01.jpg\'"]}},"test":{"images_per_class":[1,1,1],'
    '"shards":["c194c819f4b621bdb526fd57f4bdd49c89b5166e029768392d3254fcfacb02ac"],"files":["1b8aa2c58602632b"],'
    '"unreadable":{}}}}'
)
"""As it was written before sets in one piece and groups."""


def test_an_index_of_before_is_read_and_keeps_its_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "prepared.json").write_text(_OLD_INDEX)
    for name, images in (("train", 6), ("test", 3)):
        for number in range(-(-images // 4)):
            rows = min(4, images - 4 * number)
            np.save(tmp_path / f"{name}-{number:05}.npy", np.zeros((rows, SIZE, SIZE, 3), np.uint8))
    index = read_index(tmp_path)
    assert index.fingerprint == "06f5ad2feb23f84e"
    assert not index.whole
    info = describe(Data(name="imagefolder", root=str(tmp_path), validation_fraction=0.5))
    assert info.fingerprint == "3d5b0a351f0fb401"
    assert info.notes == ("train: 1 of 6 images (16.67%) could not be read: train/cat/01.jpg",)


def test_the_index_of_a_folder_in_parts_is_written_as_before(tmp_path: Path) -> None:
    (tmp_path / "prepared.json").write_text(_OLD_INDEX)
    assert read_index(tmp_path).as_json().decode() == _OLD_INDEX
