"""The state of a training after an epoch: what a resumed one goes on from. Read without running any code of it."""

from __future__ import annotations

import logging
import pickle
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from dcasearch.evaluation import Epoch, EvaluationKey
from dcasearch.training.files import write_atomically

logger = logging.getLogger(__name__)

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything that the epochs to come depend on, and what the past ones measured."""

    model: dict[str, Any]
    optimizer: dict[str, Any]
    ema: dict[str, Any] | None
    history: tuple[Epoch, ...]
    images: tuple[int, ...]
    """Training images seen, per epoch."""


def checkpoint_path(key: EvaluationKey, artifacts: Path) -> Path:
    """Return where a training's checkpoint lies."""
    return artifacts / "checkpoints" / f"{key.id}.pt"


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Replace the checkpoint at `path`.

    Raises:
        StorageError: it cannot be written; the one before is still there.
    """
    content = {
        "format": _FORMAT,
        "model": checkpoint.model,
        "optimizer": checkpoint.optimizer,
        "ema": checkpoint.ema,
        "history": [asdict(epoch) for epoch in checkpoint.history],
        "images": list(checkpoint.images),
    }
    write_atomically(path, lambda unfinished: torch.save(content, unfinished))


def load_checkpoint(path: Path, device: torch.device) -> Checkpoint | None:
    """Return the checkpoint at `path`, or None if there is none.

    A broken one is named in a warning and moved aside; the training then starts anew.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        if content["format"] != _FORMAT:
            raise ValueError(f"format {content['format']}, not {_FORMAT}")
        return Checkpoint(
            model=content["model"],
            optimizer=content["optimizer"],
            ema=content["ema"],
            history=tuple(Epoch(**epoch) for epoch in content["history"]),
            images=tuple(content["images"]),
        )
    # What torch.load and the lines above raise on broken or foreign content.
    except (
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        aside = path.with_suffix(".broken")
        path.replace(aside)
        # Not torch's own words: they advise to load it in a way that may run its code.
        reason = type(error).__name__
        logger.warning("cannot read checkpoint %s (%s): moved to %s, training starts anew", path, reason, aside.name)
        return None


def discard(key: EvaluationKey, artifacts: Path) -> None:
    """Delete a training's checkpoint: to be called once its evaluation is recorded. Safe to repeat."""
    path = checkpoint_path(key, artifacts)
    for file in (path, path.with_suffix(".broken"), *path.parent.glob(f"{path.name}.*.tmp")):
        file.unlink(missing_ok=True)
