import logging
import pickle
from pathlib import Path

import pytest
import torch

from dcasearch.evaluation import Epoch
from dcasearch.training.checkpoint import (
    Checkpoint,
    MidEpoch,
    RankState,
    checkpoint_path,
    discard,
    parse_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from tests.training.support import make_assignment

CPU = torch.device("cpu")
CHECKPOINT = Checkpoint(
    model={"weight": torch.arange(24.0).view(2, 3, 2, 2).to(memory_format=torch.channels_last)},
    optimizer={"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    ema=None,
    history=(
        Epoch(
            epoch=1,
            train_loss=0.1,
            values={"loss": float("1e-9"), "top1": 33.3333, "top5": 100.0},
            seconds=0.2,
            device="cpu",
        ),
    ),
    images=(64,),
    middle=MidEpoch(3, 0.5, (RankState(torch.tensor(1.5), 48, [torch.get_rng_state()]),)),
)


def load(path: Path) -> Checkpoint:
    content = read_checkpoint(path)
    assert content is not None
    return parse_checkpoint(content, CPU)


class Dangerous:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path(__file__).with_name("pwned"),)


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "a.pt"
    save_checkpoint(CHECKPOINT, path)
    loaded = load(path)
    assert torch.equal(loaded.model["weight"], CHECKPOINT.model["weight"])
    assert loaded.model["weight"].stride() == CHECKPOINT.model["weight"].stride()
    assert torch.equal(loaded.optimizer["state"][0]["momentum_buffer"], torch.ones(3))
    assert (loaded.history, loaded.images, loaded.ema) == (CHECKPOINT.history, (64,), None)


def test_the_state_within_an_epoch_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(CHECKPOINT, path)
    before, middle = CHECKPOINT.middle, load(path).middle
    assert before is not None
    assert middle is not None
    assert (middle.batches, middle.seconds, len(middle.ranks)) == (3, 0.5, 1)
    assert (middle.ranks[0].loss.item(), middle.ranks[0].images) == (1.5, 48)
    assert torch.equal(middle.ranks[0].random[0], before.ranks[0].random[0])


def test_a_checkpoint_of_the_first_format_is_one_between_two_epochs(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(CHECKPOINT, path)
    content = torch.load(path, weights_only=True)
    del content["middle"], content["history"][0]["device"]
    torch.save({**content, "format": 1}, path)
    loaded = load(path)
    assert loaded.middle is None
    assert loaded.history[0].values["top1"] == CHECKPOINT.history[0].values["top1"]
    assert loaded.history[0].device == ""


def test_without_a_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path / "a.pt") is None


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "newer", "other", "flipped"])
def test_a_broken_checkpoint_is_moved_aside_with_a_warning(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(CHECKPOINT, path)
    whole = path.read_bytes()
    if damage == "newer":
        torch.save({"format": 4}, path)
    elif damage == "other":
        torch.save([1, 2], path)
    else:
        half = len(whole) // 2
        path.write_bytes({"cut": whole[:half], "empty": b"", "text": b"hello", "flipped": b"\0" * half}[damage])
    with caplog.at_level(logging.WARNING):
        assert read_checkpoint(path) is None
    assert "training starts anew" in caplog.text
    assert not path.exists()
    assert path.with_suffix(".broken").exists()


def test_a_strangers_checkpoint_runs_no_code(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    for write in (
        lambda: torch.save({"format": 1, "model": Dangerous()}, path),
        lambda: path.write_bytes(pickle.dumps(Dangerous(), protocol=2)),
    ):
        write()
        assert read_checkpoint(path) is None
        assert not Path(__file__).with_name("pwned").exists()


def test_discarding_deletes_the_checkpoint_and_its_remains_alone(tmp_path: Path) -> None:
    assignment, other = make_assignment(), make_assignment(seed=1)
    mine, theirs = checkpoint_path(assignment.key, tmp_path), checkpoint_path(other.key, tmp_path)
    for path in (mine, mine.with_suffix(".broken"), mine.with_name(f"{mine.name}.7.tmp"), theirs):
        save_checkpoint(CHECKPOINT, path)
    discard(assignment.key, tmp_path)
    discard(assignment.key, tmp_path)
    assert list((tmp_path / "checkpoints").iterdir()) == [theirs]


def test_discarding_before_anything_was_written_is_safe(tmp_path: Path) -> None:
    discard(make_assignment().key, tmp_path)
