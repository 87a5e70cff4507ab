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

_SHARD_BYTES = 32 << 20


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

    def read(self, row: int) -> Tensor:
        """Return one image as uint8, shape (3, size, size), its channels last in memory."""
        shard, place = divmod(row, images_per_shard(self.size))
        if shard not in self._mapped:
            mapped = np.load(self.path(shard), mmap_mode="r", allow_pickle=False)
            self._mapped[shard] = np.asarray(mapped)  # the plain array is indexed faster than np.memmap
        return torch.from_numpy(self._mapped[shard][place].copy()).permute(2, 0, 1)


def sha256_of(path: Path) -> str:
    """Return the checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
