"""Augmentation of a whole batch at once, for images held in memory; every random number comes from the generator.

Drawing the numbers and applying them are two things: a resumed epoch draws those of the batches that it passes over,
and a rank that trains on a part of a batch draws for all of it.

B batch, C channels, H height, W width, R resolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dcasearch.config.data_set import Interpolation
from dcasearch.config.recipe import Augmentation
from dcasearch.data.batches import to_device

PAD_SHARE = 8
"""`crop: pad` pads each side by the resolution over this."""
_TRIES = 10
"""Crops that `random_resized` draws before it takes the whole image, as torchvision's does."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """What happens to each image of a batch, on the CPU whatever the device; None for what happens to none."""

    windows: Tensor | None = None
    """Of random resized crops, as `affine_grid`'s matrices: shape (B, 2, 3)."""
    shifts: Tensor | None = None
    """Of padded crops: shape (2, B)."""
    mirrored: Tensor | None = None
    """Shape (B,)."""

    def part(self, images: slice) -> Drawn:
        """Return what happens to some of the images."""
        return Drawn(
            None if self.windows is None else self.windows[images],
            None if self.shifts is None else self.shifts[:, images],
            None if self.mirrored is None else self.mirrored[images],
        )


def draw(batch: int, resolution: int, augmentation: Augmentation, generator: torch.Generator) -> Drawn:
    """Draw what happens to each image of a batch.

    Args:
        batch: B, the number of images.
        resolution: R, of the result.
        augmentation: which crop, and whether to flip.
        generator: a CPU generator, so that all devices see equal crops.
    """
    windows_B23 = shifts_2B = None
    if augmentation.crop == "random_resized":
        windows_B23 = draw_windows(batch, augmentation.area, augmentation.aspect, generator)
    elif augmentation.crop == "pad":
        shifts_2B = draw_shifts(batch, resolution // PAD_SHARE, generator)
    return Drawn(windows_B23, shifts_2B, draw_mirrored(batch, generator) if augmentation.flip else None)


def augment(images_BCHW: Tensor, resolution: int, drawn: Drawn, interpolation: Interpolation = "bilinear") -> Tensor:
    """Crop and flip each image as drawn.

    Args:
        images_BCHW: pixels as floats; any range.
        resolution: R, height and width of the result.
        drawn: for these images.
        interpolation: of images that are resized whole; windows are always bilinear.

    Returns:
        Shape (B, C, R, R).
    """
    if drawn.windows is not None:
        images_BCHW = crop_windows(images_BCHW, resolution, drawn.windows)
    else:
        images_BCHW = resize(images_BCHW, resolution, interpolation)
    if drawn.shifts is not None:
        images_BCHW = pad_crop(images_BCHW, resolution // PAD_SHARE, drawn.shifts)
    return images_BCHW if drawn.mirrored is None else mirror(images_BCHW, drawn.mirrored)


def resize(images_BCHW: Tensor, resolution: int, interpolation: Interpolation = "bilinear") -> Tensor:
    """Return the images at another size, shape (B, C, R, R).

    Bicubic ones overshoot at edges; as in Pillow they are cut to 0..255 after each of the two directions.
    """
    if images_BCHW.shape[-2:] == (resolution, resolution):
        return images_BCHW
    if interpolation == "bilinear":
        return F.interpolate(images_BCHW, size=(resolution, resolution), mode="bilinear", antialias=True)
    for size in ((images_BCHW.shape[-2], resolution), (resolution, resolution)):
        images_BCHW = F.interpolate(images_BCHW, size=size, mode="bicubic", antialias=True).clamp_(0, 255)
    return images_BCHW


def draw_mirrored(batch: int, generator: torch.Generator) -> Tensor:
    """Draw whether each image is mirrored, with probability one half; shape (B,)."""
    return torch.rand(batch, generator=generator) < 0.5


def mirror(images_BCHW: Tensor, mirrored_B: Tensor) -> Tensor:
    """Mirror the images for which `mirrored_B` is true."""
    mirrored_B = to_device(mirrored_B, images_BCHW.device)
    return torch.where(mirrored_B[:, None, None, None], images_BCHW.flip(-1), images_BCHW)


def draw_shifts(batch: int, pad: int, generator: torch.Generator) -> Tensor:
    """Draw rows and columns of the padded image at which each crop begins; shape (2, B)."""
    return torch.randint(0, 2 * pad + 1, (2, batch), generator=generator)


def pad_crop(images_BCHW: Tensor, pad: int, shifts_2B: Tensor) -> Tensor:
    """Move each image by up to `pad` pixels in each direction; what comes in is zero."""
    batch, _, height, width = images_BCHW.shape
    shifts_2B = to_device(shifts_2B, images_BCHW.device)
    rows_BH = shifts_2B[0, :, None] + torch.arange(height, device=images_BCHW.device)
    columns_BW = shifts_2B[1, :, None] + torch.arange(width, device=images_BCHW.device)
    padded_BHWC = F.pad(images_BCHW, (pad, pad, pad, pad)).permute(0, 2, 3, 1)
    index_B = torch.arange(batch, device=images_BCHW.device)[:, None, None]
    return padded_BHWC[index_B, rows_BH[:, :, None], columns_BW[:, None, :]].permute(0, 3, 1, 2)


def draw_windows(
    batch: int, area: tuple[float, float], aspect: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """Draw a window of random area and aspect in each image (Szegedy et al., 2015).

    Args:
        batch: B.
        area: smallest and largest share of the image, which is square.
        aspect: smallest and largest width / height; drawn uniformly in its logarithm.
        generator: a CPU generator.

    Returns:
        `affine_grid`'s matrices, shape (B, 2, 3).
    """
    shares_BT = torch.empty(batch, _TRIES).uniform_(*area, generator=generator)
    aspects_BT = torch.empty(batch, _TRIES).uniform_(*map(math.log, aspect), generator=generator).exp()
    widths_BT, heights_BT = (shares_BT * aspects_BT).sqrt(), (shares_BT / aspects_BT).sqrt()
    fits_BT = (widths_BT <= 1) & (heights_BT <= 1)
    first_B = fits_BT.int().argmax(1)
    fits_B = fits_BT.any(1)
    every_B = torch.arange(batch)
    width_B = widths_BT[every_B, first_B].where(fits_B, 1.0)
    height_B = heights_BT[every_B, first_B].where(fits_B, 1.0)
    # affine_grid's coordinates run from -1 to 1: a window of width w may move by 1 - w to either side.
    place_2B = torch.rand(2, batch, generator=generator) * 2 - 1
    zero_B = torch.zeros(batch)
    return torch.stack(
        [
            torch.stack([width_B, zero_B, place_2B[0] * (1 - width_B)], 1),
            torch.stack([zero_B, height_B, place_2B[1] * (1 - height_B)], 1),
        ],
        1,
    )


def crop_windows(images_BCHW: Tensor, resolution: int, windows_B23: Tensor) -> Tensor:
    """Cut a window out of each image and resize it, bilinear; shape (B, C, R, R)."""
    shape = [*images_BCHW.shape[:2], resolution, resolution]
    grid_BRR2 = F.affine_grid(to_device(windows_B23, images_BCHW.device), shape, align_corners=False)
    return F.grid_sample(images_BCHW, grid_BRR2, mode="bilinear", padding_mode="border", align_corners=False)
