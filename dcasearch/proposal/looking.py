"""What a data set holds, seen by decoding its images: counts, sizes, what is broken, what is there twice."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from dcasearch.config.data_set import Data
from dcasearch.data.images import Unreadable, decode, open_image, orientation_of, turned
from dcasearch.data.reading import Reading
from dcasearch.data.sets import DataSet, FilePart, PreparedPart, open_whole
from dcasearch.errors import DataError
from dcasearch.proposal.copies import Thumbnail, groups_of_copies, thumbnail

MOST = 20_000
"""Images that are decoded; of more, so many drawn at random."""
_DECODED = 256
"""Pixels of the shorter side that an image is decoded to at least, as for a training at usual resolutions."""
Observer = Callable[[int, int], None]
"""Is told how many images were looked at, and of how many."""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What was seen."""

    classes: tuple[str, ...]
    counts: Mapping[str, int]
    """Images of each class, in all parts."""
    parts: Mapping[str, int]
    """Images of each part that the data has of its own; empty where it comes in one piece."""
    decoded: int = 0
    """Images that were looked at; fewer than there are in a large set."""
    sides: tuple[int, int, int] | None = None
    """Least, median and greatest shorter side in pixels; None where nothing could be read."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Path -> why."""
    copies: tuple[tuple[str, ...], ...] = ()
    """Groups of near copies, by their paths."""
    torn: int = 0
    """Groups with images in several of the data's own parts."""
    contradicting: tuple[tuple[str, ...], ...] = ()
    """Those of these groups whose images are of several classes."""
    notes: tuple[str, ...] = ()
    """What was passed over, a sentence each."""
    decode_seconds: float = 0.0
    """Of one image on one core, at the median."""
    prepared: int | None = None
    """Pixels per side of a prepared data set."""

    @property
    def images(self) -> int:
        """All of them."""
        return sum(self.counts.values())

    @property
    def imbalance(self) -> float:
        """Images of the largest class for each one of the smallest."""
        return max(self.counts.values()) / min(self.counts.values())


@dataclass(frozen=True)
class _Image:
    path: str
    label: int
    part: str


@dataclass(frozen=True)
class _Seen:
    side: int = 0
    thumbnail: Thumbnail | None = None
    seconds: float = 0.0
    why: str = ""
    """Empty where it could be read."""


def look(data: Data, observe: Observer = lambda done, total: None, most: int = MOST) -> Looked:
    """Decode the images of a data set and say what they are.

    Args:
        data: of image files, or prepared.
        observe: is told how far it is.
        most: images to decode; of more, so many are drawn at random (seed 0).

    Raises:
        DataError: the files are missing or of another layout.
    """
    dataset = open_whole(data)
    images = list(_images(dataset, in_one_piece=data.split is not None))
    named = Counter(dataset.classes[image.label] for image in images)
    parts = {} if data.split is not None else dict(Counter(image.part for image in images))
    counts = {name: named[name] for name in dataset.classes}
    listed = Looked(classes=dataset.classes, counts=counts, parts=parts, notes=dataset.notes)
    if isinstance(dataset.train, PreparedPart):
        size = dataset.train.size
        return replace(listed, sides=(size, size, size), prepared=size)
    if not isinstance(dataset.train, FilePart):
        raise DataError(f"data {data.name} has no image files")
    drawn = images if len(images) <= most else random.Random(0).sample(images, most)
    seen = list(_decoded(drawn, dataset.train.reading, observe))
    readable = [(image, one) for image, one in zip(drawn, seen, strict=True) if one.thumbnail is not None]
    groups = groups_of_copies([one.thumbnail for _, one in readable if one.thumbnail is not None])
    alike = [[readable[number][0] for number in group] for group in groups]
    sides = sorted(one.side for _, one in readable)
    return replace(
        listed,
        decoded=len(drawn),
        sides=(sides[0], sides[len(sides) // 2], sides[-1]) if sides else None,
        unreadable={image.path: one.why for image, one in zip(drawn, seen, strict=True) if one.why},
        copies=tuple(tuple(image.path for image in group) for group in alike),
        torn=sum(len({image.part for image in group}) > 1 for group in alike) if parts else 0,
        contradicting=tuple(
            tuple(image.path for image in group) for group in alike if len({image.label for image in group}) > 1
        ),
        decode_seconds=statistics.median(one.seconds for _, one in readable) if readable else 0.0,
    )


def paths_of(data: Data) -> Iterator[tuple[str, str]]:
    """Yield path and class of every image of data in files."""
    dataset = open_whole(data)
    for image in _images(dataset, in_one_piece=True):
        yield image.path, dataset.classes[image.label]


def _images(dataset: DataSet, *, in_one_piece: bool) -> Iterator[_Image]:
    """Yield every image once; the part of data in one piece says nothing."""
    known: dict[int, str] = {}
    for name in ("train", "val", "test"):
        part = getattr(dataset, name)
        if id(part) in known:
            continue
        known[id(part)] = name
        for number, label in enumerate(part.labels.tolist()):
            yield _Image(part.name_of(number), label, "" if in_one_piece else name)


def _decoded(images: Sequence[_Image], reading: Reading, observe: Observer) -> Iterator[_Seen]:
    """Yield what each image is; Pillow decodes outside of Python's lock, so threads are enough."""
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores) as pool:
        for done, seen in enumerate(pool.map(lambda image: _look_at(image.path, reading), images), start=1):
            observe(done, len(images))
            yield seen


def _look_at(path: str, reading: Reading) -> _Seen:
    began = time.thread_time()
    try:
        with open_image(path, reading) as image:
            side = min(image.size)
            orientation = orientation_of(image) if reading.upright else 1
            whole = turned(decode(image, _reduction(side), reading), orientation)
    except Unreadable as error:
        return _Seen(why=str(error))
    return _Seen(side, thumbnail(whole), time.thread_time() - began)


def _reduction(side: int) -> int:
    """Return the largest factor by which a JPEG may be decoded smaller."""
    return max((factor for factor in (2, 4, 8) if side // factor >= _DECODED), default=1)
