import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from dcasearch.config.data_set import Data
from dcasearch.data import describe, root_of, stage, staging
from dcasearch.errors import StorageError
from tests.data.support import write_folder


@pytest.fixture
def data(tmp_path: Path) -> Data:
    write_folder(tmp_path / "shared" / "pets")
    return Data(name="imagefolder", root=str(tmp_path / "shared" / "pets"), stage=str(tmp_path / "node"))


def copied(data: Data) -> Path:
    stage(data)
    return Path(str(root_of(data)))


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_data_is_copied_and_read_from_there(data: Data, tmp_path: Path) -> None:
    assert root_of(data) == data.root
    before = describe(data)
    folder = copied(data)
    assert folder.parent == tmp_path / "node"
    shutil.rmtree(tmp_path / "shared")
    assert describe(data) == before


def test_staging_changes_no_fingerprint(data: Data) -> None:
    plain = Data.model_validate({**data.model_dump(), "stage": None})
    stage(data)
    assert describe(data).fingerprint == describe(plain).fingerprint


def test_a_copy_that_is_there_is_not_made_again(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied(data)
    monkeypatch.setattr(staging, "_copy", lambda *_: pytest.fail("copied again"))
    assert copied(data) == folder


@pytest.mark.parametrize("changes", [{"stage": None}, {"name": "digits", "root": None}])
def test_without_a_stage_or_a_root_nothing_is_copied(data: Data, tmp_path: Path, changes: dict[str, Any]) -> None:
    stage(Data.model_validate({**data.model_dump(), **changes}))
    assert not (tmp_path / "node").exists()


def test_one_process_copies_while_the_others_wait(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []
    original = staging._copy

    def copy(source: Path, target: Path, limit: float | None) -> None:
        calls.append(source)
        original(source, target, limit)

    monkeypatch.setattr(staging, "_copy", copy)
    threads = [threading.Thread(target=stage, args=(data,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert Path(str(root_of(data))).is_dir()


def test_a_copy_that_was_broken_off_is_gone_on_with(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Path] = []
    original = shutil.copyfile

    def copyfile(source: Path, target: Path) -> None:
        if len(done) == 5:
            Path(target).write_bytes(b"half")
            raise KeyboardInterrupt
        done.append(source)
        original(source, target)

    monkeypatch.setattr(staging, "_COPIES_AT_ONCE", 1)
    monkeypatch.setattr(staging.shutil, "copyfile", copyfile)
    with pytest.raises(KeyboardInterrupt):
        stage(data)
    assert root_of(data) == data.root
    monkeypatch.setattr(staging.shutil, "copyfile", lambda *paths: done.append(paths[0]) or original(*paths))
    assert bytes_of(copied(data)) == bytes_of(Path(str(data.root)))
    assert len(done) == len(set(done)) == 27


def test_what_a_broken_off_copy_has_too_many_is_removed(data: Data) -> None:
    part = Path(f"{copied(data)}.part")
    shutil.rmtree(copied(data), ignore_errors=True)
    part.mkdir(parents=True)
    (part / "gone.jpg").write_bytes(b"of the source no more")
    stage(data)
    assert bytes_of(copied(data)) == bytes_of(Path(str(data.root)))


def test_more_than_the_limit_is_not_copied(data: Data, tmp_path: Path) -> None:
    limited = Data.model_validate({**data.model_dump(), "stage_limit": "1k"})
    with pytest.raises(StorageError, match=r"pets has .* GB, more than the data\.stage_limit of 0\.00 GB; raise it"):
        stage(limited)
    assert [path.name for path in (tmp_path / "node").iterdir() if not path.name.startswith(".")] == []


def test_a_disk_without_room_is_said_before_anything_is_copied(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10}))
    with pytest.raises(StorageError, match=r"to be copied and .* has 0\.00 GB free; make room"):
        stage(data)


def test_data_that_changes_while_it_is_copied_is_not_taken(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    original = shutil.copyfile

    def copyfile(source: Path, target: Path) -> None:
        original(source, target)
        if source.name == "00.jpg":
            Path(target).write_bytes(b"other")

    monkeypatch.setattr(staging.shutil, "copyfile", copyfile)
    with pytest.raises(StorageError, match=r"has 27 files of .* bytes, not 27 of .*: the data has changed meanwhile"):
        stage(data)
    assert root_of(data) == data.root
    monkeypatch.undo()
    assert bytes_of(copied(data)) == bytes_of(Path(str(data.root)))


def test_a_stage_that_cannot_be_written_says_so(data: Data, tmp_path: Path) -> None:
    (tmp_path / "node").write_text("")
    with pytest.raises(StorageError, match=r"data\.stage: cannot copy .*pets to .*node"):
        stage(data)
