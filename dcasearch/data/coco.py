"""Images and objects in the layout of COCO (Lin et al., 2014): a folder of images and a file of annotations per part.

`coco_faults` says which faults such a file may have, which are errors and which are mended. A part keeps images without
boxes and crowds.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcasearch.data import coco_faults
from dcasearch.data.boxes import BoxedPart, ShownObjects, strata
from dcasearch.data.coco_faults import SECTIONS, Fault, Faults, Sections
from dcasearch.data.images import Unreadable, decode, open_image
from dcasearch.data.reading import OLDEST, Reading
from dcasearch.data.sets import DATASETS, IMAGENET_MEAN, IMAGENET_STD, DataSet
from dcasearch.errors import DataError
from dcasearch.evaluation import fingerprint
from dcasearch.files import read_regular

MAX_BYTES = 4_000_000_000
"""Of a file of annotations; that of COCO's 118,000 images has 0.5 GB."""

COCO_LAYOUT = (
    "annotations/instances_<part>.json and <part>/<image>, of one part whose name begins with `train` and one whose "
    "name begins with `val` (train2017, val2017)"
)
PARTS = ("train", "val")
MAX_FAULTY = 0.001
"""Share of the boxes that may be mended or skipped; the default of `data.max_corrupt`."""


@dataclass(frozen=True)
class CocoFiles:
    """Where one part lies."""

    annotations: Path
    images: Path
    """The folder."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CocoPart:
    """The n images of one part, in the order of their ids, and their m objects."""

    folder: Path
    names: tuple[str, ...]
    """File names below the folder."""
    ids: NDArray[np.int64]
    sizes: NDArray[np.int64]
    """Shape (n, 2): width, height."""
    first: NDArray[np.int64]
    """Shape (n + 1,): objects first[i] to first[i + 1] are those of image i."""
    objects: ShownObjects
    """Of all images."""
    category_names: tuple[str, ...]
    category_ids: NDArray[np.int64]
    notes: tuple[Fault, ...] = ()
    """What was mended, and what is worth knowing."""

    def __len__(self) -> int:
        return len(self.ids)

    def name_of(self, index: int) -> str:
        """Return where an image lies."""
        return str(self.folder / self.names[index])

    def read(self, index: int) -> Image.Image:
        """Return an image in RGB.

        Raises:
            Unreadable: it cannot be read, or is of another size than its annotations say: its boxes would be elsewhere.
        """
        with open_image(self.name_of(index)) as image:
            width, height = self.sizes[index].tolist()
            if image.size != (width, height):
                raise Unreadable(f"is {image.width}×{image.height}, and its annotations say {width}×{height}")
            return decode(image)

    def objects_of(self, index: int) -> ShownObjects:
        """Return the objects of an image."""
        rows = slice(int(self.first[index]), int(self.first[index + 1]))
        of = self.objects
        return ShownObjects(of.boxes[rows], of.labels[rows], of.areas[rows], of.crowd[rows])

    def strata(self) -> NDArray[np.int64]:
        """Return a class per image to stratify a split by (`boxes.strata`)."""
        return strata(self.objects.labels, self.first, len(self.category_names))

    def fingerprint(self) -> str:
        """Return what identifies names, sizes and objects; neither the folder's place nor the pixels are in it."""
        digest = hashlib.sha256(json.dumps([self.names, self.category_names]).encode())
        of = self.objects
        for array in (self.ids, self.sizes, self.first, of.boxes, of.labels, of.areas, of.crowd, self.category_ids):
            digest.update(array.tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Coco:
    """Both parts, of equal categories."""

    train: CocoPart
    val: CocoPart

    def fingerprint(self) -> str:
        """Return what identifies both parts."""
        return fingerprint({"train": self.train.fingerprint(), "val": self.val.fingerprint()})


@DATASETS.register("coco")
def open_coco_set(root: Path | None, reading: Reading = OLDEST) -> DataSet:
    """Return COCO's images with boxes, or others in its layout; its validation images stand for a test part too.

    Raises:
        DataError: with all errors of both parts, or the expected layout.
    """
    found = open_coco(root)
    train, val = (BoxedPart(part, part.strata()) for part in (found.train, found.val))
    return DataSet(
        fingerprint=found.fingerprint(),
        classes=found.train.category_names,
        train=train,
        val=val,
        test=val,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        notes=tuple(f"{part.folder.name}: {note}" for part in (found.train, found.val) for note in part.notes),
    )


def layout(root: Path | None) -> dict[str, CocoFiles]:
    """Return where `train` and `val` lie.

    Raises:
        DataError: with the expected layout, where a folder or a file is missing, or a part is there twice.
    """
    if root is None:
        raise DataError(f"data.root is missing: coco needs a folder that holds {COCO_LAYOUT}")
    if not root.is_dir():
        raise DataError(f"data.root: there is no folder {root}; coco needs one that holds {COCO_LAYOUT}")
    if not (root / "annotations").is_dir():
        raise DataError(f"{root} has no folder `annotations`; expected {COCO_LAYOUT}")
    return {part: _part_files(root, part) for part in PARTS}


def _part_files(root: Path, part: str) -> CocoFiles:
    named = re.compile(rf"instances_({part}.*)\.json")
    matches = [match for path in sorted((root / "annotations").iterdir()) if (match := named.fullmatch(path.name))]
    if not matches:
        raise DataError(f"{root / 'annotations'} has no file `instances_{part}*.json`; expected {COCO_LAYOUT}")
    # A file whose folder is not there is passed over: COCO's archive of annotations has more parts than one downloads.
    found = [match[1] for match in matches if (root / match[1]).is_dir()]
    if not found:
        missing = "` or `".join(match[1] for match in matches)
        raise DataError(f"{root} has no folder `{missing}` for its annotations; expected {COCO_LAYOUT}")
    if len(found) > 1:
        raise DataError(f"{root} has the folders `{'` and `'.join(found)}`, and one alone can be the part {part}")
    return CocoFiles(root / "annotations" / f"instances_{found[0]}.json", root / found[0])


@lru_cache(maxsize=2)  # to read COCO's train2017 takes many seconds, and every trial asks
def open_coco(root: Path | None, *, max_faulty: float = MAX_FAULTY) -> Coco:
    """Return both parts of a data set; the same object as long as the process lives.

    Args:
        root: the folder, of `COCO_LAYOUT`.
        max_faulty: as for `read_coco`.

    Raises:
        DataError: with all errors of both parts, or the expected layout.
    """
    parts: dict[str, CocoPart] = {}
    errors: list[str] = []
    for name, files in layout(root).items():
        try:
            parts[name] = read_coco(files, max_faulty=max_faulty)
        except DataError as error:
            errors.append(str(error))
    if not errors and parts["train"].category_names != parts["val"].category_names:
        odd = sorted(set(parts["train"].category_names) ^ set(parts["val"].category_names))
        told = f"{', '.join(odd[:5])} in one only" if odd else "their ids are in another order"
        errors.append(f"{root}: train and val have different categories: {told}")
    if errors:
        raise DataError("\n".join(errors))
    return Coco(parts["train"], parts["val"])


def read_coco(files: CocoFiles, *, max_faulty: float = MAX_FAULTY, headers: bool = False) -> CocoPart:
    """Return a part.

    Args:
        files: where it lies.
        max_faulty: share of the boxes over which boxes without area and boxes outside of their image are errors.
        headers: whether to compare every image's size with the size in the annotations; reads the head of each file.

    Raises:
        DataError: with all errors, each with its count and first places.
    """
    part, faults = _read(files, max_faulty, headers)
    errors = [str(fault) for fault in faults if fault.is_error]
    if errors:
        raise DataError(f"{files.annotations} has faults:\n" + "\n".join(f"  {error}" for error in errors))
    return part


def faults_of(files: CocoFiles, *, max_faulty: float = MAX_FAULTY, headers: bool = False) -> tuple[Fault, ...]:
    """Return all faults of a part, errors first, then what is mended, and what is worth knowing.

    Args:
        files: where it lies.
        max_faulty: as for `read_coco`.
        headers: as for `read_coco`.

    Raises:
        DataError: the annotations cannot be read at all, or a section of them is missing.
    """
    return _read(files, max_faulty, headers)[1]


def _read(files: CocoFiles, max_faulty: float, headers: bool) -> tuple[CocoPart, tuple[Fault, ...]]:
    """Return a part, which is of no use where there are errors, and all faults."""
    faults = Faults()
    sections = coco_faults.read_sections(_content(files.annotations), faults)
    coco_faults.check_references(sections, faults)
    there = _there(files.images, sections.images.names)
    faults.add_rows(coco_faults.NO_FILE, ~there, sections.images.name)
    if headers:
        _check_headers(files.images, sections, there, faults)
    clipped = coco_faults.clip_boxes(sections.images, sections.annotations, faults, max_faulty=max_faulty)
    coco_faults.tell_what_is_kept(sections.images, sections.annotations, clipped, faults)
    notes = tuple(fault for fault in faults.all() if not fault.is_error)
    return _assembled(files.images, sections, clipped, notes), faults.all()


def _content(path: Path) -> dict[str, list[Any]]:
    """Return the three sections of a file of annotations.

    Raises:
        DataError: it cannot be read, or lacks a section.
    """
    try:
        content = json.loads(read_regular(path, MAX_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path} cannot be read: {why}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no object with the sections {', '.join(SECTIONS)}")
    missing = [name for name in SECTIONS if not isinstance(content.get(name), list)]
    if missing:
        raise DataError(f"{path} has no list {' and no list '.join(f'`{name}`' for name in missing)}")
    return {name: content[name] for name in SECTIONS}


def _there(folder: Path, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return which files exist; one listing, since on shared storage each question takes a round trip.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder} of images; expected {COCO_LAYOUT}")
    with os.scandir(folder) as entries:
        listed = {entry.name for entry in entries if entry.is_file()}
    return np.array([name in listed or ("/" in name and (folder / name).is_file()) for name in names], dtype=np.bool_)


def _check_headers(folder: Path, sections: Sections, there: NDArray[np.bool_], faults: Faults) -> None:
    """Count files that are no image, and images of another size than the annotations say."""
    images = sections.images
    for row in np.flatnonzero(there).tolist():
        try:
            with open_image(folder / images.names[row]) as image:
                has = image.size
        except Unreadable as error:
            faults.add(coco_faults.NO_IMAGE, [f"{images.name(row)}: {error}"])
            continue
        said = tuple(images.sizes[row].tolist())
        if has != said:
            place = f"{images.name(row)}: {has[0]}×{has[1]}, not {said[0]}×{said[1]}"
            faults.add(coco_faults.OTHER_SIZE, [place])


def _assembled(folder: Path, sections: Sections, clipped: coco_faults.Clipped, notes: tuple[Fault, ...]) -> CocoPart:
    """Return images, categories and usable objects, each in the order of its ids."""
    images, annotations, categories = sections.images, sections.annotations, sections.categories
    by_id = np.argsort(images.ids, kind="stable")
    place = np.empty(len(by_id), dtype=np.int64)
    place[by_id] = np.arange(len(by_id))
    usable = np.flatnonzero(clipped.usable & (clipped.rows >= 0))
    image = place[clipped.rows[usable]]
    order = np.lexsort((annotations.ids[usable], image))
    chosen = usable[order]
    categories_by_id = np.argsort(categories.ids, kind="stable")
    category_ids = categories.ids[categories_by_id]
    counts = np.bincount(image, minlength=len(by_id))
    return CocoPart(
        folder=folder,
        names=tuple(images.names[row] for row in by_id),
        ids=images.ids[by_id],
        sizes=images.sizes[by_id],
        first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        objects=ShownObjects(
            clipped.boxes[chosen],
            np.searchsorted(category_ids, annotations.categories[chosen]).astype(np.int64),
            annotations.areas[chosen],
            annotations.crowd[chosen],
        ),
        category_names=tuple(categories.names[row] for row in categories_by_id),
        category_ids=category_ids,
        notes=notes,
    )
