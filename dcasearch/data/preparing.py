"""Decodes and resizes a folder of images once, into shards that are read without decoding.

Whatever is killed is gone on with: a shard appears whole, by a rename, with its checksum beside it, and the index comes
last. Shards are made by loader processes, which end by themselves when who started them is gone.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from dcasearch.artifacts import remove_leftovers
from dcasearch.data.files import leave_group
from dcasearch.data.folders import fingerprint_of, list_any
from dcasearch.data.images import Corrupt, Unreadable, decode, open_image, orientation_of, turned
from dcasearch.data.listing import Listing
from dcasearch.data.prepared import INDEX, UNFINISHED, Index, PartIndex, is_prepared, read_index
from dcasearch.data.shards import Shards, sha256_of
from dcasearch.data.views import reduction_for
from dcasearch.errors import DataError, StorageError, UserError
from dcasearch.files import locked, write_whole

_OVERSAMPLING = 2
"""A JPEG is decoded smaller only down to so many times the size, so that the resize has something to average."""
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Shard:
    """One shard that is there now."""

    part: str
    number: int
    sha256: str = ""
    unreadable: dict[int, tuple[str, str]] = field(default_factory=dict)
    kept: bool = False
    """It was there before, and its checksum is right."""
    problem: str | None = None
    """Why it could not be written, or what is wrong with it."""


@dataclass(frozen=True)
class Step:
    """How far a preparation or a verification is."""

    shard: Shard
    images: int
    """Of this shard."""
    of: int
    """Images of all shards."""


Observer = Callable[[Step], None]


def prepare(
    root: Path, out: Path, *, size: int, workers: int, max_corrupt: float, observe: Observer = lambda step: None
) -> Index:
    """Decode and resize every image of a folder into `out`; goes on where it was broken off, mends what is damaged.

    Args:
        root: train/<class>/<image> and val or test; ImageNet's flat val with its ground truth.
        out: the folder to make.
        size: pixels per side: the shorter side is resized to it (bicubic), and the centre square cut out.
        workers: processes; 0 works in this one.
        max_corrupt: share of unreadable images over which it stops.
        observe: called after every shard.

    Raises:
        DataError: the root is no such folder, or too many images are unreadable.
        UserError: `out` holds something else, or another process works there.
        StorageError: the disk is full or cannot be written to.
    """
    if is_prepared(root):
        raise DataError(f"{root} is a prepared data set itself; give the folder of the original images")
    listings = list_any(root)
    source = fingerprint_of(listings)
    parts = {name: Shards(out, name, size, len(listing.files)) for name, listing in listings.items()}
    plan: dict[str, str | int] = {"source": source, "size": size}
    with _alone(out, plan):
        _check_room(out, parts.values())
        known = _known(out)
        jobs = [(name, number) for name, shards in parts.items() for number in range(len(shards))]
        make = _Make(listings, parts, known, jobs)
        done = _observed(_work(make, workers), parts, max_corrupt, observe)
        index = Index(
            size=size,
            source=source,
            classes=list(listings["train"].classes),
            parts={name: _index_of(name, listing, done) for name, listing in listings.items()},
        )
        write_whole(out / INDEX, index.model_dump_json().encode())
        for path in (out / UNFINISHED, *out.glob("*.npy.json"), *out.glob("*.tmp")):
            path.unlink(missing_ok=True)
    return index


def verify(folder: Path, *, workers: int, observe: Observer = lambda step: None) -> list[str]:
    """Compare every shard of a prepared folder with its checksum.

    Returns:
        What is wrong, a line each.

    Raises:
        DataError: the folder is no prepared data set, or not finished.
    """
    if not is_prepared(folder):
        raise DataError(f"{folder} is no prepared data set: it has no {INDEX}")
    index = read_index(folder)
    parts = index.shards(folder)
    total = sum(shards.images for shards in parts.values())
    problems = []
    for shard in _work(_Compare(parts, index), workers):
        observe(Step(shard, len(parts[shard.part].rows(shard.number)), total))
        if shard.problem is not None:
            problems.append(shard.problem)
    return sorted(problems)


def _index_of(name: str, listing: Listing, done: dict[tuple[str, int], Shard]) -> PartIndex:
    shards = [done[key] for key in sorted(done) if key[0] == name]
    return PartIndex(
        images_per_class=np.bincount(listing.labels, minlength=len(listing.classes)).tolist(),
        shards=[shard.sha256 for shard in shards],
        unreadable={row: why for shard in shards for row, why in shard.unreadable.items()},
    )


def _observed(
    shards: Iterable[Shard], parts: dict[str, Shards], max_corrupt: float, observe: Observer
) -> dict[tuple[str, int], Shard]:
    """Take the shards as they come; stop at the first that failed and over the share of unreadable images."""
    total = sum(part.images for part in parts.values())
    corrupt = Corrupt(total, max_corrupt, "--max-corrupt")
    done = {}
    for shard in shards:
        if shard.problem is not None:
            raise StorageError(f"{shard.problem}; what is done is kept, the same command goes on")
        for path, reason in shard.unreadable.values():
            corrupt.add(path, reason)
        done[shard.part, shard.number] = shard
        observe(Step(shard, len(parts[shard.part].rows(shard.number)), total))
    return done


def _work(dataset: Dataset[Shard], workers: int) -> Iterator[Shard]:
    """Yield what the dataset makes, in whichever order it gets done."""
    loader = DataLoader(
        dataset, batch_size=None, num_workers=workers, collate_fn=_as_it_is, in_order=False, worker_init_fn=leave_group
    )
    yield from loader


def _as_it_is(result: _Result) -> _Result:
    return result


class _Make(Dataset[Shard]):
    """Makes each shard, unless it is there."""

    def __init__(
        self,
        listings: dict[str, Listing],
        parts: dict[str, Shards],
        known: dict[tuple[str, int], Shard],
        jobs: list[tuple[str, int]],
    ) -> None:
        self._listings, self._parts, self._known, self._jobs = listings, parts, known, jobs

    def __len__(self) -> int:
        return len(self._jobs)

    def __getitem__(self, job: int) -> Shard:
        part, number = self._jobs[job]
        shards = self._parts[part]
        try:
            known = self._known.get((part, number)) or _recorded(shards, part, number)
            there = known is not None and shards.path(number).is_file()
            if known is not None and there and sha256_of(shards.path(number)) == known.sha256:
                return Shard(part, number, known.sha256, known.unreadable, kept=True)
            return _write(shards, number, *_decoded(self._listings[part], shards, number))
        except OSError as error:
            return Shard(part, number, problem=f"cannot write {shards.path(number)}: {error.strerror or error}")


class _Compare(Dataset[Shard]):
    """Compares each shard with its checksum."""

    def __init__(self, parts: dict[str, Shards], index: Index) -> None:
        self._parts = parts
        self._jobs = [(name, n, sha) for name, part in index.parts.items() for n, sha in enumerate(part.shards)]

    def __len__(self) -> int:
        return len(self._jobs)

    def __getitem__(self, job: int) -> Shard:
        part, number, expected = self._jobs[job]
        path = self._parts[part].path(number)
        try:
            problem = None if sha256_of(path) == expected else f"{path}: its content is not what was written"
        except OSError as error:
            problem = f"{path}: {error.strerror}"
        return Shard(part, number, expected, problem=problem)


def _decoded(listing: Listing, shards: Shards, number: int) -> tuple[NDArray[np.uint8], dict[int, tuple[str, str]]]:
    rows = shards.rows(number)
    pixels = np.zeros((len(rows), shards.size, shards.size, 3), np.uint8)
    unreadable = {}
    for place, row in enumerate(rows):
        path, name = listing.path(row), f"{shards.part}/{listing.files[row][0]}"
        try:
            pixels[place] = np.asarray(_square(path, shards.size, listing.reading))
        except Unreadable as error:
            # Below the root, so that the index does not depend on where the original lay.
            unreadable[row] = (name, str(error).replace(path, name))
    return pixels, unreadable


def _square(path: str, size: int, reading: Reading) -> Image.Image:
    """Return the centre square of an image, resized."""
    with open_image(path, reading) as opened:
        stored, reduction = opened.size, reduction_for(opened.size, _OVERSAMPLING * size)
        orientation = orientation_of(opened) if reading.upright else 1
        image = decode(opened, reduction, reading)
    width, height = image.size
    if reading.exact and image.size != stored:
        width, height = stored[0] / reduction, stored[1] / reduction
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return turned(image.resize((size, size), Image.Resampling.BICUBIC, box), orientation)


def _write(shards: Shards, number: int, pixels: NDArray[np.uint8], unreadable: dict[int, tuple[str, str]]) -> Shard:
    content = io.BytesIO()
    np.save(content, pixels, allow_pickle=False)
    path = shards.path(number)
    write_whole(path, content.getbuffer())
    sha256 = sha256_of(path)
    write_whole(_record(path), json.dumps({"sha256": sha256, "unreadable": unreadable}).encode())
    return Shard(shards.part, number, sha256, unreadable)


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _recorded(shards: Shards, part: str, number: int) -> Shard | None:
    """Return what a preparation that was broken off noted of a shard."""
    record = _record(shards.path(number))
    if not record.is_file():
        return None
    noted = json.loads(record.read_text())
    return Shard(part, number, noted["sha256"], {int(row): tuple(why) for row, why in noted["unreadable"].items()})


def _known(out: Path) -> dict[tuple[str, int], Shard]:
    """Return what the index of a folder that was prepared to the end says of its shards."""
    if not (out / INDEX).is_file():
        return {}
    index = read_index(out)
    return {
        (name, number): Shard(
            name, number, sha, {row: part.unreadable[row] for row in shards.rows(number) if row in part.unreadable}
        )
        for (name, part), shards in zip(index.parts.items(), index.shards(out).values(), strict=True)
        for number, sha in enumerate(part.shards)
    }


@contextmanager
def _alone(out: Path, plan: dict[str, str | int]) -> Iterator[None]:
    """Let one process at a time prepare into a folder, and one plan alone."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with locked(out / ".lock", wait=False):
            for ours in (UNFINISHED, INDEX, "*.npy", "*.npy.json"):
                remove_leftovers(out, f"{ours}.*.tmp")
            _check_plan(out, plan)
            write_whole(out / UNFINISHED, json.dumps(plan).encode())
            yield
    except BlockingIOError:
        raise UserError(f"another process prepares {out} at this moment") from None
    except OSError as error:
        raise StorageError(f"cannot write to {out}: {error.strerror or error}") from error


def _check_plan(out: Path, plan: dict[str, str | int]) -> None:
    there: dict[str, str | int] | None = None
    if (out / INDEX).is_file():
        index = read_index(out)
        there = {"source": index.source, "size": index.size}
    elif (out / UNFINISHED).is_file():
        there = json.loads((out / UNFINISHED).read_text())
    elif any(path.name != ".lock" for path in out.iterdir()):
        raise UserError(f"{out} is not empty and holds no prepared data set; give a new folder")
    if there is not None and there != plan:
        what = "at another size" if there["source"] == plan["source"] else "of other images"
        raise UserError(f"{out} holds a data set that was prepared {what} (size {there['size']}); give a new folder")


def _check_room(out: Path, parts: Iterable[Shards]) -> None:
    needed = sum(
        shards.bytes(number) for shards in parts for number in range(len(shards)) if not shards.path(number).is_file()
    )
    free = shutil.disk_usage(out).free
    if needed > free:
        raise StorageError(
            f"{needed / 1e9:,.2f} GB are to be written to {out}, which has {free / 1e9:,.2f} GB free; make room, or "
            "choose a smaller --size"
        )


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))
