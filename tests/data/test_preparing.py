from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcasearch.config.data_set import Data
from dcasearch.data import describe, preparing, shards
from dcasearch.data.prepared import Index
from dcasearch.data.preparing import prepare
from dcasearch.data.shard_work import Step
from dcasearch.data.verifying import verify, verify_source
from dcasearch.errors import DataError, StorageError, UserError
from tests.data.support import write_folder
from tests.support import dead_process

SIZE = 16


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four images a file."""
    monkeypatch.setattr(shards, "_SHARD_BYTES", 4 * 3 * SIZE * SIZE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "images", size=(40, 24))


def make(
    root: Path, out: Path, *, size: int = SIZE, workers: int = 0, max_corrupt: float = 0.0
) -> tuple[Index, list[Step]]:
    steps: list[Step] = []
    index = prepare(root, out, size=size, workers=workers, max_corrupt=max_corrupt, observe=steps.append)
    return index, steps


def kept(steps: list[Step]) -> int:
    return sum(step.shard.kept for step in steps)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_image_is_the_centre_square_resized(root: Path, tmp_path: Path) -> None:
    index, _ = make(root, tmp_path / "out")
    assert index.parts["train"].images_per_class == [6, 6, 6]
    assert index.classes == ["cat", "dog", "eel"]
    path = root / "train" / "dog" / "01.jpg"  # the eighth
    square = Image.open(path).convert("RGB").crop((8, 0, 32, 24))
    expected = np.asarray(square.resize((SIZE, SIZE), Image.Resampling.BICUBIC), int)
    pixels = index.shards(tmp_path / "out")["train"].read(7).permute(1, 2, 0).numpy().astype(int)
    # At the cut the resize looks at what lies beyond it.
    assert np.abs(pixels - expected)[:, 2:-2].max() <= 1


def test_several_processes_make_the_same_files_as_one(root: Path, tmp_path: Path) -> None:
    one, steps = make(root, tmp_path / "one")
    several, _ = make(root, tmp_path / "several", workers=2)
    assert files(tmp_path / "one") == files(tmp_path / "several")
    assert one.fingerprint == several.fingerprint
    assert sum(step.images for step in steps) == steps[0].of == 27
    assert sorted(files(tmp_path / "one")) == [
        ".lock", "prepared.json", "source.txt",
        *(f"test-0000{n}.npy" for n in range(3)), *(f"train-0000{n}.npy" for n in range(5)),
    ]  # fmt: skip


def test_a_preparation_that_was_broken_off_is_gone_on_with(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    make(root, whole)

    def stop(step: Step) -> None:
        raise KeyboardInterrupt if step.shard.number == 2 else AssertionError

    with pytest.raises(KeyboardInterrupt):
        prepare(root, out, size=SIZE, workers=0, max_corrupt=0, observe=lambda s: s.shard.number == 2 and stop(s))
    with pytest.raises(DataError, match=r"not prepared to the end; the same `dcasearch data prepare`"):
        describe(Data(name="imagefolder", root=str(out)))
    with pytest.raises(DataError, match="not prepared to the end"):
        verify(out, workers=0)
    _, steps = make(root, out)
    assert kept(steps) == 3
    assert files(out) == files(whole)


def test_what_a_kill_left_half_written_is_removed_before_anything_is_written(root: Path, tmp_path: Path) -> None:
    whole, out, dead = tmp_path / "whole", tmp_path / "out", dead_process()
    make(root, whole)
    out.mkdir()
    left = [out / f"{name}.{dead}.tmp" for name in ("preparing.json", "train-00001.npy", "train-00000.npy.json")]
    for path in left:
        path.write_bytes(b"half")

    def look(step: Step) -> None:
        assert not any(path.exists() for path in left)

    prepare(root, out, size=SIZE, workers=0, max_corrupt=0, observe=look)
    assert files(out) == files(whole)


def test_a_shard_that_does_not_match_its_checksum_is_found_and_mended(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first, _ = make(root, out)
    before = files(out)
    damaged = bytearray(before["train-00001.npy"])
    damaged[-1] ^= 1
    (out / "train-00001.npy").write_bytes(damaged)
    (out / "test-00000.npy").unlink()
    problems = verify(out, workers=0)
    assert [problem.split(": ") for problem in problems] == [
        [str(out / "test-00000.npy"), "No such file or directory"],
        [str(out / "train-00001.npy"), "its content is not what was written"],
    ]
    again, steps = make(root, out)
    assert (kept(steps), len(steps)) == (6, 8)
    assert again == first
    assert files(out) == before
    assert verify(out, workers=2) == []


def test_an_unreadable_image_is_listed_and_its_pixels_are_zero(root: Path, tmp_path: Path) -> None:
    (root / "train" / "cat" / "04.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1 of 27 images is unreadable, more than --max-corrupt(.|\n)*cat/04\.jpg"):
        make(root, tmp_path / "out")
    index, steps = make(root, tmp_path / "out", max_corrupt=0.05)
    assert kept(steps) == 8  # all of it was looked at before the stop
    assert list(index.parts["train"].unreadable) == [4]
    path, reason = index.parts["train"].unreadable[4]
    assert path == "train/cat/04.jpg"
    assert "identify" in reason
    assert str(root) not in reason
    stored = index.shards(tmp_path / "out")["train"]
    assert [int(stored.read(row).sum()) > 0 for row in (3, 4, 5)] == [True, False, True]
    again, _ = make(root, tmp_path / "out", max_corrupt=0.05)
    assert again == index


def test_other_images_or_another_size_do_not_go_into_the_same_folder(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(root, out)
    with pytest.raises(UserError, match="prepared at another size"):
        make(root, out, size=8)
    with pytest.raises(UserError, match="prepared of other images"):
        make(write_folder(tmp_path / "others", images=8, size=(30, 30)), out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(UserError, match="is not empty"):
        make(root, tmp_path / "mine")


def test_a_wrong_root_is_refused_and_nothing_is_written(root: Path, tmp_path: Path) -> None:
    make(root, tmp_path / "out")
    with pytest.raises(DataError, match="is a prepared data set itself"):
        make(tmp_path / "out", tmp_path / "new")
    with pytest.raises(DataError, match=r"no folder .*nowhere; expected one that holds train/<class>"):
        make(tmp_path / "nowhere", tmp_path / "new")
    with pytest.raises(DataError, match=r"train/cat holds no class folders; expected .*<class>/<image>"):
        make(root / "train" / "cat", tmp_path / "new")
    shutil.rmtree(root / "train")
    with pytest.raises(DataError, match=r"has no folder `train`; expected train/<class>"):
        make(root, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(DataError, match="is no prepared data set"):
        verify(root, workers=0)


def test_one_process_prepares_at_a_time(root: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process prepares"):
            make(root, tmp_path / "out")


def test_a_disk_without_room_is_told_before_anything_is_decoded(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1000))
    with pytest.raises(StorageError, match=r"0\.00 GB are to be written"):
        make(root, tmp_path / "out")


def test_a_disk_that_fills_up_is_one_sentence(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(preparing, "_write", lambda *_: full(tmp_path, b""))
    with pytest.raises(StorageError, match=r"train-00000.npy: No space left on device; what is done is kept"):
        make(root, tmp_path / "out")


def test_after_a_kill_the_same_command_ends_with_the_same_files(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "images", images=20)
    command = [sys.executable, "-c", _KILLED, str(root), str(tmp_path / "out")]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "out").glob("*.npy.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert (tmp_path / "out" / "preparing.json").is_file()
    there = len(list((tmp_path / "out").glob("*.npy.json")))
    _, steps = make(root, tmp_path / "out")
    assert 3 <= there <= kept(steps) < len(steps)
    make(root, tmp_path / "whole")
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert json.loads((tmp_path / "out" / "prepared.json").read_text())["size"] == SIZE


_KILLED = f"""
import sys
from pathlib import Path
import time
from dcasearch.data import shard_work, shards
from dcasearch.data.preparing import prepare
decode = shard_work.decode
shard_work.decode = lambda *some: time.sleep(0.02) or decode(*some)
shards._SHARD_BYTES = {4 * 3 * SIZE * SIZE}
prepare(Path(sys.argv[1]), Path(sys.argv[2]), size={SIZE}, workers=0, max_corrupt=0)
"""


def test_after_the_source_was_repaired_what_did_not_change_stays(root: Path, tmp_path: Path) -> None:
    bad = root / "train" / "eel" / "bad.jpg"
    bad.write_bytes(b"no image")
    with pytest.raises(DataError, match="1 of 28 images is unreadable"):
        make(root, tmp_path / "out")
    bad.unlink()
    index, steps = make(root, tmp_path / "out")
    assert 0 < kept(steps) < len(steps)
    assert index == make(root, tmp_path / "new")[0]
    assert {name for name in files(tmp_path / "out") if name.endswith(".npy")} == {
        name for name in files(tmp_path / "new") if name.endswith(".npy")
    }


def test_what_could_not_be_read_is_tried_again(root: Path, tmp_path: Path) -> None:
    broken, whole = root / "train" / "cat" / "04.jpg", (root / "train" / "cat" / "04.jpg").read_bytes()
    broken.write_bytes(bytes(len(whole)))
    index, _ = make(root, tmp_path / "out", max_corrupt=0.05)
    assert list(index.parts["train"].unreadable) == [4]
    broken.write_bytes(whole)
    mended, steps = make(root, tmp_path / "out")
    assert mended.parts["train"].unreadable == {}
    assert kept(steps) == len(steps) - 1
    assert mended == make(root, tmp_path / "new")[0]


def test_every_unreadable_image_is_named_in_one_pass(root: Path, tmp_path: Path) -> None:
    for name in ("train/cat/01.jpg", "train/dog/02.jpg", "train/eel/05.jpg", "test/eel/00.jpg"):
        (root / name).write_bytes(b"no image")
    with pytest.raises(DataError, match=r"4 of 27 images are unreadable(.|\n)*test/eel/00\.jpg") as stopped:
        make(root, tmp_path / "out")
    assert str(stopped.value).count("cannot identify") == 4


def test_content_that_changed_at_equal_size_is_seen_by_a_look_at_the_source(root: Path, tmp_path: Path) -> None:
    image, other = (root / "train" / name / "03.jpg" for name in ("cat", "dog"))
    image.write_bytes(image.read_bytes().ljust(9_000, b"0"))
    out = tmp_path / "out"
    make(root, out)
    assert verify_source(out, None, workers=0) == []
    image.write_bytes(other.read_bytes().ljust(9_000, b"0"))
    _, steps = make(root, out)
    assert kept(steps) == len(steps), "names and sizes are equal"
    assert verify(out, workers=0) == []
    assert verify_source(out, root, workers=0) == ["train/cat/03.jpg: its content is not what was prepared"]


def test_the_source_of_a_prepared_folder_is_where_it_lay_unless_another_is_named(root: Path, tmp_path: Path) -> None:
    make(root, tmp_path / "out")
    root.rename(tmp_path / "moved")
    with pytest.raises(DataError, match="no folder"):
        verify_source(tmp_path / "out", None, workers=0)
    assert verify_source(tmp_path / "out", tmp_path / "moved", workers=0) == []
    (tmp_path / "out" / "source.txt").unlink()
    with pytest.raises(DataError, match="name their folder with --source"):
        verify_source(tmp_path / "out", None, workers=0)


def test_a_folder_that_an_older_version_prepared_goes_on_in_its_reading(root: Path, tmp_path: Path) -> None:
    new, _ = make(root, tmp_path / "out")
    old = json.loads((tmp_path / "out" / "prepared.json").read_text())
    for name in ("reading", "upright", "passed_over"):
        del old[name]
    for part in old["parts"].values():
        del part["files"]
    (tmp_path / "out" / "prepared.json").write_text(json.dumps(old))
    index, steps = make(root, tmp_path / "out")
    assert (new.reading, index.reading, index.upright) == (2, 1, False)
    assert kept(steps) == len(steps)
