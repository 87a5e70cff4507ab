"""What may be wrong with a file of annotations in COCO's layout: every kind of fault, its count and its first places.

Some faults are errors. Others are mended, and are told with what was done about them:

- A box that leaves its image by up to one pixel is clipped: COCO's own boxes do, by rounding.
- A box without area is skipped, a box that leaves its image further is clipped, and a box wholly outside is skipped,
  as long as such boxes are rare (`data.max_corrupt` of all boxes). COCO's train2017 has two boxes of zero height among
  860,001. Where they are not rare, the file's boxes are written in another way, and that is an error.
- Crowds and images without boxes are no faults. They are told, since not everybody expects them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dcasearch.wording import is_utf8

_SHOWN = 3
"""Places that a fault spells out."""
_TOLD = 1e-3
"""Pixels outside of the image below which a clipped box is not told: the error of a sum."""
_LARGEST = 2**63
"""Integers are stored in 64 bits."""

LACKING = "entries without a key that they need"
IMPOSSIBLE = "entries with a value that its key cannot have"
INFINITE = "entries with a number that is not finite"
NO_ENTRIES = "sections without entries"
SAME_ID = "{} with the id of another one"
SAME_FILE = "images with the file of another one"
SAME_NAME = "categories with the name of another one"
NO_FILE = "images that are not on disk"
NO_IMAGE = "files that are no image"
NO_SIZE = "images whose width or height is not positive"
OTHER_SIZE = "images of another size than the annotations say"
UNKNOWN_CATEGORY = "annotations of an unknown category"
UNKNOWN_IMAGE = "annotations of an unknown image"
NEGATIVE = "boxes of negative width or height"
NO_AREA = "boxes of zero area"
OUTSIDE = "boxes outside of their image"
PARTLY_OUTSIDE = "boxes partly outside of their image"
AT_BORDER = "boxes that leave their image by up to one pixel"
CROWDS = "crowds"
WITHOUT_BOXES = "images without boxes"


@dataclass(frozen=True)
class Fault:
    """All faults of one kind in one file of annotations."""

    kind: str
    count: int
    places: tuple[str, ...]
    """The first few."""
    effect: str = ""
    """What was done about them; empty for an error."""

    @property
    def is_error(self) -> bool:
        """Whether the file cannot be used with this fault."""
        return not self.effect

    def __str__(self) -> str:
        shown = "; ".join(self.places) + ("; …" if self.count > len(self.places) else "")
        effect = f", {self.effect}" if self.effect else ""
        return f"{self.kind}: {self.count}{effect} ({shown})"


class Faults:
    """Collects the faults of one file."""

    def __init__(self) -> None:
        self._found: dict[str, Fault] = {}

    def add(self, kind: str, places: Iterable[str], *, effect: str = "") -> None:
        """Count one fault for each place; further places of a kind are added to those before."""
        for place in places:
            before = self._found.get(kind, Fault(kind, 0, (), effect))
            kept = before.places if before.count >= _SHOWN else (*before.places, place)
            self._found[kind] = Fault(kind, before.count + 1, kept, effect)

    def add_rows(self, kind: str, chosen: NDArray[np.bool_], place: Callable[[int], str], *, effect: str = "") -> None:
        """Count the rows that are chosen; only the first ones are made a text of."""
        rows = np.flatnonzero(chosen)
        if len(rows):
            self._found[kind] = Fault(kind, len(rows), tuple(place(int(row)) for row in rows[:_SHOWN]), effect)

    def all(self) -> tuple[Fault, ...]:
        """Return what was found, errors first."""
        return tuple(sorted(self._found.values(), key=lambda fault: not fault.is_error))


@dataclass(frozen=True, eq=False)
class Images:
    """The section `images`."""

    ids: NDArray[np.int64]
    names: tuple[str, ...]
    sizes: NDArray[np.int64]
    """Shape (n, 2): width, height."""

    def name(self, row: int) -> str:
        """Return how a message calls an image."""
        return f"{self.names[row]} (image {self.ids[row]})"


@dataclass(frozen=True, eq=False)
class Annotations:
    """The section `annotations`."""

    ids: NDArray[np.int64]
    images: NDArray[np.int64]
    """Id of the image."""
    categories: NDArray[np.int64]
    """Id of the category."""
    extents: NDArray[np.float64]
    """Shape (m, 4): x, y, width, height."""
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]

    def name(self, row: int) -> str:
        """Return how a message calls an annotation."""
        return f"annotation {self.ids[row]} of image {self.images[row]}"

    def box(self, row: int) -> str:
        """Return an annotation with its box."""
        return f"{self.name(row)}: bbox [{', '.join(f'{value:g}' for value in self.extents[row])}]"


@dataclass(frozen=True, eq=False)
class Categories:
    """The section `categories`."""

    ids: NDArray[np.int64]
    names: tuple[str, ...]

    def name(self, row: int) -> str:
        """Return how a message calls a category."""
        return f"{self.names[row]} (category {self.ids[row]})"


@dataclass(frozen=True, eq=False)
class Sections:
    """What of a file of annotations can be read."""

    images: Images
    annotations: Annotations
    categories: Categories
    unread: frozenset[tuple[str, int]] = field(default_factory=frozenset)
    """Section and id of entries that have an id, but cannot be read."""


_Entry: TypeAlias = Mapping[str, Any]
_Check: TypeAlias = Callable[[Any], str | None]
"""Takes a value and returns which fault it has."""


def _number(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return IMPOSSIBLE
    return None if abs(value) < _LARGEST or (isinstance(value, float) and math.isfinite(value)) else INFINITE


def _whole(value: Any) -> str | None:
    return _number(value) or (None if abs(value) < _LARGEST and value == int(value) else IMPOSSIBLE)


def _id(value: Any) -> str | None:
    return _whole(value) if isinstance(value, int) else IMPOSSIBLE


def _text(value: Any) -> str | None:
    """Look at a text; JSON can say halves of characters (lone surrogates), which no file name and no database holds."""
    return None if isinstance(value, str) and value and is_utf8(value) else IMPOSSIBLE


def _extent(value: Any) -> str | None:
    if not isinstance(value, list) or len(value) != 4:
        return IMPOSSIBLE
    return next((fault for fault in map(_number, value) if fault is not None), None)


def _area(value: Any) -> str | None:
    return _number(value) or (None if value >= 0 else IMPOSSIBLE)


def _flag(value: Any) -> str | None:
    return None if value in (0, 1) else IMPOSSIBLE


_NEEDED: dict[str, dict[str, _Check]] = {
    "images": {"id": _id, "file_name": _text, "width": _whole, "height": _whole},
    "annotations": {"id": _id, "image_id": _id, "category_id": _id, "bbox": _extent},
    "categories": {"id": _id, "name": _text},
}
SECTIONS = tuple(_NEEDED)
_OPTIONAL: dict[str, dict[str, _Check]] = {"annotations": {"area": _area, "iscrowd": _flag}}
"""Without an area the box's counts, and without `iscrowd` an object is no crowd."""


def read_sections(content: Mapping[str, list[Any]], faults: Faults) -> Sections:
    """Return the entries that can be read, and count the others.

    Args:
        content: the three lists of `SECTIONS`.
        faults: takes what is found.
    """
    good: dict[str, list[_Entry]] = {}
    unread: set[tuple[str, int]] = set()
    for section in SECTIONS:
        good[section] = []
        if not content[section] and section != "annotations":
            faults.add(NO_ENTRIES, [section])
        for n, entry in enumerate(content[section]):
            found = _fault_of(entry, section)
            if found is None:
                good[section].append(entry)
                continue
            kind, key = found
            faults.add(kind, [f"{section}[{n}]{key and f': {key}'}"])
            if isinstance(entry, dict) and _id(entry.get("id")) is None:
                unread.add((section, entry["id"]))
    images, annotations, categories = (good[section] for section in SECTIONS)
    return Sections(
        Images(_ids(images), _texts(images, "file_name"), _sizes(images)),
        _annotations(annotations),
        Categories(_ids(categories), _texts(categories, "name")),
        frozenset(unread),
    )


def _fault_of(entry: Any, section: str) -> tuple[str, str] | None:
    """Return the first fault of an entry and its key."""
    if not isinstance(entry, dict):
        return IMPOSSIBLE, ""
    for key, check in _NEEDED[section].items():
        kind = check(entry[key]) if key in entry else LACKING
        if kind is not None:
            return kind, key
    for key, check in _OPTIONAL.get(section, {}).items():
        kind = check(entry[key]) if key in entry else None
        if kind is not None:
            return kind, key
    return None


def _ids(entries: Sequence[_Entry], key: str = "id") -> NDArray[np.int64]:
    return np.array([entry[key] for entry in entries], dtype=np.int64)


def _texts(entries: Sequence[_Entry], key: str) -> tuple[str, ...]:
    return tuple(entry[key] for entry in entries)


def _sizes(images: Sequence[_Entry]) -> NDArray[np.int64]:
    return np.array([(image["width"], image["height"]) for image in images], dtype=np.int64).reshape(-1, 2)


def _annotations(entries: Sequence[_Entry]) -> Annotations:
    extents = np.array([entry["bbox"] for entry in entries], dtype=np.float64).reshape(-1, 4)
    areas = [entry["area"] if "area" in entry else entry["bbox"][2] * entry["bbox"][3] for entry in entries]
    return Annotations(
        ids=_ids(entries),
        images=_ids(entries, "image_id"),
        categories=_ids(entries, "category_id"),
        extents=extents,
        areas=np.array(areas, dtype=np.float64),
        crowd=np.array([bool(entry.get("iscrowd", 0)) for entry in entries], dtype=np.bool_),
    )


def check_references(sections: Sections, faults: Faults) -> None:
    """Count what is there twice, and what an annotation names that is not there."""
    images, annotations, categories = sections.images, sections.annotations, sections.categories
    faults.add_rows(SAME_ID.format("images"), _repeated(images.ids), images.name)
    faults.add_rows(SAME_ID.format("annotations"), _repeated(annotations.ids), annotations.name)
    faults.add_rows(SAME_ID.format("categories"), _repeated(categories.ids), categories.name)
    faults.add_rows(SAME_FILE, _said_before(images.names), images.name)
    faults.add_rows(SAME_NAME, _said_before(categories.names), categories.name)
    faults.add_rows(NO_SIZE, images.sizes.min(axis=1, initial=1) < 1, images.name)
    unknown = ~np.isin(annotations.images, _known(sections, "images", images.ids))
    faults.add_rows(UNKNOWN_IMAGE, unknown, annotations.name)
    unknown = ~np.isin(annotations.categories, _known(sections, "categories", categories.ids))
    faults.add_rows(
        UNKNOWN_CATEGORY, unknown, lambda row: f"{annotations.name(row)}: category {annotations.categories[row]}"
    )


def _known(sections: Sections, section: str, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return all ids of a section; an entry that cannot be read is a fault of its own."""
    return np.concatenate([ids, np.array([n for name, n in sections.unread if name == section], dtype=np.int64)])


def _repeated(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values were there before."""
    repeated = np.ones(len(values), dtype=np.bool_)
    repeated[np.unique(values, return_index=True)[1]] = False
    return repeated


def _said_before(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Return which texts were there before; an array of texts would give each the room of the longest one."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(text, n) != n for n, text in enumerate(texts)], dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class Clipped:
    """The annotations' boxes, within their images."""

    rows: NDArray[np.int64]
    """Shape (m,): place of each annotation's image; -1 where it has none."""
    boxes: NDArray[np.float32]
    """Shape (m, 4): x1, y1, x2, y2 in pixels."""
    usable: NDArray[np.bool_]
    """Shape (m,): the box has an area."""


def clip_boxes(images: Images, annotations: Annotations, faults: Faults, *, max_faulty: float) -> Clipped:
    """Clip the boxes to their images, and count those that leave them or have no area.

    Args:
        images: the part's images.
        annotations: their objects.
        faults: takes what is found.
        max_faulty: share of the boxes over which boxes without area and boxes outside are errors.
    """
    rows = _rows(images.ids, annotations.images)
    x, y, width, height = annotations.extents.T
    sizes = np.concatenate([images.sizes, [(0, 0)]])[rows]  # row -1 is the last one
    checked = (rows >= 0) & (sizes.min(axis=1) > 0)
    negative = (width < 0) | (height < 0)
    with np.errstate(over="ignore"):
        corners = np.stack([x, y, x + width, y + height], axis=1)
    beyond = np.concatenate([-corners[:, :2], corners[:, 2:] - sizes], axis=1).max(axis=1, initial=-np.inf)
    boxes = corners.clip(0, np.tile(sizes, 2)).astype(np.float32)
    usable = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    positive = (width > 0) & (height > 0)
    kinds = {
        NO_AREA: (checked & ~negative & ~usable & (~positive | (beyond <= 0)), "skipped"),
        OUTSIDE: (checked & positive & ~usable & (beyond > 0), "skipped"),
        PARTLY_OUTSIDE: (checked & usable & (beyond > 1), "clipped"),
    }
    rare = sum(int(chosen.sum()) for chosen, _ in kinds.values()) <= max_faulty * len(rows)
    faults.add_rows(NEGATIVE, checked & negative, annotations.box)
    for kind, (chosen, effect) in kinds.items():
        faults.add_rows(kind, chosen, annotations.box, effect=effect if rare else "")
    at_border = checked & usable & (beyond > _TOLD) & (beyond <= 1)
    faults.add_rows(AT_BORDER, at_border, annotations.box, effect="clipped")
    return Clipped(rows, boxes, usable)


def _rows(ids: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of each wanted id, or -1."""
    if not len(ids):
        return np.full(len(wanted), -1)
    order = np.argsort(ids, kind="stable")
    place = order[np.searchsorted(ids, wanted, sorter=order).clip(max=len(ids) - 1)]
    return np.where(ids[place] == wanted, place, -1)


def tell_what_is_kept(images: Images, annotations: Annotations, clipped: Clipped, faults: Faults) -> None:
    """Count crowds and images without boxes."""
    effect = "left out of training and ignored in evaluation"
    faults.add_rows(CROWDS, annotations.crowd, annotations.name, effect=effect)
    counts = np.bincount(clipped.rows[clipped.usable & (clipped.rows >= 0)], minlength=len(images.ids))
    faults.add_rows(WITHOUT_BOXES, counts == 0, images.name, effect="kept")
