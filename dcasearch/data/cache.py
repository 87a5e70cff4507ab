"""Decoded images of small data sets, kept in the artifact store and mapped into each process that trains."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dcasearch.data.sets import Pixels
from dcasearch.errors import StorageError


def cached(folder: Path, decode: Callable[[], Pixels]) -> Pixels:
    """Return the images kept in `folder`; if there are none yet, decode and keep them.

    The folder appears by a rename, complete or not at all; of two processes that decode at once, one wins.

    Raises:
        StorageError: the images cannot be kept.
    """
    if not folder.is_dir():
        pixels = decode()
        try:
            _keep(pixels, folder)
        except OSError as error:
            raise StorageError(f"cannot keep decoded images in {folder}: {error}") from error
    unreadable = json.loads((folder / "unreadable.json").read_text())
    return Pixels(
        np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False),
        {int(index): (path, reason) for index, (path, reason) in unreadable.items()},
    )


def _keep(pixels: Pixels, folder: Path) -> None:
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    unfinished.mkdir(parents=True, exist_ok=True)
    np.save(unfinished / "pixels.npy", pixels.array)
    (unfinished / "unreadable.json").write_text(json.dumps(pixels.unreadable))
    try:
        unfinished.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(unfinished)
