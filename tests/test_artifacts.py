import errno
import os
import pickle
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from upath import UPath

from dcasearch.artifacts import (
    Place,
    delete,
    free_bytes,
    local_copy,
    move,
    open_artifacts,
    read_bytes,
    remove_leftovers,
    size_of,
    write_atomically,
)
from dcasearch.errors import StorageError, UserError
from tests.support import dead_process


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow over 64 KiB, which fails like a full disk."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_file_appears_complete_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_atomically(path, lambda unfinished: unfinished.write_text("all of it") and None)
    assert path.read_text() == "all of it"
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]


def test_dying_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def die(unfinished: Path) -> None:
        unfinished.write_text("hal")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, die)
    assert path.read_text() == "before"


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("kind", ["torch", "safetensors", "plain"])
def test_a_full_disk_says_so_and_leaves_what_was_there(tmp_path: Path, kind: str) -> None:
    tensors = {"a": torch.zeros(2**16)}

    def write(unfinished: Path) -> None:
        if kind == "torch":
            torch.save(tensors, unfinished)
        elif kind == "safetensors":
            save_file(tensors, unfinished)
        else:
            unfinished.write_bytes(bytes(2**18))

    path = tmp_path / "a.bin"
    path.write_text("before")
    with pytest.raises(StorageError, match=r"cannot write .*a\.bin: .* MiB are free there"):
        write_atomically(path, write)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


@pytest.fixture(params=["folder", "file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A folder; the same through fsspec, as a remote one is; and one that is no folder at all."""
    if request.param == "memory":
        place = UPath(f"memory://{tmp_path.name}")
        yield place
        place.fs.rm(place.path, recursive=True)
        return
    yield tmp_path if request.param == "folder" else UPath(f"file://{tmp_path}")


def names(folder: Place) -> list[str]:
    return sorted(place.name for place in folder.iterdir())


def test_every_kind_of_store_writes_replaces_reads_and_deletes(store: Place) -> None:
    place = store / "new" / "a.bin"
    assert (read_bytes(place), size_of(place)) == (None, 0)
    for content in (b"before", b"all of it"):
        write_atomically(place, lambda unfinished, content=content: unfinished.write_bytes(content) and None)
        assert read_bytes(place) == content
    assert (names(place.parent), size_of(place)) == (["a.bin"], 9)
    with local_copy(place) as local:
        assert local.read_bytes() == b"all of it"
    move(place, "b.bin")
    assert names(place.parent) == ["b.bin"]
    delete(place.with_name("b.bin"))
    delete(place.with_name("b.bin"))
    assert names(place.parent) == []


def test_a_write_that_fails_leaves_what_was_there(store: Place) -> None:
    def fail(unfinished: Path) -> None:
        unfinished.write_bytes(b"hal")
        raise OSError(errno.EROFS, "Read-only file system")

    place = store / "a.bin"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"before")
    with pytest.raises(StorageError, match=r"cannot write .*a\.bin: .*Read-only.*run the same command"):
        write_atomically(place, fail)
    assert read_bytes(place) == b"before"
    assert names(store) == ["a.bin"]


def test_deleting_takes_unfinished_writes_of_other_processes_along(store: Place) -> None:
    for name in ("a.pt", "a.pt.node-7.tmp", "b.pt.node-7.tmp"):
        write_atomically(store / name, lambda unfinished: unfinished.write_bytes(b"x") and None)
    delete(store / "a.pt")
    assert names(store) == ["b.pt.node-7.tmp"]


def test_a_store_where_a_file_lies_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot write .*file/checkpoints/a\.pt: .* MiB are free there"):
        write_atomically(tmp_path / "file" / "checkpoints" / "a.pt", lambda unfinished: None)


def test_a_folder_is_opened_as_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for location in ("artifacts", f"file://{tmp_path}/artifacts", tmp_path / "artifacts"):
        place = open_artifacts(location)
        assert isinstance(place, Path)
        assert place == tmp_path / "artifacts"
        assert free_bytes(place / "a" / "b")


def test_a_url_is_opened_as_it_is_and_survives_its_name() -> None:
    place = open_artifacts("memory://store/of/mine")
    assert str(place) == "memory://store/of/mine"
    assert open_artifacts(str(place)) == place
    assert pickle.loads(pickle.dumps(place)) == place
    assert not isinstance(place, Path)
    assert free_bytes(place) is None


@pytest.mark.parametrize(("location", "message"), [("nope://x", "nope"), ("adl://x/y", "[Ii]nstall|adlfs")])
def test_a_url_that_nothing_here_can_open_is_an_error(location: str, message: str) -> None:
    with pytest.raises(UserError, match=f"artifacts: cannot open {location}.*({message})"):
        open_artifacts(location)


def test_unfinished_files_of_dead_processes_are_removed_and_those_of_living_ones_are_not(store: Place) -> None:
    host, dead = socket.gethostname(), dead_process()
    left = [f"a.pt.{host}-{dead}.tmp", f"b.npy.{dead}.tmp"]
    living = [f"c.pt.{host}-{os.getpid()}.tmp", f"b.npy.{os.getpid()}.tmp"]
    others = [f"a.pt.elsewhere-{dead}.tmp", "mine.tmp", "a.pt"]
    for name in (*left, *living, *others):
        write_atomically(store / name, lambda unfinished: unfinished.write_bytes(b"x") and None)
    remove_leftovers(store)
    assert names(store) == sorted([*living, *others])
    remove_leftovers(store / "missing")


def test_a_process_that_began_after_the_file_was_written_is_not_its_writer(tmp_path: Path) -> None:
    path = tmp_path / f"a.pt.{socket.gethostname()}-{os.getpid()}.tmp"
    path.write_bytes(b"x")
    os.utime(path, (1000, 1000))
    remove_leftovers(tmp_path)
    assert not path.exists()
