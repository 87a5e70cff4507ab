"""Batches from image files, read, cropped and flipped by loader processes.

What happens to an image depends on (seed, epoch, index) alone, so the number of processes changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch
from PIL.Image import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms import v2

from dcasearch.config.recipe import Augmentation
from dcasearch.data.augment import PAD_SHARE
from dcasearch.data.images import Corrupt, Unreadable, read_rgb
from dcasearch.data.loading import WHOLE, Batch, Normalize, Share, full_batches
from dcasearch.data.seeds import derived_seed
from dcasearch.data.sets import FilePart
from dcasearch.data.split import Indices

Transform: TypeAlias = Callable[[Image], Tensor]
RESIZE_RATIO = 256 / 224
"""Shorter side before the centre crop, over the resolution, as the paper evaluates."""


@dataclass(frozen=True)
class _Broken:
    """Stands for an image that could not be read."""

    path: str
    reason: str


_Item: TypeAlias = tuple[Tensor, int] | _Broken
_Place: TypeAlias = tuple[int, int]
"""Epoch and index."""


def evaluation_transform(resolution: int) -> Transform:
    """Return: shorter side to 256/224 of the resolution, centre crop, uint8."""
    return _compose([v2.Resize(round(RESIZE_RATIO * resolution), antialias=True), v2.CenterCrop(resolution)])


def training_transform(resolution: int, augmentation: Augmentation) -> Transform:
    """Return the recipe's crop and flip, which read torch's global generator; uint8."""
    if augmentation.crop == "random_resized":
        steps: list[torch.nn.Module] = [
            v2.RandomResizedCrop(resolution, augmentation.area, augmentation.aspect, antialias=True)
        ]
    else:
        steps = [v2.Resize(resolution, antialias=True), v2.CenterCrop(resolution)]
        if augmentation.crop == "pad":
            steps.append(v2.RandomCrop(resolution, padding=resolution // PAD_SHARE))
    if augmentation.flip:
        steps.append(v2.RandomHorizontalFlip())
    return _compose(steps)


def _compose(steps: list[torch.nn.Module]) -> Transform:
    composed: Transform = v2.Compose([*steps, v2.PILToTensor()])
    return composed


class _Files(Dataset[_Item]):
    """Reads one image; random transforms see a global generator seeded for it, which is put back afterwards."""

    def __init__(self, part: FilePart, transform: Transform, seed: int) -> None:
        self._paths, self._labels = part.paths, part.labels
        self._transform, self._seed = transform, seed

    def __getitem__(self, place: _Place) -> _Item:
        epoch, index = place
        try:
            image = read_rgb(self._paths[index])
        except Unreadable as error:
            return _Broken(self._paths[index], str(error))
        # Not torch.manual_seed: that would reseed the accelerator too.
        state = torch.default_generator.get_state()
        torch.default_generator.manual_seed(derived_seed(self._seed, "image", epoch, index))
        try:
            return self._transform(image), int(self._labels[index])
        finally:
            torch.default_generator.set_state(state)


class _Batches(Sampler[list[_Place]]):
    """The share of the batches of the epoch that is set, from a first one on; shuffled where there is a seed."""

    def __init__(self, indices: Indices, batch_size: int, seed: int | None, share: Share) -> None:
        self._indices, self._batch_size, self._seed = torch.from_numpy(indices), batch_size, seed
        self._share = share
        self.epoch = self.first_batch = 0

    def __len__(self) -> int:
        if self._seed is None:
            return -(-len(self._indices) // self._batch_size)
        return full_batches(len(self._indices), self._batch_size)

    def __iter__(self) -> Iterator[list[_Place]]:
        order = self._indices
        if self._seed is not None:
            generator = torch.Generator().manual_seed(derived_seed(self._seed, "batches", self.epoch))
            order = order[torch.randperm(len(order), generator=generator)]
        for chosen in torch.split(order, self._batch_size)[self.first_batch : len(self)]:
            yield [(self.epoch, index) for index in chosen[self._share.of(len(chosen))].tolist()]


def _leave_group(worker: int) -> None:
    """Let a signal to the group (Ctrl-C, torchrun's SIGTERM) reach the training alone, which then ends its loaders."""
    os.setpgid(0, 0)


def _collate(items: list[_Item]) -> tuple[Tensor, Tensor, list[_Broken]]:
    broken = [item for item in items if isinstance(item, _Broken)]
    images = [item for item in items if not isinstance(item, _Broken)]
    if not images:
        return torch.empty(0, 3, 1, 1), torch.empty(0, dtype=torch.int64), broken
    return torch.stack([image for image, _ in images]), torch.tensor([label for _, label in images]), broken


class FileLoader:
    """Batches of a part of image files; unreadable ones are named, counted and left out of their batch.

    With a seed the order is shuffled and the last incomplete batch left out; without, every image comes once.
    """

    def __init__(
        self,
        part: FilePart,
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
    ) -> None:
        self._batches = _Batches(indices, batch_size, seed, share)
        self._loader = DataLoader(
            _Files(part, transform, seed or 0),
            batch_sampler=self._batches,
            num_workers=workers,
            collate_fn=_collate,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # else the loader would draw from the global one
            worker_init_fn=_leave_group,
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
        for images, labels, broken in self._loader:
            for item in broken:
                self._corrupt.add(item.path, item.reason)
            pixels = images.to(self._device, non_blocking=True)
            yield self._normalize(pixels), labels.to(self._device, non_blocking=True)
