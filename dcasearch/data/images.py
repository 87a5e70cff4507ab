"""Image files: which of them a folder holds, reading one, and what happens when one cannot be read."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS

from dcasearch.errors import DataError

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
    flat: bool = False
    """All images lie in `root` itself; the class folders of `files` are thought."""

    def path(self, index: int) -> str:
        """Return where an image lies."""
        name = self.files[index][0]
        return str(self.root / (name.split("/", 1)[1] if self.flat else name))


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
        found = sorted(images_in(root / name))
        if not found:
            raise DataError(f"{root / name} holds no image; known: {', '.join(IMG_EXTENSIONS)}")
        files += [(f"{name}/{file}", size) for file, size in found]
        labels += [label] * len(found)
    return Listing(root, tuple(classes), tuple(files), tuple(labels))


def images_in(folder: Path) -> Iterable[tuple[str, int]]:
    """Yield name and bytes of each image file of a folder."""
    for entry in os.scandir(folder):
        if entry.name.lower().endswith(IMG_EXTENSIONS) and entry.is_file():
            yield entry.name, entry.stat().st_size


@contextmanager
def _read() -> Iterator[None]:
    """Turn what Pillow's decoders raise on broken files into Unreadable; a fault of the machine passes."""
    try:
        yield
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.errno in _MACHINES:
            raise  # else the training would go on without good images, and its values would differ
        raise Unreadable(str(error)) from error


def open_image(path: str | Path) -> Image.Image:
    """Return an image of which only the head is read yet; it is to be closed.

    Raises:
        Unreadable: the file is no image or cannot be opened.
    """
    with _read():
        return Image.open(path)


def decode(image: Image.Image, reduction: int = 1) -> Image.Image:
    """Return an opened image with three channels.

    Args:
        image: from `open_image`.
        reduction: a JPEG is decoded smaller by this factor (1, 2, 4 or 8); other formats are not.

    Raises:
        Unreadable: the file is cut off or broken.
    """
    with _read():
        if reduction > 1:
            image.draft("RGB", (image.width // reduction, image.height // reduction))
        image.load()
        return image if image.mode == "RGB" else image.convert("RGB")


def read_rgb(path: str | Path) -> Image.Image:
    """Return a decoded image with three channels.

    Raises:
        Unreadable: the file is no image, is cut off, or cannot be opened.
    """
    with open_image(path) as image:
        return decode(image)


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
        if path in self.reasons:
            return
        self.reasons[path] = reason
        logger.warning("skipped an unreadable image: %s (%s)", path, reason)
        if len(self.reasons) > self._share * self._images:
            shown = [f"  {name}: {why}" for name, why in list(self.reasons.items())[:_SHOWN]]
            more = len(self.reasons) - len(shown)
            raise DataError(
                f"{len(self.reasons)} of {self._images} images are unreadable, more than {self._limit} "
                f"({self._share:g} of them) allows:\n" + "\n".join(shown) + (f"\n  and {more} more" if more else "")
            )
