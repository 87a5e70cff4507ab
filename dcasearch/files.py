"""Files of this machine: each is there whole or not at all, and one process at a time works on what it locks."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from dcasearch.errors import UserError


def state_folder() -> Path | None:
    """Return the user's folder for what programs remember (`XDG_STATE_HOME`); None where there is no home."""
    said = os.environ.get("XDG_STATE_HOME")
    if said:
        return Path(said)
    home = os.path.expanduser("~")
    return Path(home) / ".local" / "state" if os.path.isabs(home) else None


def expanded(path: str | Path) -> Path:
    """Return a path in which a leading `~` or `~user` is that user's home folder.

    Raises:
        UserError: this machine knows no home folder of that user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:  # what pathlib raises; os.path would leave `~user` as the name of a folder
        user = Path(path).parts[0]
        raise UserError(f"{path}: no home folder is known for {user}; write the whole path") from None


def private_folder(folder: Path) -> Path:
    """Make a folder that this user alone may use, or take the one that is there if it is such a one.

    Raises:
        PermissionError: what has this name is no folder, a link, or another user's: who made it could put files there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "is not a folder of this user's own", str(folder))
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def temporary_name(name: str) -> str:
    """Return the name under which this process writes a file or folder before it is whole."""
    # Nodes that share a folder may have processes of equal number.
    return f"{name}.{socket.gethostname()}-{os.getpid()}.tmp"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path to write a file or folder to; at the end of the block it is made durable and gets its name.

    An error in the block leaves what was there before. What a kill leaves beside it, `artifacts.remove_leftovers`
    deletes.

    Args:
        path: of the file; its folder is made. A folder must not be there yet.

    Raises:
        OSError: it cannot be written, or is a device.
    """
    refuse_special(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(temporary_name(path.name))
    try:
        yield unfinished
        for written in (unfinished, *unfinished.rglob("*")):
            _make_durable(written)
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            remove(unfinished)
        raise


def refuse_special(path: Path) -> None:
    """Raise OSError where a device or a pipe has this name: a file would take its place, for everyone.

    Also where there is no name, e.g. for an empty path, which means the current folder.
    """
    if not path.name:
        raise IsADirectoryError(errno.EISDIR, "names no file", str(path))
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "is a device or a pipe, not a file", str(path))


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file that is there whole or not at all, also after a power cut."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def remove(path: Path) -> None:
    """Delete a file or a folder; safe to repeat."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold a lock on a file, which is made. A process that dies gives the lock back.

    Args:
        path: of the file. Nothing is written to it, and it stays.
        wait: whether to wait for another process that holds the lock.

    Raises:
        BlockingIOError: another process holds it, and `wait` is False.
    """
    lock = FileLock(path, blocking=wait)
    try:
        lock.acquire()
    except Timeout:
        raise BlockingIOError(f"another process holds {path}") from None
    try:
        yield
    finally:
        lock.release()


def _make_durable(path: Path) -> None:
    if path.is_file():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def read_regular(path: Path, limit: int) -> bytes:
    """Return the content of a regular file that somebody else may have made: never waits, never reads beyond a limit.

    Args:
        path: of the file; a link to a file is followed.
        limit: most bytes.

    Raises:
        OSError: it cannot be read, is no regular file (a folder, a pipe, a device), or is larger; `strerror` says why.
    """
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "no path has the character NUL")
    # A pipe without a writer would wait at its opening, a terminal would become this process's own.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, f"is {_kind(status.st_mode)}, not a file")
        if status.st_size > limit:
            raise OSError(errno.EFBIG, f"has {status.st_size:,} bytes, more than the {limit:,} that are read")
        with os.fdopen(descriptor, "rb", closefd=False) as opened:
            content = opened.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(content) > limit:  # it grew, or is one of those of the system that have no size
        raise OSError(errno.EFBIG, f"has more than the {limit:,} bytes that are read")
    return content


def _kind(mode: int) -> str:
    kinds = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    return next((word for matches, word in kinds.items() if matches(mode)), "a device")
