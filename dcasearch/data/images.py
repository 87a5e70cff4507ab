"""Image files: which of them a folder holds, reading one, and what happens when one cannot be read."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS

from dcasearch.errors import DataError

logger = logging.getLogger(__name__)

_SHOWN = 20
"""File names that an error spells out."""


class Unreadable(Exception):
    """An image file that cannot be decoded; `str()` says why."""


@dataclass(frozen=True)
class Listing:
    """The image files of one part, by class folder, in alphabetical order."""

    root: Path
    classes: tuple[str, ...]
    files: tuple[tuple[str, int], ...]
    """Path below `root` with forward slashes, and bytes."""
    labels: tuple[int, ...]


def list_images(root: Path) -> Listing:
    """List `root/<class>/<image>`; other files are passed over.

    Raises:
        DataError: there are no class folders, or one without images.
    """
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise DataError(f"{root} holds no class folders; expected {root}/<class>/<image>")
    files: list[tuple[str, int]] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(_images(root / name))
        if not found:
            raise DataError(f"{root / name} holds no image; known: {', '.join(IMG_EXTENSIONS)}")
        files += [(f"{name}/{file}", size) for file, size in found]
        labels += [label] * len(found)
    return Listing(root, tuple(classes), tuple(files), tuple(labels))


def _images(folder: Path) -> Iterable[tuple[str, int]]:
    for entry in os.scandir(folder):
        if entry.name.lower().endswith(IMG_EXTENSIONS) and entry.is_file():
            yield entry.name, entry.stat().st_size


def read_rgb(path: str | Path) -> Image.Image:
    """Return a decoded image with three channels.

    Raises:
        Unreadable: the file is no image, is cut off, or cannot be opened.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    # What Pillow's decoders raise on broken files.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise Unreadable(str(error)) from error


class Corrupt:
    """The unreadable images of a training: each is named once; over a share of all the run stops."""

    def __init__(self, images: int, share: float) -> None:
        self._images, self._share = images, share
        self.reasons: dict[str, str] = {}
        """Path -> why it cannot be read."""

    def __len__(self) -> int:
        return len(self.reasons)

    def add(self, path: str, reason: str) -> None:
        """Count and name one image that was skipped.

        Raises:
            DataError: with the list, where more than the share are unreadable.
        """
        if path in self.reasons:
            return
        self.reasons[path] = reason
        logger.warning("skipped an unreadable image: %s (%s)", path, reason)
        if len(self.reasons) > self._share * self._images:
            shown = [f"  {name}: {why}" for name, why in list(self.reasons.items())[:_SHOWN]]
            more = len(self.reasons) - len(shown)
            raise DataError(
                f"{len(self.reasons)} of {self._images} images are unreadable, more than data.max_corrupt "
                f"({self._share:g} of them) allows:\n" + "\n".join(shown) + (f"\n  and {more} more" if more else "")
            )
