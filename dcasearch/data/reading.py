"""How image files are found and read. Each version stays, so that a study goes on with the pixels that it began with.

Version 1 takes `<class>/<image>` alone, decodes whatever Pillow can, clips what has more than 8 bits a channel, ignores
the rotation that a camera wrote down, and drops alpha. Version 2 takes images below the class folder too, passes over
hidden files, decodes the formats of a list, scales 16 bits to 8, turns images upright (of `imagefolder`; not of
`imagenet`, as in the paper), puts transparent images on white, and resizes a JPEG that was decoded smaller by its exact
box.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from dcasearch.config.data_set import ReadingVersion

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that version 2 decodes, by Pillow's names. JPEG includes MPO, a JPEG with several views."""


@dataclass(frozen=True)
class Reading:
    """How files become pixels."""

    version: ReadingVersion
    nested: bool
    """Whether images in folders below a class folder are taken; hidden files and folders are passed over then."""
    formats: tuple[str, ...] | None
    """Which formats are decoded; None: whatever Pillow can."""
    scaled: bool
    """Whether 16 bits are scaled to 8 and alpha is put on white; else Pillow clips the former and drops the latter."""
    upright: bool
    """Whether the rotation in EXIF is applied."""
    exact: bool
    """Whether a JPEG that is decoded smaller is resized by the exact box that its pixels cover."""

    def lying(self) -> Self:
        """Return the reading without EXIF rotation, as ImageNet's images are read."""
        return replace(self, upright=False)


READINGS: dict[ReadingVersion, Reading] = {
    1: Reading(version=1, nested=False, formats=None, scaled=False, upright=False, exact=False),
    2: Reading(version=2, nested=True, formats=FORMATS, scaled=True, upright=True, exact=True),
}
OLDEST: Reading = READINGS[1]
"""Of studies, prepared sets and specs of versions that did not say it."""
