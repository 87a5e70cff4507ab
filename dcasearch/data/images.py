"""Image files: reading one, and what happens when one cannot be read. `listing.py` says which a folder holds."""

from __future__ import annotations

import errno
import logging
import os
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from dcasearch.data.reading import OLDEST, Reading
from dcasearch.errors import DataError
from dcasearch.wording import share

logger = logging.getLogger(__name__)

_SHOWN = 20
"""File names that an error spells out."""
_MACHINES = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ESTALE,
        errno.ENOTCONN,
        errno.ETIMEDOUT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
    }
)
"""Faults of the machine or its network, which say nothing about the file. EIO is not among them: one bad sector."""
_ORIENTATION = 0x0112
"""EXIF's tag of how the camera was held."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image of each orientation upright."""
LARGEST_PIXELS = 100_000_000
"""Of an image that is decoded, after a JPEG is reduced: some 0.8 GB of memory. Cameras have up to 200 million, in
JPEGs."""
LARGEST_ASPECT = 100
"""Longer by shorter side: an image that is a line would be resized to a huge one, since its shorter side counts."""
_BANDS = 256
"""Rows that are converted at a time, so that a large image is in memory twice at most."""
_PROGRAMS = frozenset({"EPS", "WMF"})
"""Formats for which Pillow starts another program (Ghostscript), or asks the system."""
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_LARGEST = 65535


class Unreadable(Exception):
    """An image file that cannot be decoded; `str()` says why."""


@contextmanager
def _read(path: str) -> Iterator[None]:
    """Turn whatever a decoder raises on a broken file into Unreadable; a fault of the machine passes.

    What Pillow warns of is logged with the file's name: its own text has none.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    except MemoryError:
        raise
    except Exception as error:  # decoders of a dozen formats raise what they like
        if isinstance(error, OSError) and error.errno in _MACHINES:
            raise  # else the training would go on without good images, and its values would differ
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(str(error) or type(error).__name__) from error
    for warning in caught:
        logger.warning("%s: %s", path, warning.message)


def open_image(path: str | Path, reading: Reading = OLDEST) -> Image.Image:
    """Return an image of which only the head is read yet; it is to be closed.

    Args:
        path: the file.
        reading: says which formats are decoded.

    Raises:
        Unreadable: the file is no image of these formats, cannot be opened, or is a line rather than an image.
    """
    with _read(str(path)):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise Unreadable("is a folder, a pipe or a device, not a file")  # a pipe would be waited for
        image = Image.open(path, formats=reading.formats or _whatever_pillow_can())
    longer, shorter = max(image.size), min(image.size)
    if longer > LARGEST_ASPECT * shorter:
        image.close()
        raise Unreadable(
            f"is {image.width:,} × {image.height:,} pixels; the longer side may have {LARGEST_ASPECT} times as many as "
            "the shorter one"
        )
    return image


@cache
def _whatever_pillow_can() -> tuple[str, ...]:
    """Return all formats that Pillow decodes by itself, in its own order."""
    Image.init()
    return tuple(name for name in Image.ID if name not in _PROGRAMS)


def decode(image: Image.Image, reduction: int = 1, reading: Reading = OLDEST) -> Image.Image:
    """Return an opened image with three channels; of an animation the first picture.

    Args:
        image: from `open_image`.
        reduction: a JPEG is decoded smaller by this factor (1, 2, 4 or 8); other formats are not.
        reading: says how more than 8 bits and alpha are treated. EXIF rotation is `turned`'s affair.

    Raises:
        Unreadable: the file is cut off or broken, it has too many pixels, or they cannot be scaled to 8 bits.
    """
    with _read(str(getattr(image, "filename", "an image"))):
        if reduction > 1:
            image.draft("RGB", (image.width // reduction, image.height // reduction))
        if image.width * image.height > LARGEST_PIXELS:
            raise Unreadable(f"has {image.width:,} × {image.height:,} pixels; at most {LARGEST_PIXELS:,} are decoded")
        image.load()
        if image.mode == "RGB":
            return image
        return _to_rgb(image) if reading.scaled else image.convert("RGB")


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return an image with three channels of 8 bits: 16 bits are divided by 257, what is transparent is white."""
    if image.mode == "F":
        raise Unreadable("its pixels are floating-point numbers; 8 or 16 bits are read")
    if image.mode in _SIXTEEN_BITS or image.mode == "I":
        return _in_bands(image, _scaled)
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        return _in_bands(image, _on_white)
    return image.convert("RGB")


def _in_bands(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return an image whose rows are converted a few at a time, which gives the same pixels in less memory."""
    whole = Image.new("RGB", image.size)
    for top in range(0, image.height, _BANDS):
        whole.paste(convert(image.crop((0, top, image.width, min(top + _BANDS, image.height)))), (0, top))
    return whole


def _scaled(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > _LARGEST:
        raise Unreadable(f"its pixels are from {values.min()} to {values.max()}; 8 or 16 bits are read")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    whole = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")


def orientation_of(image: Image.Image) -> int:
    """Return how the camera was held, as EXIF says it: 1 (upright) to 8; 1 where it says nothing.

    Raises:
        Unreadable: the EXIF data is broken beyond reading.
    """
    with _read(str(getattr(image, "filename", "an image"))):
        said = image.getexif().get(_ORIENTATION, 1)
        return said if said in _TURNS else 1


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Return a decoded image upright."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def read_rgb(path: str | Path, reading: Reading = OLDEST) -> Image.Image:
    """Return a decoded image with three channels.

    Raises:
        Unreadable: the file is no image, is cut off, or cannot be opened.
    """
    with open_image(path, reading) as image:
        orientation = orientation_of(image) if reading.upright else 1
        return turned(decode(image, reading=reading), orientation)


class Corrupt:
    """The unreadable images of a training: each is named once; over a share of all the run stops."""

    def __init__(self, images: int, share: float, limit: str = "data.max_corrupt") -> None:
        self._images, self._share, self._limit = images, share, limit
        self.reasons: dict[str, str] = {}
        """Path -> why it cannot be read."""

    def __len__(self) -> int:
        return len(self.reasons)

    def add(self, path: str, reason: str) -> None:
        """Count and name one image that was skipped.

        Raises:
            DataError: with the list, where more than the share are unreadable.
        """
        self.note(path, reason)
        self.check()

    def note(self, path: str, reason: str) -> None:
        """Count and name one image; where all are looked at, `check` comes once at the end."""
        if path in self.reasons:
            return
        self.reasons[path] = reason
        logger.warning("unreadable: %s: %s", path, reason)

    def check(self) -> None:
        """Compare the number with the share that is allowed.

        Raises:
            DataError: with the list, where more are unreadable.
        """
        if len(self.reasons) > self._share * self._images:
            shown = [f"  {name}: {why}" for name, why in list(self.reasons.items())[:_SHOWN]]
            more = len(self.reasons) - len(shown)
            raise DataError(
                f"{share(self.reasons, self._images, 'images')} unreadable, more than {self._limit} "
                f"({self._share:g} of them) allows:\n" + "\n".join(shown) + (f"\n  and {more} more" if more else "")
            )
