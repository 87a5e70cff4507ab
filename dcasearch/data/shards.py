"""Decoded images in NumPy's own files, a few hundred in each, mapped into every process that reads them.

The pages of a mapped file are the operating system's: all processes of a node share one copy of what was read.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcasearch.errors import DataError

_SHARD_BYTES = 32 << 20
_MEND = "copy it again, or let the `dcasearch data prepare` that made it mend it"


def images_per_shard(size: int) -> int:
    """Return how many images of `size` pixels per side one file holds."""
    return max(1, _SHARD_BYTES // (3 * size * size))


@dataclass(eq=False)
class Shards:
    """The files of one part; a process maps each when it first reads from it."""

    folder: Path
    part: str
    size: int
    images: int
    _mapped: dict[int, NDArray[np.uint8]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return -(-self.images // images_per_shard(self.size))

    def __getstate__(self) -> dict[str, Any]:
        # A process maps for itself: pickled, a mapped array would be its contents.
        return {**self.__dict__, "_mapped": {}}

    def path(self, shard: int) -> Path:
        """Return the file of a shard."""
        return self.folder / f"{self.part}-{shard:05}.npy"

    def rows(self, shard: int) -> range:
        """Return which images of the part a shard holds."""
        full = images_per_shard(self.size)
        return range(shard * full, min((shard + 1) * full, self.images))

    def bytes(self, shard: int) -> int:
        """Return the size of a shard's file without its head."""
        return len(self.rows(shard)) * 3 * self.size**2

    def mapped(self, shard: int) -> NDArray[np.uint8]:
        """Return the pixels of a shard, shape (images, size, size, 3), mapped.

        Raises:
            DataError: the file is missing, broken, or of other pixels.
        """
        path = self.path(shard)
        try:
            pixels: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            raise DataError(f"{path} is missing; {_MEND}") from None
        except (OSError, MemoryError):  # of the machine: it says nothing about the file
            raise
        except Exception as error:  # NumPy reads the head with Python's own parser, which raises what it likes
            raise DataError(f"{path} cannot be read: {error}; {_MEND}") from error
        expected = (len(self.rows(shard)), self.size, self.size, 3)
        if pixels.dtype != np.uint8 or pixels.shape != expected:
            raise DataError(f"{path} holds {pixels.dtype} of shape {pixels.shape}, not pixels of {expected}; {_MEND}")
        return pixels

    def read(self, row: int) -> Tensor:
        """Return one image as uint8, shape (3, size, size), its channels last in memory."""
        shard, place = divmod(row, images_per_shard(self.size))
        if shard not in self._mapped:
            self._mapped[shard] = np.asarray(self.mapped(shard))  # the plain array is indexed faster than np.memmap
        return torch.from_numpy(self._mapped[shard][place].copy()).permute(2, 0, 1)


def sha256_of(path: Path) -> str:
    """Return the checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
