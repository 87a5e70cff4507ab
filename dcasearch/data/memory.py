"""Batches from images held in memory, augmented as a batch on the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dcasearch.config.data_set import Interpolation
from dcasearch.config.recipe import Augmentation, Sampling
from dcasearch.data.augment import augment, draw, resize
from dcasearch.data.batches import WHOLE, Batch, Normalize, Share, count_batches, to_device
from dcasearch.data.sampling import order_of
from dcasearch.data.seeds import derived_seed
from dcasearch.data.sets import Pixels
from dcasearch.data.split import Indices


@dataclass(frozen=True, eq=False)
class Images:
    """Some images of a part, with what turns them into batches."""

    pixels: Pixels
    labels: Indices
    """Of the whole part."""
    indices: Indices
    """Those to be used; unreadable ones are passed over."""
    normalize: Normalize
    device: torch.device
    interpolation: Interpolation = "bilinear"

    def readable(self) -> Indices:
        """Return the indices without the unreadable ones, sorted."""
        return np.sort(self.readable_in_order())

    def readable_in_order(self) -> Indices:
        """Return the indices without the unreadable ones, in the order in which they were given."""
        return self.indices[~np.isin(self.indices, np.fromiter(self.pixels.unreadable, np.int64))]

    def take(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Return float pixels 0..255 and labels on the device."""
        images = to_device(torch.from_numpy(self.pixels.array[indices]), self.device)
        labels = to_device(torch.from_numpy(self.labels[indices]), self.device)
        return images.float(), labels


class MemoryTraining:
    """Shuffled, augmented batches of equal size."""

    def __init__(
        self,
        images: Images,
        *,
        resolution: int,
        batch_size: int,
        augmentation: Augmentation,
        seed: int,
        share: Share = WHOLE,
        sampling: Sampling = "uniform",
    ) -> None:
        self._images, self._order = images, order_of(sampling, images.readable(), images.labels)
        self._resolution, self._augmentation, self._seed = resolution, augmentation, seed
        self._batch_size, self._share = batch_size, share

    def __len__(self) -> int:
        return count_batches(len(self._order), self._batch_size, training=True)

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        generator = torch.Generator().manual_seed(derived_seed(self._seed, "batches", epoch))
        order = self._order.order(generator)
        for batch in range(len(self)):
            chosen = order[batch * self._batch_size : (batch + 1) * self._batch_size]
            drawn = draw(len(chosen), self._resolution, self._augmentation, generator)
            if batch < first_batch:
                continue
            mine = self._share.of(len(chosen))
            pixels, labels = self._images.take(chosen[mine])
            seen = augment(pixels, self._resolution, drawn.part(mine), self._images.interpolation)
            yield self._images.normalize(seen), labels


class MemoryEvaluation:
    """Every image once, in the order in which they are given, resized."""

    def __init__(self, images: Images, *, resolution: int, batch_size: int, share: Share = WHOLE) -> None:
        self._images, self.indices = images, images.readable_in_order()
        self._resolution, self._batch_size, self._share = resolution, batch_size, share

    @property
    def unreadable(self) -> Mapping[str, str]:
        """The images that cannot be read: name and why."""
        wanted, unreadable = set(self._images.indices.tolist()), self._images.pixels.unreadable
        return dict(named for index, named in unreadable.items() if index in wanted)

    def __len__(self) -> int:
        return count_batches(len(self.indices), self._batch_size, training=False)

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Batch]:
        """Yield every image; all epochs are alike."""
        for batch in range(first_batch, len(self)):
            chosen = self.indices[batch * self._batch_size : (batch + 1) * self._batch_size]
            pixels, labels = self._images.take(chosen[self._share.of(len(chosen))])
            yield self._images.normalize(resize(pixels, self._resolution, self._images.interpolation)), labels
