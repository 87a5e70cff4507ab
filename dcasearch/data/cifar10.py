"""CIFAR-10 (Krizhevsky, 2009): an image folder, or the original binary batches."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcasearch.data.cache import cached
from dcasearch.data.folders import list_parts
from dcasearch.data.images import Unreadable, read_rgb
from dcasearch.data.listing import Listing
from dcasearch.data.originals import fingerprint_of, labels_of
from dcasearch.data.reading import OLDEST, Reading
from dcasearch.data.sets import DATASETS, DataSet, MemoryPart, Pixels, existing
from dcasearch.errors import DataError

LAYOUT = "train/<class>/<image> and test/<class>/<image>, or data_batch_1.bin … data_batch_5.bin and test_batch.bin"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_SIDE = 32
_RECORD = 1 + 3 * _SIDE * _SIDE
"""Bytes of one image in a binary batch: the label, then red, green and blue rows."""
_MEAN = (0.4914, 0.4822, 0.4465)
_STD = (0.2470, 0.2435, 0.2616)


@DATASETS.register("cifar10")
def open_cifar10(root: Path | None, reading: Reading = OLDEST) -> DataSet:
    """Return CIFAR-10 from whichever layout the folder has.

    Raises:
        DataError: it has neither layout, or a batch is cut off.
    """
    root = existing("cifar10", root, LAYOUT)
    for folder in (root, root / "cifar-10-batches-bin"):
        if (folder / "test_batch.bin").is_file():
            return _open_binary(folder)
    for folder in (root, root / "cifar-10-batches-py"):
        if (folder / "data_batch_1").is_file():
            raise DataError(
                f"{folder} holds the Python version of CIFAR-10, which is pickled and may run code when it is read; "
                f"take the binary version: {LAYOUT}"
            )
    return _open_images(root)


def _open_images(root: Path) -> DataSet:
    listings = list_parts(root, LAYOUT, ("test",))
    identity = fingerprint_of(listings)

    def part(name: str) -> MemoryPart:
        def read(scratch: Path | None) -> Pixels:
            if scratch is None:
                return _decode(listings[name])
            return cached(scratch / "cache" / identity / name, lambda: _decode(listings[name]))

        return MemoryPart(labels_of(listings[name]), read)

    test = part("test")
    classes = listings["train"].classes
    return DataSet(
        fingerprint=identity,
        classes=classes,
        train=part("train"),
        val=test,
        test=test,
        mean=_MEAN,
        std=_STD,
        size=_SIDE,
    )


def _decode(listing: Listing) -> Pixels:
    array = np.zeros((len(listing.files), 3, _SIDE, _SIDE), np.uint8)
    unreadable: dict[int, tuple[str, str]] = {}
    for index, (file, _) in enumerate(listing.files):
        path = str(listing.root / file)
        try:
            array[index] = _read(path)
        except Unreadable as error:
            unreadable[index] = (path, str(error))
    return Pixels(array, unreadable)


def _read(path: str) -> NDArray[np.uint8]:
    image = read_rgb(path)
    if image.size != (_SIDE, _SIDE):
        raise Unreadable(f"{image.width}x{image.height} pixels, not {_SIDE}x{_SIDE}")
    return np.asarray(image).transpose(2, 0, 1)


def _open_binary(folder: Path) -> DataSet:
    batches = sorted(folder.glob("data_batch_*.bin"))
    if not batches:
        raise DataError(f"{folder} has no data_batch_1.bin … data_batch_5.bin; expected {LAYOUT}")
    train, test = _records(batches), _records([folder / "test_batch.bin"])
    content = hashlib.sha256(train.tobytes() + test.tobytes())
    official = _binary_part(test)
    return DataSet(
        fingerprint=content.hexdigest()[:16],
        classes=CLASSES,
        train=_binary_part(train),
        val=official,
        test=official,
        mean=_MEAN,
        std=_STD,
        size=_SIDE,
    )


def _records(files: list[Path]) -> NDArray[np.uint8]:
    """Return the records of some batches, shape (n, 3073)."""
    for file in files:
        size = file.stat().st_size
        if size == 0 or size % _RECORD:
            raise DataError(f"{file} has {size} bytes, no multiple of {_RECORD}: it is cut off or no CIFAR-10 batch")
    records = np.concatenate([np.fromfile(file, np.uint8).reshape(-1, _RECORD) for file in files])
    if records[:, 0].max() >= len(CLASSES):
        raise DataError(f"{files[0].parent} holds the label {records[:, 0].max()}; CIFAR-10 has 0 to 9")
    return records


def _binary_part(records: NDArray[np.uint8]) -> MemoryPart:
    pixels = Pixels(records[:, 1:].reshape(-1, 3, _SIDE, _SIDE), {})
    return MemoryPart(records[:, 0].astype(np.int64), lambda scratch: pixels)
