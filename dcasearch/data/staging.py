"""A copy of the data on a node's own disk, made once by whichever process of the node comes first."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

from dcasearch.config.data_set import Data
from dcasearch.data.scratch import alone
from dcasearch.errors import StorageError
from dcasearch.files import expanded

logger = logging.getLogger(__name__)

_COPIES_AT_ONCE = 8
"""Small files of shared storage wait for the network more than for the disk."""
Files: TypeAlias = dict[str, int]
"""Path below the root -> bytes."""


def root_of(data: Data) -> str | None:
    """Return the folder to read: the staged copy where there is one, else the data's own."""
    target = _target(data)
    return str(target) if target is not None and target.is_dir() else data.root


def stage(data: Data) -> None:
    """Copy the data's folder to `data.stage`, unless it is there or nothing asks for it; wait if another process does.

    The copy appears complete or not at all; one that was broken off is gone on with.

    Raises:
        StorageError: it is larger than `data.stage_limit` or than the disk, or cannot be copied.
    """
    target = _target(data)
    if target is None or target.is_dir() or data.root is None:
        return
    source = expanded(data.root)
    if not source.is_dir():
        return  # who opens the data says what is missing
    try:
        with alone(target):
            if not target.is_dir():
                _copy(source, target, data.stage_limit)
    except OSError as error:
        raise StorageError(f"data.stage: cannot copy {source} to {target}: {error}") from error


def _target(data: Data) -> Path | None:
    if data.stage is None or data.root is None:
        return None
    root = os.path.abspath(expanded(data.root))
    identity = hashlib.sha256(root.encode()).hexdigest()[:8]
    return expanded(data.stage) / f"{Path(root).name}-{identity}"


def _copy(source: Path, target: Path, limit: float | None) -> None:
    unfinished = target.with_name(f"{target.name}.part")
    files, there = _files(source), _files(unfinished)
    missing = [name for name, size in files.items() if there.get(name) != size]
    for name in there.keys() - files.keys():  # a copy that was broken off, of what the source no longer has
        (unfinished / name).unlink()
    _check_room(source, target, sum(files.values()), sum(files[name] for name in missing), limit)
    logger.info("copying %d files of %s to %s", len(missing), source, target)
    for folder in {Path(name).parent for name in missing}:
        (unfinished / folder).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_COPIES_AT_ONCE) as pool:
        for _ in pool.map(lambda name: shutil.copyfile(source / name, unfinished / name), missing):
            pass  # an error is raised here
    copied = _files(unfinished)
    if copied != files:
        shutil.rmtree(unfinished)
        raise StorageError(
            f"data.stage: the copy of {source} has {len(copied)} files of {sum(copied.values()):,} bytes, not "
            f"{len(files)} of {sum(files.values()):,}: the data has changed meanwhile; run the same command again"
        )
    unfinished.rename(target)


def _check_room(source: Path, target: Path, total: int, missing: int, limit: float | None) -> None:
    if limit is not None and total > limit:
        raise StorageError(
            f"data.stage: {source} has {total / 1e9:,.2f} GB, more than the data.stage_limit of {limit / 1e9:,.2f} GB; "
            "raise it, or leave `stage` out to read the data where it is"
        )
    free = shutil.disk_usage(target.parent).free
    if missing > free:
        raise StorageError(
            f"data.stage: {missing / 1e9:,.2f} GB of {source} are to be copied and {target.parent} has "
            f"{free / 1e9:,.2f} GB free; make room, or leave `stage` out to read the data where it is"
        )


def _files(root: Path) -> Files:
    found: Files = {}
    for folder, _, names in os.walk(root, followlinks=True):
        for name in names:
            path = Path(folder) / name
            found[path.relative_to(root).as_posix()] = path.stat().st_size
    return found
