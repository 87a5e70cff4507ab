"""The files of a study that is renamed or deleted, and those that nothing needs any more.

A file is named by the id of its evaluation. Several databases may share a folder of artifacts, so an id that this
database does not know may be another one's.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcasearch.artifacts import Place, leftovers, open_artifacts, size_of
from dcasearch.bounds import STORED
from dcasearch.config.study import Study
from dcasearch.errors import DcasearchError, StudyLocked
from dcasearch.files import remove
from dcasearch.search.retention import Disk
from dcasearch.search.sharing import is_unfinished
from dcasearch.store import Store, StoredStudy
from dcasearch.training import checkpoint_ids

_NAMES = {"checkpoints": "checkpoint", "weights": "weights"}
"""Folder of the artifacts -> what each of its files is."""
_READINGS = "interpretation"


@dataclass(frozen=True)
class Found:
    """One file or folder that may be deleted."""

    place: Place
    size: int
    """Bytes."""
    why: str
    """What it is, in words."""


@dataclass(frozen=True)
class Cleaning:
    """What `clean` finds in the artifacts of all studies of a database."""

    unneeded: tuple[Found, ...]
    """Nothing needs these any more."""
    orphans: tuple[Found, ...]
    """No study of this database names these; they may be another database's."""
    reasons: tuple[str, ...]
    """Why orphans cannot be told at this moment, a sentence each; empty where they can be."""


class _Unjudged(Exception):
    """Which files belong to a study cannot be told; the message says why."""


def artifacts_of(stored: StoredStudy) -> Place | None:
    """Return the artifacts of a stored study, also of one that this version cannot read; None where it names none."""
    try:
        plain: Any = json.loads(stored.resolved)
    except ValueError:
        return None
    location = plain.get("artifacts") if isinstance(plain, dict) else None
    return open_artifacts(location) if isinstance(location, str) else None


def evaluations_of(store: Store, stored: StoredStudy) -> set[str]:
    """Return the evaluations of a study that no other study of the database counts on, with a record or without."""
    ids = set(store.holdings(stored.name).evaluations)
    try:
        begun = _disk(store, stored).unrecorded()
        others = [_disk(store, other).unrecorded() for other in store.studies() if other.name != stored.name]
    except _Unjudged:
        return ids  # a checkpoint that failed trainings left may stay; `clean` then lists it
    shared = store.users(begun)
    return ids | begun.difference(*others, (entry.evaluation for entry in shared if entry.study != stored.name))


def files_of(artifacts: Place, ids: Collection[str], study: str | None = None) -> list[Found]:
    """Return the stored files of these evaluations, and the readings of a study."""
    found = [_found(place, _NAMES[folder]) for folder, place in _files(artifacts, ids)]
    if study is not None and _is_plain(study):
        found += [_found(place, "reading") for place in _inside(artifacts / _READINGS / study)]
    return found


def remove_found(found: Collection[Found]) -> None:
    """Delete files and folders; safe to repeat."""
    for one in found:
        if isinstance(one.place, Path):
            remove(one.place)
        elif one.place.is_dir():
            one.place.fs.rm(one.place.path, recursive=True)
        else:
            one.place.unlink(missing_ok=True)
    for folder in {one.place.parent for one in found if one.why == "reading"}:
        with suppress(OSError):  # something else lies there, or the object store has no folders
            folder.rmdir()


def move_readings(artifacts: Place, old: str, new: str) -> None:
    """Let what was read of a study's networks follow its name; safe to repeat."""
    source, target = artifacts / _READINGS / old, artifacts / _READINGS / new
    if not _is_plain(old) or not source.is_dir():
        return
    target.mkdir(parents=True, exist_ok=True)
    for place in _inside(source):
        moved = str(target / place.name)
        if isinstance(place, Path):
            place.replace(moved)
        else:
            place.fs.mv(str(place), moved)
    with suppress(OSError):
        source.rmdir()


@contextmanager
def holding_all(store: Store) -> Iterator[list[str]]:
    """Keep every study of a database from being run in the block; give the names of those that run already."""
    running: list[str] = []
    with ExitStack() as stack:
        for study in store.studies():
            try:
                stack.enter_context(store.lease(study.name, noted=False))
            except StudyLocked:
                running.append(study.name)
        yield running


def cleaning_of(store: Store, running: Collection[str], also: Place | None = None) -> Cleaning:
    """Return what can be deleted of the artifacts of all studies of a database, under `holding_all`.

    A checkpoint is unneeded once its training has ended, unless a later fidelity or `dcasearch retry` of any study may
    go on from it.

    Args:
        store: the database.
        running: studies that another process runs: none of their files is told to be an orphan.
        also: a further folder of artifacts, e.g. of a study whose rows are deleted and whose files are not.
    """
    studies = store.studies()
    reasons = [f"Study '{name}' runs" for name in sorted(running)]
    disks: dict[str, Disk] = {}
    wanted: set[str] = set()
    begun: set[str] = set()
    for stored in studies:
        try:
            disks[stored.name] = _disk(store, stored)
            wanted |= disks[stored.name].wanted()
            begun |= disks[stored.name].unrecorded()
        except _Unjudged as error:
            reasons.append(f"Study '{stored.name}' {error}")
    judged = len(disks) == len(studies)
    unneeded: list[Found] = []
    orphans: list[Found] = []
    folders = _by_artifacts(studies)
    if also is not None:
        folders.setdefault(also, [])
    for artifacts, names in folders.items():
        left = [place for folder in _NAMES for place in leftovers(artifacts / folder)]
        unneeded += [_found(place, "unfinished file of a dead process") for place in left]
        if not judged:
            continue
        stored_ids = checkpoint_ids(artifacts)
        over: set[str] = set()
        for name in names:
            if name not in running:
                over |= disks[name].ended(stored_ids)
        over -= wanted
        files = [(folder, place) for folder, place in _files(artifacts) if place not in left]
        ids = {_id(place) for _, place in files}
        known = store.recorded(ids) | wanted | begun
        for folder, place in files:
            if folder == "checkpoints" and _id(place) in over:
                unneeded.append(_found(place, "checkpoint of a training that has ended"))
            elif _id(place) not in known and not place.name.endswith(".tmp"):
                orphans.append(_found(place, "of no study of this database"))
        orphans += _readings_of_none(artifacts, {study.name for study in studies})
    return Cleaning(tuple(unneeded), tuple(orphans), tuple(reasons))


def _readings_of_none(artifacts: Place, names: Collection[str]) -> list[Found]:
    places = [place for place in _inside(artifacts / _READINGS) if place.name not in names]
    return [_found(place, "readings of no study of this database") for place in places]


def _is_plain(study: str) -> bool:
    """Tell whether a study's name is that of a folder and no way to another one: a stranger's database may say `..`."""
    return Path(study).name == study and study != ".."


def _by_artifacts(studies: Collection[StoredStudy]) -> dict[Place, list[str]]:
    found: dict[Place, list[str]] = {}
    for stored in studies:
        place = artifacts_of(stored)
        if place is not None:
            found.setdefault(place, []).append(stored.name)
    return found


def _disk(store: Store, stored: StoredStudy) -> Disk:
    """Return what says which checkpoints a study needs.

    Raises:
        _Unjudged: that cannot be told.
    """
    try:
        study = Study.model_validate_json(stored.resolved, context=STORED)
    except ValueError:
        raise _Unjudged("was written by another version, or is damaged") from None
    artifacts, data = artifacts_of(stored), stored.meaning.get("data")
    if artifacts is None or not isinstance(data, str):
        raise _Unjudged("does not say which images it is of")
    for role in store.roles(stored.name):
        if study.final_split(role.seed) != 0 and (is_unfinished(role) or role.failure is not None):
            raise _Unjudged("has final trainings on splits of their own that have not ended well")
    disk = Disk(study, store, artifacts, data)
    try:
        disk.unrecorded()
    except DcasearchError as error:
        raise _Unjudged(f"cannot be judged: {error}") from error
    return disk


def _files(artifacts: Place, ids: Collection[str] | None = None) -> Iterator[tuple[str, Place]]:
    """Yield the files of checkpoints and weights, each with its folder's name; of these evaluations, or all."""
    for folder in _NAMES:
        for file in _inside(artifacts / folder):
            if ids is None or _id(file) in ids:
                yield folder, file


def _inside(folder: Place) -> list[Place]:
    """Return what a folder holds, by name; nothing where there is no such folder."""
    found: list[Place] = []
    if folder.is_dir():
        found.extend(folder.iterdir())
    return sorted(found, key=lambda place: place.name)


def _id(place: Place) -> str:
    return place.name.split(".")[0]


def _found(place: Place, why: str) -> Found:
    inside = [file for file in place.rglob("*") if file.is_file()] if place.is_dir() else [place]
    return Found(place, sum(map(size_of, inside)), why)
