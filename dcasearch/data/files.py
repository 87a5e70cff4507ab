"""Batches from image files or prepared shards: read, cropped and mirrored by loader processes, the rest on the device.

What happens to an image depends on (seed, epoch, index) alone, so the number of processes changes nothing. Floats and
normalisation are done for a whole batch on the training's device; until then pixels are bytes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate
from torchvision.transforms.v2 import functional

from dcasearch.config.recipe import Sampling
from dcasearch.data.batches import WHOLE, Batch, Normalize, Share, count_batches
from dcasearch.data.images import Corrupt, Unreadable, decode, open_image, orientation_of, turned
from dcasearch.data.sampling import Order, copies, order_of
from dcasearch.data.seeds import derived_seed
from dcasearch.data.sets import FilePart, PreparedPart
from dcasearch.data.split import Indices
from dcasearch.data.views import Transform

START_METHOD = "fork" if sys.platform == "linux" else None
"""Of loader processes. Said, since those of a process that was itself spawned would be spawned too: each would import
torch anew, for seconds, in every training."""


@dataclass(frozen=True)
class Broken:
    """Stands for an image that could not be read."""

    path: str
    reason: str


_Item: TypeAlias = tuple[Tensor, int] | Broken
"""Pixels as uint8, and label."""
_Place: TypeAlias = tuple[int, int, int]
"""Epoch, index, and how often the image came before in the epoch: each time it is augmented in another way."""


class _Files(Dataset[_Item]):
    """Reads one image; random transforms see a global generator seeded for it, which is put back afterwards."""

    def __init__(self, part: FilePart | PreparedPart, transform: Transform, seed: int) -> None:
        self._part, self._transform, self._seed = part, transform, seed

    def __getitem__(self, place: _Place) -> _Item:
        epoch, index, copy = place
        # Not torch.manual_seed: that would reseed the accelerator too.
        state = torch.default_generator.get_state()
        torch.default_generator.manual_seed(derived_seed(self._seed, "image", epoch, index, *([copy] if copy else [])))
        try:
            pixels = self._seen(index)
            if self._transform.flip and torch.rand(()).item() < 0.5:
                pixels = functional.horizontal_flip(pixels)
            return pixels, int(self._part.labels[index])
        except Unreadable as error:
            return Broken(self._part.name_of(index), str(error))
        finally:
            torch.default_generator.set_state(state)

    def _seen(self, index: int) -> Tensor:
        if isinstance(self._part, PreparedPart):
            pixels = self._part.pixels(index)
            return self._transform.look(pixels)(pixels)
        reading = self._part.reading
        with open_image(self._part.paths[index], reading) as image:
            orientation = orientation_of(image) if reading.upright else 1
            if orientation != 1:  # a view is of the upright image, and its size is known once it is turned
                upright = turned(decode(image, reading=reading), orientation)
                return self._transform.look(upright)(upright)
            view = self._transform.look(image)
            return view(decode(image, view.reduction, reading))


class _Batches(Sampler[list[_Place]]):
    """The share of the batches of the epoch that is set, from a first one on; shuffled where there is a seed."""

    def __init__(self, order: Order, indices: Indices, batch_size: int, seed: int | None, share: Share) -> None:
        self._order, self._indices, self._batch_size, self._seed = order, indices, batch_size, seed
        self._share = share
        self.epoch = self.first_batch = 0

    def __len__(self) -> int:
        return count_batches(len(self._indices), self._batch_size, training=self._seed is not None)

    def __iter__(self) -> Iterator[list[_Place]]:
        order = self._indices
        if self._seed is not None:
            order = self._order.order(torch.Generator().manual_seed(derived_seed(self._seed, "batches", self.epoch)))
        places = np.stack([order, copies(order)], 1)
        for batch in range(self.first_batch, len(self)):
            chosen = places[batch * self._batch_size : (batch + 1) * self._batch_size]
            yield [(self.epoch, index, copy) for index, copy in chosen[self._share.of(len(chosen))].tolist()]


def leave_group(worker: int) -> None:
    """Let a signal to the group (Ctrl-C, torchrun's SIGTERM) reach the training alone, which then ends its loaders."""
    os.setpgid(0, 0)


@dataclass(frozen=True, eq=False)
class _Collated:
    """A batch as the loader processes hand it over."""

    images: Tensor
    labels: Tensor
    broken: list[Broken]

    def __reduce__(self) -> tuple[Callable[..., _Collated], tuple[Tensor, list[int], list[Broken]]]:
        # Labels travel as numbers: each tensor costs both processes a connection.
        return _collated, (self.images, self.labels.tolist(), self.broken)

    def pin_memory(self) -> _Collated:
        """Return it in memory that a GPU copies from by itself; the loader calls this."""
        return _Collated(self.images.pin_memory(), self.labels.pin_memory(), self.broken)


def _collated(images: Tensor, labels: list[int], broken: list[Broken]) -> _Collated:
    return _Collated(images, torch.tensor(labels, dtype=torch.int64), broken)


@dataclass(frozen=True)
class _Collate:
    """Makes a batch of images, in the memory format that the network reads."""

    channels_last: bool

    def __call__(self, items: list[_Item]) -> _Collated:
        broken = [item for item in items if isinstance(item, Broken)]
        good = [item for item in items if not isinstance(item, Broken)]
        return _collated(self._batch([image for image, _ in good]), [label for _, label in good], broken)

    def _batch(self, images: list[Tensor]) -> Tensor:
        if not images:
            return torch.empty(0, 3, 1, 1)
        # default_collate writes into the memory that goes to the training's process: one copy fewer.
        batch: Tensor = default_collate([image.permute(1, 2, 0) if self.channels_last else image for image in images])
        return batch.permute(0, 3, 1, 2) if self.channels_last else batch


class FileLoader:
    """Batches of a part of image files; unreadable ones are named, counted and left out of their batch.

    With a seed the order is shuffled and the last incomplete batch left out; without, every image comes once.
    """

    def __init__(
        self,
        part: FilePart | PreparedPart,
        indices: Indices,
        transform: Transform,
        *,
        batch_size: int,
        seed: int | None,
        workers: int,
        normalize: Normalize,
        device: torch.device,
        corrupt: Corrupt,
        share: Share = WHOLE,
        channels_last: bool = False,
        sampling: Sampling = "uniform",
    ) -> None:
        self._batches = _Batches(order_of(sampling, indices, part.labels), indices, batch_size, seed, share)
        self._loader = DataLoader(
            _Files(part, transform, seed or 0),
            batch_sampler=self._batches,
            num_workers=workers,
            multiprocessing_context=START_METHOD if workers else None,
            collate_fn=_Collate(channels_last),
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # else the loader would draw from the global one
            worker_init_fn=leave_group,
        )
        self._normalize, self._device, self._corrupt = normalize, device, corrupt

    def __len__(self) -> int:
        return len(self._batches)

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch; the images of those before the first one are not read.

        Raises:
            DataError: more images are unreadable than `data.max_corrupt` allows.
        """
        self._batches.epoch, self._batches.first_batch = epoch, first_batch
        for batch in self._loader:
            for item in batch.broken:
                self._corrupt.add(item.path, item.reason)
            pixels = batch.images.to(self._device, non_blocking=True)
            yield self._normalize(pixels), batch.labels.to(self._device, non_blocking=True)
