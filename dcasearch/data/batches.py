"""What a training loop needs of its data: batches of images and labels, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

Batch: TypeAlias = tuple[Any, Any]
"""Inputs and targets, both on the device; empty where none of the images can be read. Of images with one label:
normalised floats, shape (batch, 3, R, R), and int64 labels, shape (batch,). Of images with boxes: a `DetectionBatch`
(`dcasearch.data.detection`)."""


@dataclass(frozen=True)
class Share:
    """Which part of every batch a loader yields: the `rank`-th of `world` contiguous ones."""

    rank: int = 0
    world: int = 1

    def of(self, images: int) -> slice:
        """Return which of so many images; the shares' sizes differ by at most one image."""
        return slice(images * self.rank // self.world, images * (self.rank + 1) // self.world)


WHOLE = Share()


class Loader(Protocol):
    """Batches whose order and content depend on the loader's seed and the epoch alone."""

    def __len__(self) -> int:
        """Return the batches of an epoch."""

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch; evaluation loaders yield every image once, in order.

        Args:
            epoch: from 1.
            first_batch: from 0; the batches before it are passed over, at no cost but their random numbers.
        """


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the CPU on a device; to a GPU it is copied out of pinned memory, so that nobody waits."""
    return (values.pin_memory() if device.type == "cuda" else values).to(device, non_blocking=True)


class Normalize:
    """Pixels 0..255 to zero mean and unit variance per channel."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> None:
        self._mean = torch.tensor(mean, device=device).mul(255).view(1, -1, 1, 1)
        self._scale = torch.tensor(std, device=device).mul(255).reciprocal().view(1, -1, 1, 1)

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """Return floats of the same shape and memory format."""
        mean, scale = self._mean, self._scale
        if images_BCHW.is_contiguous(memory_format=torch.channels_last):
            mean, scale = (_of_a_row(value, images_BCHW.shape[-1]) for value in (mean, scale))
        if images_BCHW.dtype == torch.uint8:  # made floats first, since arithmetic of mixed types is twice as slow
            return images_BCHW.float().sub_(mean).mul_(scale)
        return (images_BCHW - mean).mul_(scale)


def _of_a_row(value_1C11: Tensor, width: int) -> Tensor:
    """Repeat a value per channel for a row of pixels: a CPU's inner loop is over the row then, not over channels."""
    return value_1C11.expand(-1, -1, -1, width).contiguous(memory_format=torch.channels_last)


def count_batches(images: int, batch_size: int, *, training: bool) -> int:
    """Return the batches of an epoch: in evaluation as many as all images need, in training the full ones.

    In training an incomplete last batch is left out, since BatchNorm needs more than a few images (the next epoch's
    order brings its images in); a part smaller than one batch is one batch.
    """
    return max(1, images // batch_size) if training else -(-images // batch_size)
