"""What of an image a network gets to see, decided before the image is decoded.

A view knows by which factor a JPEG may be decoded smaller and still hold at least the pixels that are asked for:
a fraction of the work, since libjpeg leaves out the frequencies that the resize would average away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from dcasearch.config.data_set import USUAL_CROP, Interpolation
from dcasearch.config.recipe import Augmentation
from dcasearch.data.augment import PAD_SHARE, resize
from dcasearch.data.preprocessing import resized_side

Picture: TypeAlias = Image.Image | Tensor
"""A Pillow image, or its pixels as uint8, shape (3, height, width)."""
_MARGIN = 2
"""Of the pixels that a measured number is to see, before they are resized: what libjpeg leaves out and what the resize
averages away differ a little, and this far above the result not visibly."""
_PILLOWS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_TORCHVISIONS = {"bilinear": v2.InterpolationMode.BILINEAR, "bicubic": v2.InterpolationMode.BICUBIC}
_REDUCTIONS = (8, 4, 2)
"""Factors by which libjpeg decodes smaller at full speed."""


class View(Protocol):
    """What is seen of one image."""

    @property
    def reduction(self) -> int:
        """By which factor the image may be decoded smaller: 1, 2, 4 or 8."""

    def __call__(self, picture: Picture) -> Tensor:
        """Return it, from the decoded image, reduced or not: uint8, shape (3, R, R)."""


@dataclass(frozen=True)
class Transform:
    """How views of images are made, and whether batches of them are mirrored at random.

    Goes to loader processes, which are spawned where a system cannot fork: pickled.
    """

    look: Callable[[Picture], View]
    """Takes an image that need not be decoded yet; a random view reads torch's global generator."""
    flip: bool = False


def evaluation_transform(
    resolution: int, *, exact: bool = False, interpolation: Interpolation = "bilinear", crop: float = USUAL_CROP
) -> Transform:
    """Return: shorter side to 256/224 of the resolution, or what `crop` says, then centre crop.

    Args:
        resolution: pixels per side of the result.
        exact: see `Reading.exact`.
        interpolation: of the resize.
        crop: the resolution, as a share of the resized shorter side.
    """
    side = resized_side(resolution, crop)
    steps: list[torch.nn.Module] = [v2.CenterCrop(resolution)]
    return _whole(_MARGIN * side, side, steps, flip=False, exact=exact, interpolation=interpolation)


def training_transform(
    resolution: int, augmentation: Augmentation, *, exact: bool = False, interpolation: Interpolation = "bilinear"
) -> Transform:
    """Return the recipe's crop and flip; `exact` and `interpolation` as in `evaluation_transform`."""
    if augmentation.crop == "random_resized":
        crop = v2.RandomResizedCrop(resolution, augmentation.area, augmentation.aspect, antialias=True)
        return Transform(partial(_window, crop, resolution, interpolation), augmentation.flip)
    steps: list[torch.nn.Module] = [v2.CenterCrop(resolution)]
    if augmentation.crop == "pad":
        steps.append(v2.RandomCrop(resolution, padding=resolution // PAD_SHARE))
    return _whole(resolution, resolution, steps, flip=augmentation.flip, exact=exact, interpolation=interpolation)


def reduction_for(has: tuple[int, int], wants: int) -> int:
    """Return the largest factor by which width and height may shrink without falling below what is wanted."""
    return next((factor for factor in _REDUCTIONS if min(has) >= factor * wants), 1)


@dataclass(frozen=True)
class _Whole:
    """All of the image, its shorter side resized."""

    reduction: int
    stored: tuple[int, int]
    """Width and height of the image as it is stored."""
    side: int
    """Pixels of the shorter side after the resize."""
    steps: Callable[[Picture], Tensor]
    """After the resize."""
    exact: bool
    interpolation: Interpolation

    def __call__(self, picture: Picture) -> Tensor:
        if self.exact and self.reduction > 1 and isinstance(picture, Image.Image) and picture.size != self.stored:
            # The last column of the smaller image may cover less than a whole pixel of it.
            box = (0.0, 0.0, self.stored[0] / self.reduction, self.stored[1] / self.reduction)
            return self.steps(picture.resize(self._resized(), _PILLOWS[self.interpolation], box))
        mode = _TORCHVISIONS[self.interpolation]
        resized: Picture = functional.resize(picture, [self.side], mode, antialias=True)  # type: ignore[arg-type]  # a Pillow image too
        return self.steps(resized)

    def _resized(self) -> tuple[int, int]:
        """Return width and height after the resize, as torchvision computes them."""
        width, height = self.stored
        long = int(self.side * max(self.stored) / min(self.stored))
        return (self.side, long) if width <= height else (long, self.side)


def _whole(
    wanted: int, side: int, steps: list[torch.nn.Module], *, flip: bool, exact: bool, interpolation: Interpolation
) -> Transform:
    composed = v2.Compose([*steps, v2.PILToTensor()])
    return Transform(partial(_look_at_whole, composed, wanted, side, exact, interpolation), flip)


def _look_at_whole(
    steps: Callable[[Picture], Tensor],
    wanted: int,
    side: int,
    exact: bool,
    interpolation: Interpolation,
    picture: Picture,
) -> _Whole:
    stored = _size(picture)
    return _Whole(reduction_for(stored, wanted), stored, side, steps, exact, interpolation)


@dataclass(frozen=True)
class _Window:
    """A part of the image, resized."""

    top: int
    left: int
    height: int
    width: int
    """In pixels of the image as it is stored."""
    stored: tuple[int, int]
    resolution: int
    interpolation: Interpolation

    @property
    def reduction(self) -> int:
        return reduction_for((self.width, self.height), self.resolution)

    def __call__(self, picture: Picture) -> Tensor:
        if isinstance(picture, Tensor):
            rows, columns = slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)
            # A dense batch of one, its channels last: of any other layout torch makes copies, for half of its time.
            dense = picture[None, :, rows, columns].contiguous(memory_format=torch.channels_last)
            return resize(dense, self.resolution, self.interpolation)[0]
        side = (self.resolution, self.resolution)
        if picture.size == self.stored:
            cut = picture.crop((self.left, self.top, self.left + self.width, self.top + self.height))
            return functional.pil_to_tensor(cut.resize(side, _PILLOWS[self.interpolation]))
        # A pixel of the smaller image is `reduction` pixels wide.
        left, top = self.left / self.reduction, self.top / self.reduction
        box = (left, top, left + self.width / self.reduction, top + self.height / self.reduction)
        return functional.pil_to_tensor(picture.resize(side, _PILLOWS[self.interpolation], box))


def _window(crop: v2.RandomResizedCrop, resolution: int, interpolation: Interpolation, picture: Picture) -> _Window:
    drawn = crop.make_params([picture])
    return _Window(
        drawn["top"],
        drawn["left"],
        drawn["height"],
        drawn["width"],
        stored=_size(picture),
        resolution=resolution,
        interpolation=interpolation,
    )


def _size(picture: Picture) -> tuple[int, int]:
    """Return width and height."""
    if isinstance(picture, Tensor):
        return picture.shape[-1], picture.shape[-2]
    return picture.size
