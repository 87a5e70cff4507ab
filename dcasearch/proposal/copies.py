"""Near copies: one picture that was saved twice, resized or compressed anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

SIDE = 16
"""Pixels per side of the thumbnails that are compared."""
_BITS = 12
"""Of the 256 signs of neighbouring pixels' differences, so many may differ."""
_GREYS = 4.0
"""Mean difference of two thumbnails, of 255, up to which they show one picture."""
_FLAT = 4.0
"""Standard deviation of a thumbnail below which it shows nothing that could be told from another."""
_ROWS = 1024
"""Thumbnails that are compared with all others at a time; bounds the memory."""

Thumbnail = NDArray[np.uint8]
"""Grey, shape (16, 17); the last column serves the differences alone."""


def thumbnail(image: Image.Image) -> Thumbnail:
    """Return what an image is compared by."""
    return np.asarray(image.convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX), dtype=np.uint8)


def groups_of_copies(thumbnails: Sequence[Thumbnail]) -> list[list[int]]:
    """Return the groups of two or more images that are near copies of each other, by their numbers.

    Two images are near copies where their difference hashes agree (signs of neighbouring pixels' differences) and their
    thumbnails too. Copies of a copy are of one group. Images of one colour are left out: they look alike.

    Args:
        thumbnails: of all images, in their order.
    """
    if len(thumbnails) < 2:
        return []
    pixels = np.stack(thumbnails).astype(np.float32)
    kept = np.flatnonzero(pixels[:, :, :SIDE].std(axis=(1, 2)) >= _FLAT)
    if not len(kept):
        return []
    first, second = np.concatenate(list(_pairs(pixels[kept])), axis=1)
    edges = coo_matrix((np.ones(len(first), dtype=np.int8), (kept[first], kept[second])), shape=(len(pixels),) * 2)
    _, component = connected_components(edges, directed=False)
    members: dict[int, list[int]] = defaultdict(list)
    for number in np.unique([kept[first], kept[second]]).tolist():
        members[int(component[number])].append(number)
    return sorted(members.values())


def _pairs(pixels: NDArray[np.float32]) -> Iterator[NDArray[np.intp]]:
    """Yield the pairs of near copies, shape (2, n), the smaller number first."""
    signs = np.diff(pixels, axis=2) > 0
    words = np.packbits(signs.reshape(len(pixels), -1), axis=1).view(np.uint64)
    grey = pixels[:, :, :SIDE].reshape(len(pixels), -1)
    for start in range(0, len(pixels), _ROWS):
        rows = words[start : start + _ROWS]
        differing = np.zeros((len(rows), len(words)), dtype=np.uint16)
        for word in range(words.shape[1]):
            differing += np.bitwise_count(rows[:, word, None] ^ words[None, :, word])
        one, other = np.nonzero(differing <= _BITS)
        one += start
        before = one < other
        one, other = one[before], other[before]
        close = np.abs(grey[one] - grey[other]).mean(axis=1) <= _GREYS
        yield np.stack((one[close], other[close]))
