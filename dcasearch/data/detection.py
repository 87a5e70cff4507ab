"""Batches of whole images and their boxes, as torchvision's detectors take them.

An image is resized and at random mirrored, its boxes with it; nothing is cropped. Pixels are not normalised: the
detectors do that. Order and flips of an epoch are drawn at once from (seed, epoch), and nothing else is random, so an
epoch that begins at a later batch is the rest of the whole epoch. Loader processes read, resize and mirror the pixels;
boxes are made where the training runs.

H and W are an image's height and width in the batch; k is the number of its boxes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms.v2 import functional

from dcasearch.config.detector import longest_side
from dcasearch.data.batches import WHOLE, Share, count_batches
from dcasearch.data.boxes import Pictures
from dcasearch.data.files import START_METHOD, Broken, leave_group
from dcasearch.data.images import Corrupt, Unreadable
from dcasearch.data.seeds import derived_seed
from dcasearch.data.split import Indices
from dcasearch.errors import UserError

Target: TypeAlias = dict[str, Tensor]
"""What an image shows: `image_id` (), `boxes` float32 (k, 4) as x1, y1, x2, y2 in pixels of the batch's image, and
`labels` int64 (k,) from 1, since 0 is torchvision's background.

For evaluation also `area` float32 (k,) in pixels of the original image, `iscrowd` bool (k,), `original_size` int64 (2,)
as width and height, and `scale` float32 (2,), the original pixels per pixel of the batch, across and down: a box times
`scale` is a box of the original image. Only then crowds are among the boxes."""
DetectionBatch: TypeAlias = tuple[list[Tensor], list[Target]]
"""Images as floats in 0..1, each of shape (3, H, W), and their targets, both on the device. Both lists are empty where
none of the images can be read."""


def resized(size: tuple[int, int], resolution: int, longest: int) -> tuple[int, int]:
    """Return width and height of an image after the resize.

    Args:
        size: width and height before.
        resolution: of the shorter side, unless the longer one would exceed its limit.
        longest: that limit.
    """
    scale = min(resolution / min(size), longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


class _Place(NamedTuple):
    """One image of an epoch."""

    image: int
    """Its index in the part."""
    mirrored: bool


class _Seen(NamedTuple):
    """One image as a loader process hands it over: without targets, since each tensor costs a connection."""

    place: _Place
    pixels: Tensor
    """Uint8, shape (3, H, W)."""


_Item: TypeAlias = _Seen | Broken


class _Read(Dataset[_Item]):
    """Reads one image, resizes it and mirrors it."""

    def __init__(self, pictures: Pictures, resolution: int, longest: int) -> None:
        self._pictures, self._resolution, self._longest = pictures, resolution, longest

    def __getitem__(self, place: _Place) -> _Item:
        try:
            return _Seen(place, self._pixels(self._pictures.read(place.image), place.mirrored))
        except Unreadable as error:
            return Broken(self._pictures.name_of(place.image), str(error))

    def _pixels(self, image: Image.Image, mirrored: bool) -> Tensor:
        size = resized(image.size, self._resolution, self._longest)
        if size != image.size:
            image = image.resize(size, Image.Resampling.BILINEAR)
        if mirrored:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return functional.pil_to_tensor(image)


class _Batches(Sampler[list[_Place]]):
    """The share of the batches of the epoch that is set, from a first one on; shuffled where there is a seed."""

    def __init__(self, indices: Indices, batch_size: int, seed: int | None, share: Share, flip: bool) -> None:
        self._indices, self._batch_size, self._seed = indices, batch_size, seed
        self._share, self._flip = share, flip
        self.epoch = self.first_batch = 0

    def __len__(self) -> int:
        return count_batches(len(self._indices), self._batch_size, training=self._seed is not None)

    def __iter__(self) -> Iterator[list[_Place]]:
        places = self._places()
        for batch in range(self.first_batch, len(self)):
            chosen = places[batch * self._batch_size : (batch + 1) * self._batch_size]
            yield chosen[self._share.of(len(chosen))]

    def _places(self) -> list[_Place]:
        if self._seed is None:
            return [_Place(index, False) for index in self._indices.tolist()]
        generator = torch.Generator().manual_seed(derived_seed(self._seed, "batches", self.epoch))
        order = self._indices[torch.randperm(len(self._indices), generator=generator).numpy()]
        mirrored = (torch.rand(len(order), generator=generator) < 0.5) & self._flip
        return [_Place(index, flip) for index, flip in zip(order.tolist(), mirrored.tolist(), strict=True)]


def _as_it_is(items: list[_Item]) -> list[_Item]:
    """Return a batch of images, which differ in size and cannot be one tensor."""
    return items


class DetectionLoader:
    """Batches of one part; unreadable images are named, counted and left out of their batch.

    With a seed it is for training: shuffled, mirrored, without crowds and without the last incomplete batch. Without
    a seed it is for evaluation: every image comes once, in the order given, with what COCO's numbers need.
    """

    def __init__(
        self,
        pictures: Pictures,
        indices: Indices,
        *,
        resolution: int,
        batch_size: int,
        seed: int | None,
        device: torch.device,
        corrupt: Corrupt,
        longest: int | None = None,
        flip: bool = True,
        workers: int = 0,
        share: Share = WHOLE,
    ) -> None:
        """Take the images of a part.

        Args:
            pictures: of a part.
            indices: which of them, shape (n,).
            resolution: pixels of the shorter side.
            batch_size: images of a batch, of all ranks together.
            seed: of order and flips; None for evaluation.
            device: where the batches are wanted.
            corrupt: counts the unreadable images.
            longest: limit of the longer side; default: `longest_side`.
            flip: whether each image of a training is mirrored with probability one half.
            workers: loader processes; with 0 the images are read in this one.
            share: which part of every batch.

        Raises:
            UserError: there are more ranks than images to share.
        """
        if share.world > min(batch_size, len(indices)):
            raise UserError(f"{share.world} ranks cannot share {min(batch_size, len(indices))} images of a batch")
        self._pictures, self._device, self._corrupt = pictures, device, corrupt
        self._is_training = seed is not None
        self._batches = _Batches(indices, batch_size, seed, share, flip)
        self._loader = DataLoader(
            _Read(pictures, resolution, longest_side(resolution) if longest is None else longest),
            batch_sampler=self._batches,
            num_workers=workers,
            multiprocessing_context=START_METHOD if workers else None,
            collate_fn=_as_it_is,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # else the loader would draw from the global one
            worker_init_fn=leave_group,
        )

    @property
    def unreadable(self) -> Mapping[str, str]:
        """The images that could not be read so far: name and why."""
        return self._corrupt.reasons

    def __len__(self) -> int:
        """Return the batches of an epoch."""
        return len(self._batches)

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[DetectionBatch]:
        """Yield the batches of one epoch.

        Args:
            epoch: from 1.
            first_batch: from 0; the images of the batches before it are not read.

        Raises:
            DataError: more images are unreadable than `corrupt` allows.
        """
        self._batches.epoch, self._batches.first_batch = epoch, first_batch
        for items in self._loader:
            images: list[Tensor] = []
            targets: list[Target] = []
            for item in items:
                if isinstance(item, Broken):
                    self._corrupt.add(item.path, item.reason)
                    continue
                images.append(item.pixels.to(self._device, non_blocking=True).float().div_(255))
                targets.append(self._target(item))
            yield images, targets

    def _target(self, seen: _Seen) -> Target:
        """Return what an image shows, on the device."""
        index, mirrored = seen.place
        objects = self._pictures.objects_of(index)
        original = self._pictures.sizes[index]
        height, width = seen.pixels.shape[1:]
        boxes = moved(objects.boxes, original, (width, height), mirrored=mirrored)
        target = {
            "boxes": torch.from_numpy(boxes),
            "labels": torch.from_numpy(objects.labels + 1),
            "image_id": torch.tensor(int(self._pictures.ids[index])),
        }
        if self._is_training:
            kept = torch.from_numpy(~objects.crowd) & (target["boxes"][:, 2:] > target["boxes"][:, :2]).all(dim=1)
            target["boxes"], target["labels"] = target["boxes"][kept], target["labels"][kept]
        else:
            target["area"] = torch.from_numpy(objects.areas.astype(np.float32))
            target["iscrowd"] = torch.tensor(objects.crowd)
            target["original_size"] = torch.tensor(original)
            target["scale"] = torch.tensor([original[0] / width, original[1] / height], dtype=torch.float32)
        return {name: value.to(self._device) for name, value in target.items()}


def moved(
    boxes: NDArray[np.float32], before: NDArray[np.int64], after: tuple[int, int], *, mirrored: bool
) -> NDArray[np.float32]:
    """Return boxes after their image was resized and perhaps mirrored.

    Args:
        boxes: x1, y1, x2, y2 in pixels, shape (k, 4).
        before: width and height of the image before, shape (2,).
        after: width and height of the resized image.
        mirrored: whether left and right change places.

    Returns:
        Shape (k, 4). A box that is much thinner than a pixel may be without area, by rounding.
    """
    scaled = boxes.astype(np.float64) * np.tile(np.array(after) / before, 2)
    if mirrored:
        scaled[:, [0, 2]] = after[0] - scaled[:, [2, 0]]
    return scaled.astype(np.float32)
