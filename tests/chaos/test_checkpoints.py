from __future__ import annotations

from pathlib import Path

from dcasearch.chaos.checkpoints import Saved, note_saved
from dcasearch.evaluation import Epoch
from dcasearch.training.checkpoint import Checkpoint, save_checkpoint


def save(folder: Path, *seconds: float) -> None:
    history = tuple(
        Epoch(epoch=n, train_loss=1.0, values={"loss": 1.0, "top1": 1.0, "top5": 1.0}, seconds=taken)
        for n, taken in enumerate(seconds, start=1)
    )
    checkpoint = Checkpoint(model={}, optimizer={}, ema=None, history=history, images=(1,) * len(history))
    save_checkpoint(checkpoint, folder / "checkpoints" / "0123456789abcdef.pt")


def test_nothing_is_noted_where_there_is_no_checkpoint(tmp_path: Path) -> None:
    saved: Saved = {}
    note_saved(tmp_path, saved)
    assert saved == {}


def test_epochs_are_added_as_they_come(tmp_path: Path) -> None:
    saved: Saved = {}
    save(tmp_path, 1.5)
    note_saved(tmp_path, saved)
    save(tmp_path, 1.5, 2.5)
    note_saved(tmp_path, saved)
    assert saved == {"0123456789abcdef": [1.5, 2.5]}


def test_an_epoch_that_is_trained_again_does_not_replace_what_was_seen_first(tmp_path: Path) -> None:
    saved: Saved = {}
    save(tmp_path, 1.5, 2.5)
    note_saved(tmp_path, saved)
    save(tmp_path, 9.0)
    note_saved(tmp_path, saved)
    assert saved == {"0123456789abcdef": [1.5, 2.5]}
