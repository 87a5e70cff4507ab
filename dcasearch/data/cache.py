"""Decoded images of small data sets, kept by each node and mapped into each process that trains there."""

from __future__ import annotations

import glob
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dcasearch.artifacts import remove_leftovers
from dcasearch.data.scratch import alone
from dcasearch.data.sets import Pixels
from dcasearch.errors import StorageError
from dcasearch.files import replacing


def cached(folder: Path, decode: Callable[[], Pixels]) -> Pixels:
    """Return the images kept in `folder`; if there are none yet, decode and keep them.

    The folder appears by a rename, complete or not at all; one process decodes while others wait.

    Raises:
        StorageError: the images cannot be kept.
    """
    try:
        if not folder.is_dir():
            with alone(folder):
                if not folder.is_dir():
                    _keep(decode(), folder)
    except OSError as error:
        raise StorageError(
            f"cannot keep decoded images in {folder}: {error}; set data.scratch to a folder of this machine"
        ) from error
    unreadable = json.loads((folder / "unreadable.json").read_text())
    return Pixels(
        np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False),
        {int(index): (path, reason) for index, (path, reason) in unreadable.items()},
    )


def _keep(pixels: Pixels, folder: Path) -> None:
    remove_leftovers(folder.parent, f"{glob.escape(folder.name)}.*.tmp")
    with replacing(folder) as unfinished:
        unfinished.mkdir()
        np.save(unfinished / "pixels.npy", pixels.array)
        (unfinished / "unreadable.json").write_text(json.dumps(pixels.unreadable))
