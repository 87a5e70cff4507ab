"""The artifact store: checkpoints, trained weights. A folder, local or on NFS, or any URL that fsspec knows.

What is written appears complete or not at all: locally by a rename; elsewhere a finished local file is copied under a
temporary name and moved. Elsewhere needs fsspec's package for it, e.g. s3fs for s3://bucket/folder.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import psutil
from safetensors import SafetensorError
from upath import UPath

from dcasearch.errors import StorageError, UserError
from dcasearch.files import remove, replacing, temporary_name
from dcasearch.masking import masked, masked_url

Place: TypeAlias = Path | UPath
"""A file or folder of the store."""


def open_artifacts(location: str | Place) -> Place:
    """Return the store at a folder or URL; a relative folder becomes an absolute one.

    Raises:
        UserError: the URL's kind is unknown, or its package is not installed.
    """
    try:
        place = UPath(location)
        place.fs  # noqa: B018  # opened here, so that what is missing is said at once
    except (ImportError, ValueError) as error:
        raise UserError(masked(f"artifacts: cannot open {location}: {error}")) from None
    # A folder that is written as a URL is a folder all the same.
    return UPath(place.path).absolute() if place.protocol in ("file", "local") else place.absolute()


def shown(location: str | Place) -> str:
    """Return a folder or URL for people to read: without the credentials in it."""
    return masked_url(str(location))


def is_local(place: Place) -> bool:
    """Return whether it is a path of this machine's file system (which may be a mounted, shared one)."""
    return isinstance(place, Path)


def remove_leftovers(folder: Place, pattern: str = "*.tmp") -> None:
    """Delete the unfinished files and folders of this machine's dead processes.

    Those of living processes and of other machines stay.

    Args:
        folder: where they lie; it may be missing.
        pattern: which of its files to look at.
    """
    for place in leftovers(folder, pattern):
        remove(place) if isinstance(place, Path) else place.unlink(missing_ok=True)


def leftovers(folder: Place, pattern: str = "*.tmp") -> list[Place]:
    """Return what `remove_leftovers` deletes, sorted by name."""
    if not folder.is_dir():
        return []
    return sorted((place for place in folder.glob(pattern) if _is_left(place)), key=lambda place: place.name)


def _is_left(place: Place) -> bool:
    """Return whether the process that wrote an unfinished file is dead: its name ends in `.[host-]pid.tmp`."""
    host, _, pid = place.name.removesuffix(".tmp").rpartition("-")
    if not pid.isdigit() or not host.endswith(f".{socket.gethostname()}"):
        pid = place.suffixes[-2].removeprefix(".") if len(place.suffixes) > 1 else ""
    if not pid.isdigit():
        return False
    try:
        began, written = psutil.Process(int(pid)).create_time(), place.stat().st_mtime
        # Then it is another process of the same number. An object store may not know the time: 0.
        return 0 < written < began - 2
    except psutil.NoSuchProcess:
        return True
    except FileNotFoundError:
        return False


def write_atomically(place: Place, write: Callable[[Path], None]) -> None:
    """Write a file under a temporary name, make it durable and give it its name.

    Args:
        place: of the file; missing folders are made.
        write: is given the local path to write to.

    Raises:
        StorageError: it cannot be written, e.g. the disk is full or read-only; what was there before still is.
    """
    try:
        if isinstance(place, Path):
            with replacing(place) as unfinished:
                write(unfinished)
        else:
            _put(place, write)
    # torch and safetensors have their own words for a write that failed.
    except (OSError, RuntimeError, SafetensorError) as error:
        free = free_bytes(place)
        room = "" if free is None else f"; {free / 2**20:,.0f} MiB are free there"
        raise StorageError(
            f"cannot write {shown(place)}: {masked(str(error))}{room}. Make room or make it writable, then run the "
            "same command: it goes on from what was written before"
        ) from error


def _put(place: UPath, write: Callable[[Path], None]) -> None:
    """Write a file to this machine, copy it under a temporary name and move it there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_name(temporary_name(place.name))
    with tempfile.TemporaryDirectory(prefix="dcasearch-") as folder:
        local = Path(folder) / "file"
        write(local)
        try:
            place.fs.put_file(str(local), unfinished.path)
            move(unfinished, place.name)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise


def read_bytes(place: Place) -> bytes | None:
    """Return a file's content, or None if there is no such file.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        return place.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read {shown(place)}: {masked(str(error))}") from error


@contextmanager
def local_copy(place: Place) -> Iterator[Path]:
    """Give a local path to read a file by: its own, or a copy's for the length of the block."""
    if isinstance(place, Path):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="dcasearch-") as folder:
        local = Path(folder) / place.name
        place.fs.get_file(place.path, str(local))
        yield local


def move(place: Place, name: str) -> None:
    """Give a file another name in its folder; what bears it is replaced."""
    if isinstance(place, Path):
        place.replace(place.with_name(name))
    else:
        place.fs.mv(place.path, place.with_name(name).path)


def delete(place: Place) -> None:
    """Delete a file and what unfinished writes of it have left; safe to repeat."""
    place.unlink(missing_ok=True)
    for left in place.parent.glob(f"{place.name}.*.tmp"):
        left.unlink(missing_ok=True)


def size_of(place: Place) -> int:
    """Return a file's bytes, 0 if there is none."""
    try:
        return place.stat().st_size
    except FileNotFoundError:
        return 0


def free_bytes(place: Place) -> int | None:
    """Return what is free where a file lies or would lie, None where that has no meaning, as in an object store."""
    if not isinstance(place, Path):
        return None
    existing = next(folder for folder in (place, *place.absolute().parents) if folder.is_dir())
    return shutil.disk_usage(existing).free
