"""The state of a training, after an epoch or within one: what a resumed one goes on from.

It carries the id of its training's key and a checksum. It is read without running any code of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dcasearch.artifacts import Place, delete, move, read_bytes, write_atomically
from dcasearch.errors import StorageError
from dcasearch.evaluation import Epoch, EvaluationKey
from dcasearch.models.torch_files import load_tensors
from dcasearch.training.binding import Unfit, check_whole, digest_of

logger = logging.getLogger(__name__)

_FORMAT = 3
_READABLE = (1, 2, 3)
"""Format 1 has no state within an epoch; 1 and 2 have no key and no checksum, and belong to whom their name says."""


@dataclass(frozen=True, eq=False)
class RankState:
    """What one rank alone knows within an epoch."""

    loss: Tensor
    """Sum over its images."""
    images: int
    random: list[Tensor]
    """State of torch's generators."""


@dataclass(frozen=True, eq=False)
class MidEpoch:
    """How far the epoch after the history's last one has come."""

    batches: int
    """Passed to the optimiser."""
    seconds: float
    """Spent on it so far."""
    ranks: tuple[RankState, ...]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything that the steps to come depend on, and what the past ones measured."""

    model: dict[str, Any]
    optimizer: dict[str, Any]
    ema: dict[str, Any] | None
    history: tuple[Epoch, ...]
    images: tuple[int, ...]
    """Training images seen, per epoch."""
    middle: MidEpoch | None = None
    """None between two epochs."""
    continued: int = 0
    """Epochs at the beginning of the history that the training of a smaller budget made."""


def checkpoint_path(key: EvaluationKey, artifacts: Place) -> Place:
    """Return where a training's checkpoint lies."""
    return checkpoint_of(key.id, artifacts)


def checkpoint_of(id: str, artifacts: Place) -> Place:
    """Return where the checkpoint of the training with that key's id lies."""
    return artifacts / "checkpoints" / f"{id}.pt"


def checkpoint_ids(artifacts: Place) -> set[str]:
    """Return the ids of the keys of all checkpoints in the store; one look, also at an object store."""
    folder = artifacts / "checkpoints"
    return {place.name.split(".")[0] for place in folder.iterdir()} if folder.is_dir() else set()


def save_checkpoint(checkpoint: Checkpoint, path: Place) -> None:
    """Replace the checkpoint at `path`, whose name is the id of the training's key.

    Raises:
        StorageError: it cannot be written; the one before is still there.
    """
    middle = checkpoint.middle
    content = {
        "format": _FORMAT,
        "key": path.stem,
        "model": checkpoint.model,
        "optimizer": checkpoint.optimizer,
        "ema": checkpoint.ema,
        "history": [epoch.flat() for epoch in checkpoint.history],
        "images": list(checkpoint.images),
        "continued": checkpoint.continued,
        "middle": None if middle is None else {**vars(middle), "ranks": [vars(rank) for rank in middle.ranks]},
    }
    signed = {**content, "sha256": digest_of(content)}
    write_atomically(path, lambda unfinished: torch.save(signed, unfinished))


def read_checkpoint(path: Place, check: Callable[[Checkpoint], None] = lambda checkpoint: None) -> bytes | None:
    """Return the content of the checkpoint at `path`, or None if there is none.

    One that is broken, a newer version's, another training's, or that no training can have written is named in a
    warning and moved aside; the training then starts anew.

    Args:
        path: its name is the id of the training's key.
        check: raises where the checkpoint does not fit the training (`Fit.check`).

    Raises:
        StorageError: it cannot be read, or not moved aside.
    """
    content = read_bytes(path)
    if content is None:
        return None
    try:
        loaded = _loaded(content, torch.device("cpu"))
        _check_signed(loaded, path.stem)
        checkpoint = _made_of(loaded)
        check_whole(checkpoint)
        check(checkpoint)
    except Exception as error:  # torch's unpickler raises whatever broken or foreign content leads it to
        # Not torch's own words: they advise to load it in a way that may run its code.
        _set_aside(path, str(error) if isinstance(error, Unfit) else type(error).__name__)
        return None
    return content


def _check_signed(loaded: Mapping[str, Any], id: str) -> None:
    """Raise Unfit where a checkpoint is of another key, or was changed after it was written."""
    if loaded["format"] < 3:
        return
    if loaded["key"] != id:
        raise Unfit(f"it is of another training, {loaded['key']}")
    if loaded["sha256"] != digest_of({name: value for name, value in loaded.items() if name != "sha256"}):
        raise Unfit("its checksum is wrong")


def _set_aside(path: Place, reason: str) -> None:
    aside = path.with_suffix(".broken")
    try:
        with suppress(FileNotFoundError):  # another process was faster
            move(path, aside.name)
    except OSError as error:
        raise StorageError(f"cannot move {path} aside, which cannot be used ({reason}): {error}") from error
    logger.warning("cannot use checkpoint %s (%s): moved to %s, training starts anew", path, reason, aside.name)


class UnknownFormat(Unfit):
    """A checkpoint of a format that this version does not know."""


def parse_checkpoint(content: bytes, device: torch.device) -> Checkpoint:
    """Return the checkpoint that the bytes hold, its tensors on the device; `read_checkpoint` has checked them."""
    return _made_of(_loaded(content, device))


def _loaded(content: bytes, device: torch.device) -> dict[str, Any]:
    loaded: dict[str, Any] = load_tensors(content, device)
    if loaded["format"] not in _READABLE:
        raise UnknownFormat(f"its format is {loaded['format']}, this version knows {_FORMAT}")
    return loaded


def _made_of(loaded: Mapping[str, Any]) -> Checkpoint:
    return Checkpoint(
        model=loaded["model"],
        optimizer=loaded["optimizer"],
        ema=loaded["ema"],
        history=tuple(map(Epoch.from_flat, loaded["history"])),
        images=tuple(loaded["images"]),
        middle=_middle(loaded.get("middle")),
        continued=loaded.get("continued", 0),
    )


def _middle(content: Mapping[str, Any] | None) -> MidEpoch | None:
    if content is None:
        return None
    ranks = tuple(RankState(**rank) for rank in content["ranks"])
    return MidEpoch(content["batches"], content["seconds"], ranks)


def discard(key: EvaluationKey, artifacts: Place) -> None:
    """Delete a training's checkpoint: to be called once its evaluation is recorded. Safe to repeat."""
    discard_of(key.id, artifacts)


def discard_of(id: str, artifacts: Place) -> None:
    """As `discard`, by the id of the key."""
    path = checkpoint_of(id, artifacts)
    delete(path)
    delete(path.with_suffix(".broken"))
