"""Files of the artifact store that appear complete or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from dcasearch.errors import StorageError


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file under a temporary name, make it durable and rename it.

    Raises:
        StorageError: it cannot be written, e.g. the disk is full; what was at `path` before is still there.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(unfinished)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    # torch and safetensors have their own words for a write that failed.
    except (OSError, RuntimeError, SafetensorError) as error:
        unfinished.unlink(missing_ok=True)
        free = shutil.disk_usage(path.parent).free / 2**20
        raise StorageError(f"cannot write {path}: {error}; {free:,.0f} MiB are free there") from error
