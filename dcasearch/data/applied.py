"""A spec's preprocessing, applied to one image: what `predict` does where no data set is there to say it."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from dcasearch.data.preprocessing import Preprocessing, Step

_METHODS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def applied(how: Preprocessing, image: Image.Image) -> Tensor:
    """Return the network's input for one image, shape (3, R, R).

    Args:
        how: the spec's.
        image: decoded, with three channels of 8 bits.
    """
    for step in how.steps:
        image = _stepped(step, image)
    pixels = pil_to_tensor(image).float() / how.scale
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (how.mean, how.std))
    return (pixels - mean) / std


def _stepped(step: Step, image: Image.Image) -> Image.Image:
    if step.resize is not None and step.interpolation is not None:
        width, height = image.size
        if isinstance(step.resize, int):
            short = min(width, height)
            size = int(step.resize * width / short), int(step.resize * height / short)
        else:
            size = step.resize[1], step.resize[0]
        image = image.resize(size, _METHODS[step.interpolation])
    if step.crop is not None:
        side = min(image.size) if step.crop == "square" else step.crop
        left, top = round((image.width - side) / 2), round((image.height - side) / 2)
        image = image.crop((left, top, left + side, top + side))
    return image
