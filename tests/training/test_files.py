import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dcasearch.errors import StorageError
from dcasearch.training.files import write_atomically


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
