"""The folder that a preparation writes: who may write, what is there already, and whether it can be gone on with."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from dcasearch.architecture.specification import Frozen
from dcasearch.config.document import read_text
from dcasearch.data.originals import Originals
from dcasearch.data.prepared import INDEX, SOURCE, UNFINISHED, Plan, read_index
from dcasearch.data.shard_work import Shard, files_of
from dcasearch.data.shards import Shards
from dcasearch.errors import DataError, StorageError, UserError, mistakes_of
from dcasearch.files import locked


def record_of(path: Path) -> Path:
    """Return where a preparation that is not finished notes what it knows of a shard."""
    return path.with_name(f"{path.name}.json")


class _Record(Frozen):
    """What is noted beside a shard."""

    sha256: str
    unreadable: dict[int, Annotated[tuple[str, str], Field(strict=False)]]
    files: str = ""


def _recorded(shards: Shards, part: str, number: int) -> Shard | None:
    """Return what a preparation that was broken off noted of a shard."""
    record = record_of(shards.path(number))
    if not record.is_file():
        return None
    try:
        noted = _Record.model_validate_json(record.read_bytes())
    except ValidationError:  # broken: the shard is made again
        return None
    return Shard(part, number, noted.sha256, noted.unreadable, noted.files)


def known_shards(out: Path, parts: dict[str, Shards]) -> dict[tuple[str, int], Shard]:
    """Return what is noted of the shards that are there: by the index, and since by the preparation that made them."""
    known: dict[tuple[str, int], Shard] = {}
    if (out / INDEX).is_file():
        index = read_index(out)
        for name, shards in index.shards(out).items():
            part = index.parts[name]
            for number, sha in enumerate(part.shards):
                unreadable = {row: part.unreadable[row] for row in shards.rows(number) if row in part.unreadable}
                files = part.files[number] if part.files else ""
                known[name, number] = Shard(name, number, sha, unreadable, files)
    for name, shards in parts.items():
        for number in range(len(shards)):
            if (recorded := _recorded(shards, name, number)) is not None:
                known[name, number] = recorded
    return known


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Let one process at a time prepare into a folder."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with locked(out / ".lock", wait=False):
            for ours in (UNFINISHED, INDEX, SOURCE, "*.npy", "*.npy.json"):
                for left in out.glob(f"{ours}.*.tmp"):  # nobody else writes here now, on whatever machine it was
                    left.unlink(missing_ok=True)
            yield
    except BlockingIOError:
        raise UserError(f"another process prepares {out} at this moment") from None
    except OSError as error:
        raise StorageError(f"cannot write to {out}: {error.strerror or error}") from error


def plan_of(out: Path) -> Plan | None:
    """Return how a folder is or was prepared; None of a new one."""
    if (out / UNFINISHED).is_file():
        try:
            return Plan.model_validate_json(read_text(out / UNFINISHED))
        except ValidationError as error:
            raise DataError(f"{out / UNFINISHED} is no plan: {mistakes_of(error, 'it')[0]}; delete {out}") from None
    if (out / INDEX).is_file():
        index = read_index(out)
        return Plan(source=index.source, size=index.size, reading=index.reading, upright=index.upright)
    return None


def check_plan(
    out: Path,
    there: Plan | None,
    plan: Plan,
    known: Mapping[tuple[str, int], Shard],
    originals: Originals,
) -> None:
    """Look whether what a folder holds can be gone on with.

    Raises:
        UserError: it holds something else, or images of another size, another source or another rotation.
    """
    if there is None:
        if any(path.name != ".lock" for path in out.iterdir()):
            raise UserError(f"{out} is not empty and holds no prepared data set; give a new folder")
        return
    if there.size != plan.size:
        raise UserError(f"{out} holds a data set that was prepared at another size ({there.size}); give a new folder")
    if there.upright not in (None, plan.upright):
        turned = "with" if there.upright else "without"
        raise UserError(f"{out} holds a data set that was prepared {turned} the rotation in EXIF; give a new folder")
    if there.source == plan.source or not known:
        return
    listings = originals.listings
    sizes = {name: Shards(out, name, plan.size, len(listing.files)) for name, listing in listings.items()}
    same = [
        shard.files == files_of(listings[name], sizes[name], number)
        for (name, number), shard in known.items()
        if shard.files and name in sizes and number < len(sizes[name])
    ]
    old = (out / INDEX).is_file() and read_index(out).classes != list(originals.classes)
    if old or not (any(same) or _is_one_shard(known)):
        raise UserError(
            f"{out} holds a data set that was prepared of other images (size {there.size}); give a new folder"
        )


def _is_one_shard(known: Mapping[tuple[str, int], Shard]) -> bool:
    """Return whether each part is so small that its one shard says nothing of which files stayed."""
    return all(number == 0 and shard.files for (_, number), shard in known.items())


def check_room(out: Path, parts: Iterable[Shards]) -> None:
    """Look whether the shards that are not there yet will fit.

    Raises:
        StorageError: the disk has less free.
    """
    needed = sum(
        shards.bytes(number) for shards in parts for number in range(len(shards)) if not shards.path(number).is_file()
    )
    free = shutil.disk_usage(out).free
    if needed > free:
        raise StorageError(
            f"{needed / 1e9:,.2f} GB are to be written to {out}, which has {free / 1e9:,.2f} GB free; make room, or "
            "choose a smaller --size"
        )
