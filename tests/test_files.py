from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dcasearch.artifacts import remove_leftovers
from dcasearch.errors import UserError
from dcasearch.files import expanded, locked, remove, replacing, temporary_name, write_whole
from tests.support import dead_process

HOLD = (
    "import sys, time; from pathlib import Path; from dcasearch.files import locked\n"
    "with locked(Path(sys.argv[1]), wait=True):\n    print('held', flush=True)\n    time.sleep(60)"
)


def holder(path: Path) -> subprocess.Popen[str]:
    """Start a process that holds a lock, and wait until it does."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "new" / "a", b"old")
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        write_whole(tmp_path / "new" / "a", b"new and longer")
    assert (tmp_path / "new" / "a").read_bytes() == b"old"
    assert names(tmp_path / "new") == ["a"]


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    def write(content: str, *, fail: bool = False) -> None:
        with replacing(tmp_path / "set") as unfinished:
            unfinished.mkdir()
            (unfinished / "a").write_text(content)
            assert not (tmp_path / "set").exists()
            if fail:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write("half", fail=True)
    assert names(tmp_path) == []
    write("whole")
    assert (tmp_path / "set" / "a").read_text() == "whole"
    assert names(tmp_path) == ["set"]


def test_what_a_kill_leaves_is_a_leftover_files_and_folders_alike(tmp_path: Path) -> None:
    for name in ("a", "set"):
        left = tmp_path / temporary_name(name).replace(f"-{os.getpid()}.", f"-{dead_process()}.")
        left.mkdir() if name == "set" else left.touch()
        (tmp_path / temporary_name(name)).touch()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(temporary_name(name) for name in ("a", "set"))


def test_removing_is_safe_to_repeat(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    for _ in range(2):
        remove(tmp_path / "folder")
        remove(tmp_path / "file")
    assert names(tmp_path) == []


def test_a_lock_that_another_process_holds_is_refused_or_waited_for(tmp_path: Path) -> None:
    process = holder(tmp_path / ".lock")
    try:
        with (
            pytest.raises(BlockingIOError, match=r"another process holds .*\.lock"),
            locked(tmp_path / ".lock", wait=False),
        ):
            pass
        threading.Timer(0.3, process.kill).start()
        began = time.monotonic()
        with locked(tmp_path / ".lock", wait=True):
            assert time.monotonic() - began >= 0.2
    finally:
        end(process)


def test_a_process_that_dies_gives_its_lock_back_and_the_file_stays(tmp_path: Path) -> None:
    end(holder(tmp_path / ".lock"))
    for _ in range(2):
        with locked(tmp_path / ".lock", wait=False):
            assert (tmp_path / ".lock").exists()
    assert names(tmp_path) == [".lock"]


def test_a_forked_child_that_ends_leaves_the_lock_to_its_parent(tmp_path: Path) -> None:
    code = (
        "import os, sys, subprocess; from pathlib import Path; from dcasearch.files import locked\n"
        "path = Path(sys.argv[1])\n"
        "with locked(path, wait=False):\n"
        "    if not os.fork():\n        sys.exit(0)\n"
        "    os.wait()\n"
        "    print(subprocess.run([sys.executable, '-c', sys.argv[2], str(path)]).returncode)\n"
    )
    other = (
        "import sys; from pathlib import Path; from dcasearch.files import locked\n"
        "try:\n    with locked(Path(sys.argv[1]), wait=False): pass\nexcept BlockingIOError: sys.exit(7)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / ".lock"), other], capture_output=True, text=True, check=True
    )
    assert done.stdout == "7\n"


def test_a_lock_of_a_version_before_this_library_counts(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError), locked(tmp_path / ".lock", wait=False):
            pass
    with (
        locked(tmp_path / ".lock", wait=False),
        (tmp_path / ".lock").open("w") as file,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_stop_ends_the_wait_for_a_lock(tmp_path: Path) -> None:
    process = holder(tmp_path / ".lock")
    try:
        waiting = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / ".lock")], stderr=subprocess.PIPE)
        time.sleep(1.5)
        waiting.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in waiting.communicate(timeout=20)[1]
    finally:
        end(process)


def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), locked(tmp_path / "file" / ".lock", wait=False):
        pass


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_a_path_without_a_name_is_no_file_to_write(path: str) -> None:
    with pytest.raises(IsADirectoryError, match="names no file"):
        write_whole(Path(path), b"x")


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/x") == tmp_path / "x"
    assert expanded(Path("a/~/x")) == Path("a/~/x")


def test_a_home_folder_that_nobody_knows_is_a_mistake_of_the_users() -> None:
    with pytest.raises(UserError, match=r"^~nosuchuser/x: no home folder is known for ~nosuchuser; write the whole"):
        expanded("~nosuchuser/x")
