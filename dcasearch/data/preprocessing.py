"""What a data set says of its images, and from it all preprocessing of an evaluation image, as plain data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from dcasearch.architecture.specification import Frozen
from dcasearch.bounds import Longest, Within
from dcasearch.config.data_set import USUAL_CROP, Channels, CropShare, Interpolation
from dcasearch.config.numbers import MAX_RESOLUTION, MAX_STEPS, PositiveRate

MAX_SIDE = 4 * MAX_RESOLUTION
_Side = Annotated[PositiveInt, Within(high=MAX_SIDE)]
Size = Annotated[tuple[_Side, _Side], Field(strict=False)]


class Source(Frozen):
    """The classes and the images of a data set."""

    class_names: tuple[str, ...] = Field(strict=False)
    """In the order of the network's outputs."""
    mean: Channels
    """Per channel (red, green, blue), of pixels in 0..1."""
    std: Channels
    size: PositiveInt | None
    """Pixels per side of every image; None: they differ."""
    reading: Literal["whole", "cropped", "prepared"]
    """`whole`: small images, held in memory and resized as they are; `cropped`: files, of which the centre is taken;
    `prepared`: centre squares that were resized to `size` before, of which the centre is taken."""
    interpolation: Interpolation = "bilinear"
    """Of a resize."""
    crop: CropShare = USUAL_CROP
    """Side of the centre crop, as a share of the resized shorter side; not of `whole` images."""


class Step(Frozen):
    """One step; exactly one of `resize` and `crop` is set."""

    resize: _Side | Size | None = None
    """Pixels of the shorter side, the aspect ratio stays; or height and width."""
    interpolation: Interpolation | None = None
    """Of a resize; with antialiasing, as Pillow does it."""
    crop: _Side | Literal["square"] | None = None
    """Side of the centre square that is cut out, to half a pixel; `square`: the largest one."""


class Preprocessing(Frozen):
    """What happens to an image before the network sees it, in this order."""

    color: Literal["RGB"] = "RGB"
    """The image is converted to it first."""
    steps: Annotated[tuple[Step, ...], Field(strict=False), Longest(MAX_STEPS)]
    scale: PositiveRate = 255.0
    """Pixels are divided by it, then the mean is subtracted, then they are divided by the deviation."""
    mean: Channels
    std: Channels


def preprocessing_of(source: Source, resolution: int) -> Preprocessing:
    """Return how evaluation images of a data set become a network's input of `resolution` x `resolution` pixels."""
    way = source.interpolation
    centre = (Step(resize=resized_side(resolution, source.crop), interpolation=way), Step(crop=resolution))
    match source.reading:
        case "whole":
            steps: tuple[Step, ...] = (Step(resize=(resolution, resolution), interpolation=way),)
        case "cropped":
            steps = centre
        case "prepared":
            side = source.size or resolution
            steps = (Step(crop="square"), Step(resize=(side, side), interpolation="bicubic"), *centre)
    return Preprocessing(steps=steps, mean=source.mean, std=source.std)


def resized_side(resolution: int, crop: float = USUAL_CROP) -> int:
    """Return the pixels of the shorter side from whose centre `resolution` pixels are cut: 256 for 224, as usual."""
    return round(resolution / crop)
