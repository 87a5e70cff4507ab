"""Augmentation of a whole batch at once, for images held in memory; every random number comes from the generator.

B batch, C channels, H height, W width, R resolution.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dcasearch.config.recipe import Augmentation

PAD_SHARE = 8
"""`crop: pad` pads each side by the resolution over this."""
_TRIES = 10
"""Crops that `random_resized` draws before it takes the whole image, as torchvision's does."""


def augment(images_BCHW: Tensor, resolution: int, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Crop and flip each image at random.

    Args:
        images_BCHW: pixels as floats; any range.
        resolution: R, height and width of the result.
        augmentation: which of the two, and how strong.
        generator: a CPU generator, whatever the device of the images, so that devices see equal crops.

    Returns:
        Shape (B, C, R, R).
    """
    if augmentation.crop == "random_resized":
        images_BCHW = random_resized_crop(images_BCHW, resolution, augmentation.area, augmentation.aspect, generator)
    else:
        images_BCHW = resize(images_BCHW, resolution)
        if augmentation.crop == "pad":
            images_BCHW = pad_crop(images_BCHW, resolution // PAD_SHARE, generator)
    return flip(images_BCHW, generator) if augmentation.flip else images_BCHW


def resize(images_BCHW: Tensor, resolution: int) -> Tensor:
    """Return the images at another size, bilinear; shape (B, C, R, R)."""
    if images_BCHW.shape[-2:] == (resolution, resolution):
        return images_BCHW
    return F.interpolate(images_BCHW, size=(resolution, resolution), mode="bilinear", antialias=True)


def flip(images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image with probability one half."""
    mirrored_B = torch.rand(len(images_BCHW), generator=generator) < 0.5
    return torch.where(mirrored_B.to(images_BCHW.device)[:, None, None, None], images_BCHW.flip(-1), images_BCHW)


def pad_crop(images_BCHW: Tensor, pad: int, generator: torch.Generator) -> Tensor:
    """Move each image by up to `pad` pixels in each direction; what comes in is zero."""
    batch, _, height, width = images_BCHW.shape
    shifts_2B = torch.randint(0, 2 * pad + 1, (2, batch), generator=generator).to(images_BCHW.device)
    rows_BH = shifts_2B[0, :, None] + torch.arange(height, device=images_BCHW.device)
    columns_BW = shifts_2B[1, :, None] + torch.arange(width, device=images_BCHW.device)
    padded_BHWC = F.pad(images_BCHW, (pad, pad, pad, pad)).permute(0, 2, 3, 1)
    index_B = torch.arange(batch, device=images_BCHW.device)[:, None, None]
    return padded_BHWC[index_B, rows_BH[:, :, None], columns_BW[:, None, :]].permute(0, 3, 1, 2)


def random_resized_crop(
    images_BCHW: Tensor,
    resolution: int,
    area: tuple[float, float],
    aspect: tuple[float, float],
    generator: torch.Generator,
) -> Tensor:
    """Cut a window of random area and aspect out of each image and resize it, bilinear (Szegedy et al., 2015).

    Args:
        images_BCHW: square images.
        resolution: R.
        area: smallest and largest share of the image.
        aspect: smallest and largest width / height; drawn uniformly in its logarithm.
        generator: a CPU generator.

    Returns:
        Shape (B, C, R, R).
    """
    batch = len(images_BCHW)
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
    theta_B23 = torch.stack(
        [
            torch.stack([width_B, zero_B, place_2B[0] * (1 - width_B)], 1),
            torch.stack([zero_B, height_B, place_2B[1] * (1 - height_B)], 1),
        ],
        1,
    ).to(images_BCHW.device)
    shape = [batch, images_BCHW.shape[1], resolution, resolution]
    grid_BRR2 = F.affine_grid(theta_B23, shape, align_corners=False)
    return F.grid_sample(images_BCHW, grid_BRR2, mode="bilinear", padding_mode="border", align_corners=False)
