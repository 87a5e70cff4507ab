"""Work on the shards of a prepared set, by loader processes: decoding the source files of one, and what came of it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from dcasearch.data.files import leave_group
from dcasearch.data.images import Unreadable, decode, open_image, orientation_of, turned
from dcasearch.data.listing import Listing
from dcasearch.data.reading import Reading
from dcasearch.data.shards import Shards
from dcasearch.data.views import reduction_for
from dcasearch.evaluation import fingerprint

_OVERSAMPLING = 2
"""A JPEG is decoded smaller only down to so many times the size, so that the resize has something to average."""
_PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: which signal a process gets when the one that started it dies."""
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Shard:
    """One shard that is there now."""

    part: str
    number: int
    sha256: str = ""
    unreadable: dict[int, tuple[str, str]] = field(default_factory=dict)
    files: str = ""
    """Fingerprint of its source files' names and sizes; empty in records of older versions."""
    kept: bool = False
    """It was there before, and its checksum is right."""
    problem: str | None = None
    """Why it could not be written, or what is wrong with it."""


@dataclass(frozen=True)
class Step:
    """How far a preparation or a verification is."""

    shard: Shard
    images: int
    """Of this shard."""
    of: int
    """Images of all shards."""


Observer = Callable[[Step], None]


def work(dataset: Dataset[Shard], workers: int) -> Iterator[Shard]:
    """Yield what the dataset makes, in whichever order it gets done."""
    loader = DataLoader(
        dataset,
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_it_is,
        in_order=False,
        worker_init_fn=_begin_worker,
    )
    yield from loader


def _begin_worker(worker: int) -> None:
    """Leave the group of signals, and die with the process that started it: it holds the folder's lock with it."""
    leave_group(worker)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:  # it died before
            os._exit(1)


def _as_it_is(result: _Result) -> _Result:
    return result


def files_of(listing: Listing, shards: Shards, number: int) -> str:
    """Return what identifies the source files of a shard: their names and sizes."""
    rows = shards.rows(number)
    return fingerprint(listing.files[rows.start : rows.stop])


def decoded(
    listing: Listing, shards: Shards, number: int, chosen: Container[int] | None = None
) -> tuple[NDArray[np.uint8], dict[int, tuple[str, str]]]:
    """Return the pixels of a shard's images, or of some of them, and what cannot be read."""
    rows = shards.rows(number)
    pixels = np.zeros((len(rows), shards.size, shards.size, 3), np.uint8)
    unreadable = {}
    for place, row in enumerate(rows):
        if chosen is not None and row not in chosen:
            continue
        path, name = listing.path(row), listing.name(row)
        try:
            pixels[place] = np.asarray(_square(path, shards.size, listing.reading))
        except Unreadable as error:
            # Below the root, so that the index does not depend on where the original lay.
            unreadable[row] = (name, str(error).replace(path, name))
    return pixels, unreadable


def _square(path: str, size: int, reading: Reading) -> Image.Image:
    """Return the centre square of an image, resized."""
    with open_image(path, reading) as opened:
        stored, reduction = opened.size, reduction_for(opened.size, _OVERSAMPLING * size)
        orientation = orientation_of(opened) if reading.upright else 1
        image = decode(opened, reduction, reading)
    width, height = map(float, image.size)
    if reading.exact and image.size != stored:
        width, height = stored[0] / reduction, stored[1] / reduction
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return turned(image.resize((size, size), Image.Resampling.BICUBIC, box), orientation)
