"""The state of a training, after an epoch or within one: what a resumed one goes on from.

Read without running any code of it.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from dcasearch.artifacts import Place, delete, move, read_bytes, write_atomically
from dcasearch.evaluation import Epoch, EvaluationKey

logger = logging.getLogger(__name__)

_FORMAT = 2
_READABLE = (1, 2)
"""Format 1 has no state within an epoch."""


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
    """Replace the checkpoint at `path`.

    Raises:
        StorageError: it cannot be written; the one before is still there.
    """
    middle = checkpoint.middle
    content = {
        "format": _FORMAT,
        "model": checkpoint.model,
        "optimizer": checkpoint.optimizer,
        "ema": checkpoint.ema,
        "history": [asdict(epoch) for epoch in checkpoint.history],
        "images": list(checkpoint.images),
        "continued": checkpoint.continued,
        "middle": None if middle is None else {**vars(middle), "ranks": [vars(rank) for rank in middle.ranks]},
    }
    write_atomically(path, lambda unfinished: torch.save(content, unfinished))


def read_checkpoint(path: Place) -> bytes | None:
    """Return the content of the checkpoint at `path`, or None if there is none.

    A broken one, or a newer version's, is named in a warning and moved aside; the training then starts anew.
    """
    content = read_bytes(path)
    if content is None:
        return None
    try:
        parse_checkpoint(content, torch.device("cpu"))
    except Exception as error:  # torch's unpickler raises whatever broken or foreign content leads it to
        aside = path.with_suffix(".broken")
        move(path, aside.name)
        # Not torch's own words: they advise to load it in a way that may run its code.
        reason = str(error) if isinstance(error, UnknownFormat) else type(error).__name__
        logger.warning("cannot read checkpoint %s (%s): moved to %s, training starts anew", path, reason, aside.name)
        return None
    return content


class UnknownFormat(ValueError):
    """A checkpoint of a format that this version does not know."""


def parse_checkpoint(content: bytes, device: torch.device) -> Checkpoint:
    """Return the checkpoint that the bytes hold, its tensors on the device."""
    loaded = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    if loaded["format"] not in _READABLE:
        raise UnknownFormat(f"its format is {loaded['format']}, this version knows {_FORMAT}")
    return Checkpoint(
        model=loaded["model"],
        optimizer=loaded["optimizer"],
        ema=loaded["ema"],
        history=tuple(Epoch(**epoch) for epoch in loaded["history"]),
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
