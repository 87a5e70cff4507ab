"""Decodes and resizes the images of a folder or of a study once, into shards that are read without decoding.

Whatever is killed is gone on with: a shard appears whole, by a rename, with its checksum beside it, and the index comes
last. Where the source was repaired, shards of files that did not change stay, and files that could not be read are
tried again. Shards are made by loader processes, which die with the process that started them.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dcasearch.config.data_set import NEWEST_READING, ReadingVersion
from dcasearch.data.images import Corrupt
from dcasearch.data.listing import Listing
from dcasearch.data.origin import Origin, noted, originals_of
from dcasearch.data.prepared import INDEX, SOURCE, UNFINISHED, Index, PartIndex, Plan
from dcasearch.data.prepared_folder import alone, check_plan, check_room, known_shards, plan_of, record_of
from dcasearch.data.shard_work import Observer, Shard, Step, decoded, files_of, work
from dcasearch.data.shards import Shards, sha256_of
from dcasearch.errors import StorageError, UserError
from dcasearch.files import write_whole


def prepare(
    origin: Origin, out: Path, *, size: int, workers: int, max_corrupt: float, observe: Observer = lambda step: None
) -> Index:
    """Decode and resize every image of an origin into `out`; goes on where it was broken off, mends what is damaged.

    Args:
        origin: a folder of images by class, in parts or in one piece, ImageNet's flat val with its ground truth among
            them; or the data of a study, which may be a list, too.
        out: the folder to make.
        size: pixels per side: the shorter side is resized to it (bicubic), and the centre square cut out.
        workers: processes; 0 works in this one.
        max_corrupt: share of unreadable images over which it stops.
        observe: called after every shard.

    Raises:
        DataError: the origin holds no such images, or too many images are unreadable.
        UserError: `out` holds something else, or another process works there.
        StorageError: the disk is full or cannot be written to.
    """
    there = plan_of(out)
    originals = originals_of(origin, _version(origin, out, there))
    listings, reading = originals.listings, originals.reading
    parts = {name: Shards(out, name, size, len(listing.files)) for name, listing in listings.items()}
    plan = Plan(source=originals.fingerprint, size=size, reading=reading.version, upright=reading.upright)
    with alone(out):
        known = known_shards(out, parts)
        check_plan(out, there, plan, known, originals)
        write_whole(out / UNFINISHED, plan.model_dump_json().encode())
        write_whole(out / SOURCE, noted(origin).encode())
        check_room(out, parts.values())
        jobs = [(name, number) for name, shards in parts.items() for number in range(len(shards))]
        make = _Make(listings, parts, known, jobs, same_source=there is not None and there.source == plan.source)
        done = _observed(work(make, workers), parts, max_corrupt, observe)
        index = Index(
            size=size,
            source=plan.source,
            reading=reading.version,
            upright=reading.upright,
            passed_over=originals.notes,
            classes=list(originals.classes),
            parts={name: _index_of(name, listing, done) for name, listing in listings.items()},
        )
        write_whole(out / INDEX, index.as_json())
        held = {shards.path(number) for shards in parts.values() for number in range(len(shards))}
        for path in (out / UNFINISHED, *out.glob("*.npy.json"), *(set(out.glob("*.npy")) - held)):
            path.unlink(missing_ok=True)
    return index


def _version(origin: Origin, out: Path, there: Plan | None) -> ReadingVersion:
    """Return how files are read: as the study says, else as the folder was begun."""
    if isinstance(origin, Path):
        return NEWEST_READING if there is None else there.reading
    if there is not None and there.reading != origin.reading:
        raise UserError(
            f"{out} holds a data set that was prepared with data.reading {there.reading}, and the study has "
            f"{origin.reading}; give a new folder"
        )
    return origin.reading


def _index_of(name: str, listing: Listing, done: dict[tuple[str, int], Shard]) -> PartIndex:
    shards = [done[key] for key in sorted(done) if key[0] == name]
    return PartIndex(
        images_per_class=np.bincount(listing.labels, minlength=len(listing.classes)).tolist(),
        shards=[shard.sha256 for shard in shards],
        files=tuple(shard.files for shard in shards),
        unreadable={row: why for shard in shards for row, why in shard.unreadable.items()},
        groups=listing.groups,
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
            corrupt.note(path, reason)
        done[shard.part, shard.number] = shard
        observe(Step(shard, len(parts[shard.part].rows(shard.number)), total))
    corrupt.check()  # once all are known, so that one pass names every one of them
    return done


class _Make(Dataset[Shard]):
    """Makes each shard, unless it is there."""

    def __init__(
        self,
        listings: Mapping[str, Listing],
        parts: dict[str, Shards],
        known: dict[tuple[str, int], Shard],
        jobs: list[tuple[str, int]],
        *,
        same_source: bool,
    ) -> None:
        self._listings, self._parts, self._known, self._jobs = listings, parts, known, jobs
        self._same_source = same_source

    def __len__(self) -> int:
        return len(self._jobs)

    def __getitem__(self, job: int) -> Shard:
        part, number = self._jobs[job]
        shards, listing = self._parts[part], self._listings[part]
        files = files_of(listing, shards, number)
        try:
            known = self._known.get((part, number))
            if known is not None and self._stays(known, shards, files):
                return _retried(replace(known, files=files), listing, shards)
            return _write(shards, number, files, *decoded(listing, shards, number))
        except OSError as error:
            return Shard(part, number, problem=f"cannot write {shards.path(number)}: {error.strerror or error}")

    def _stays(self, known: Shard, shards: Shards, files: str) -> bool:
        """Return whether a shard is there, whole, and of the files that are there now."""
        path = shards.path(known.number)
        same = known.files == files or (not known.files and self._same_source)
        return same and path.is_file() and sha256_of(path) == known.sha256


def _retried(known: Shard, listing: Listing, shards: Shards) -> Shard:
    """Return a shard that stays, after another attempt at what could not be read."""
    pixels, still = decoded(listing, shards, known.number, known.unreadable)
    mended = known.unreadable.keys() - still.keys()
    if not mended:
        return replace(known, kept=True)
    first = shards.rows(known.number).start
    content = np.load(shards.path(known.number), allow_pickle=False)
    for row in mended:
        content[row - first] = pixels[row - first]
    return _write(shards, known.number, known.files, content, still)


def _write(
    shards: Shards, number: int, files: str, pixels: NDArray[np.uint8], unreadable: dict[int, tuple[str, str]]
) -> Shard:
    content = io.BytesIO()
    np.save(content, pixels, allow_pickle=False)
    path = shards.path(number)
    write_whole(path, content.getbuffer())
    sha256 = sha256_of(path)
    write_whole(record_of(path), json.dumps({"sha256": sha256, "files": files, "unreadable": unreadable}).encode())
    return Shard(shards.part, number, sha256, unreadable, files)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))
