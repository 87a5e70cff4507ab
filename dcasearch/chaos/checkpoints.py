"""What checkpoints held when something was killed: none of it may be trained again."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import torch

from dcasearch.training.checkpoint import parse_checkpoint, read_checkpoint

Saved: TypeAlias = dict[str, list[float]]
"""By an evaluation's id, the measured seconds of each epoch that was found in a checkpoint of it."""


def note_saved(artifacts: Path, saved: Saved) -> None:
    """Add what the checkpoints of an artifact store hold now; of an epoch the seconds that were seen first count."""
    for path in sorted((artifacts / "checkpoints").glob("*.pt")):
        content = read_checkpoint(path)
        if content is not None:  # its training has just ended
            history = parse_checkpoint(content, torch.device("cpu")).history
            known = saved.setdefault(path.stem, [])
            known += [epoch.seconds for epoch in history[len(known) :]]
