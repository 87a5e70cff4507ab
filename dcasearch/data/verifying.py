"""Whether a prepared folder is what was written, and what is in the original images today."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from dcasearch.config.document import read_text
from dcasearch.data.listing import Listing
from dcasearch.data.origin import Origin, noted_origin, originals_of
from dcasearch.data.prepared import INDEX, SOURCE, Index, is_prepared, read_index
from dcasearch.data.reading import READINGS
from dcasearch.data.shard_work import Observer, Shard, Step, decoded, work
from dcasearch.data.shards import Shards, sha256_of
from dcasearch.errors import DataError
from dcasearch.wording import counted


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
    for shard in work(_Compare(parts, index), workers):
        observe(Step(shard, len(parts[shard.part].rows(shard.number)), total))
        if shard.problem is not None:
            problems.append(shard.problem)
    return sorted(problems)


def verify_source(
    folder: Path, origin: Origin | None, *, workers: int, observe: Observer = lambda step: None
) -> list[str]:
    """Decode the original images again and compare them with a prepared folder, pixel by pixel.

    So content is seen that changed while the size of its file did not, which names and sizes cannot tell.

    Args:
        folder: The prepared folder.
        origin: The folder of the original images, or the data of a study that names them; by default what was prepared,
            where it lay then.
        workers: Processes.
        observe: Called after every shard.

    Returns:
        What differs, a line each.

    Raises:
        DataError: the folder is no prepared data set, or the original images are not there.
    """
    if not is_prepared(folder):
        raise DataError(f"{folder} is no prepared data set: it has no {INDEX}")
    index = read_index(folder)
    if origin is None:
        line = folder / SOURCE
        if not line.is_file():
            raise DataError(f"{folder} does not say where its original images lie; name their folder with --source")
        origin = noted_origin(read_text(line))
    reading = replace(READINGS[index.reading], upright=index.upright)
    originals = originals_of(origin, index.reading)
    listings = {name: replace(listing, reading=reading) for name, listing in originals.listings.items()}
    odd = list(_other_numbers(listings, index))
    if odd:
        return odd
    parts = index.shards(folder)
    total = sum(shards.images for shards in parts.values())
    problems = []
    for shard in work(_Again(listings, parts, index), workers):
        observe(Step(shard, len(parts[shard.part].rows(shard.number)), total))
        problems += [] if shard.problem is None else shard.problem.splitlines()
    return sorted(problems)


def _other_numbers(listings: Mapping[str, Listing], index: Index) -> Iterator[str]:
    """Yield each part that has another number of originals today than were prepared; perhaps none on one side."""
    for name in {**index.parts, **listings}:
        there = len(listings[name].files) if name in listings else 0
        before = index.parts[name].images if name in index.parts else 0
        if there != before:
            today = counted(there, "original image is", "original images are")
            yield f"{name}: {today} there today, {before:,} were prepared"


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


class _Again(Dataset[Shard]):
    """Decodes the originals of each shard again and compares the pixels."""

    def __init__(self, listings: dict[str, Listing], parts: dict[str, Shards], index: Index) -> None:
        self._listings, self._parts, self._index = listings, parts, index
        self._jobs = [(name, n) for name, part in index.parts.items() for n in range(len(part.shards))]

    def __len__(self) -> int:
        return len(self._jobs)

    def __getitem__(self, job: int) -> Shard:
        part, number = self._jobs[job]
        shards, listing = self._parts[part], self._listings[part]
        try:
            stored = shards.mapped(number)
        except (DataError, OSError) as error:
            return Shard(part, number, problem=str(error))
        pixels, unreadable = decoded(listing, shards, number)
        before = self._index.parts[part].unreadable
        problems = []
        for place, row in enumerate(shards.rows(number)):
            name = listing.name(row)
            if (row in unreadable) != (row in before):
                problems.append(f"{name}: {'can be read' if row in before else 'cannot be read'} now")
            elif not np.array_equal(pixels[place], stored[place]):
                problems.append(f"{name}: its content is not what was prepared")
        return Shard(part, number, problem="\n".join(problems) or None)
