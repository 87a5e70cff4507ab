from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dcasearch.cli import train as train_room
from dcasearch.errors import MachineError, Preempted
from dcasearch.evaluation import Epoch
from dcasearch.full_training import Passed
from dcasearch.training import Ranks, Session
from tests.cli.conftest import Command
from tests.full_training.support import EPOCHS, write

OPTIONS = [
    "--recipe",
    "recipe.yaml",
    "--data",
    "digits",
    "--resolution",
    "16",
    "--train-fraction",
    "0.05",
    "--device",
    "cpu",
    "--threads",
    "1",
]
EPOCH = Epoch(epoch=2, train_loss=1.25, values={"loss": 1.5, "top1": 50.0, "top5": 90.0}, seconds=3.0)


def test_a_training_is_one_plain_line_an_epoch_and_is_done_once(dcasearch: Command, tmp_path: Path) -> None:
    write(tmp_path)
    done = dcasearch("train", "net.yaml", *OPTIONS)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].startswith("net: architecture ")
    assert "0.05 of digits (search) at 16 pixels, 3 epochs, recipe recipe.yaml, seed 0, to net-trained" in lines[0]
    assert [line.split()[1:3] for line in lines[1:4]] == [["epoch", f"{n}/{EPOCHS}:"] for n in (1, 2, 3)]
    assert lines[4].startswith("complete: top-1 ")
    assert "dcasearch verify net-trained/model.yaml" in lines[4]
    again = dcasearch("train", "net.yaml", *OPTIONS)
    assert again.code == 0
    assert [line.split(":")[0] for line in again.out.splitlines()] == ["net", "complete already"]


def test_json_is_one_line_an_epoch_and_nothing_else(dcasearch: Command, tmp_path: Path) -> None:
    write(tmp_path)
    done = dcasearch("train", "net.yaml", *OPTIONS, "--json", "--out", "made")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["event"] for event in events] == ["epoch"] * EPOCHS + ["complete"]
    assert [event["epoch"] for event in events[:-1]] == [1, 2, 3]
    assert {"of", "replayed", "top1", "loss", "seconds", "label"} <= events[0].keys()
    assert events[-1]["spec"] == "made/model.yaml"


def test_what_is_wrong_exits_2_and_writes_nothing(dcasearch: Command, tmp_path: Path) -> None:
    write(tmp_path)
    done = dcasearch("train", "net.yaml")
    assert done.code == 2
    assert "add --recipe, --resolution, --data" in done.err
    assert dcasearch("train", "none.yaml").code == 2
    assert dcasearch("train", "net.yaml", *OPTIONS, "--epochs", "0").code == 2
    assert sorted(file.name for file in tmp_path.iterdir()) == ["net.yaml", "recipe.yaml"]


def test_a_training_that_diverges_exits_1(dcasearch: Command, tmp_path: Path) -> None:
    write(tmp_path, lr=1e6)
    done = dcasearch("train", "net.yaml", *OPTIONS)
    assert done.code == 1
    assert "epoch 1: the training loss is" in done.err


def test_an_interruption_exits_130_and_says_how_to_go_on(
    dcasearch: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_way(self: Session) -> Epoch:
        raise Preempted("epoch 1: interrupted after 2 batches")

    write(tmp_path)
    monkeypatch.setattr(Session, "next", give_way)
    done = dcasearch("train", "net.yaml", *OPTIONS)
    assert done.code == 130
    assert "epoch 1: interrupted after 2 batches; nothing is lost, the same command goes on" in done.err


def test_ranks_but_the_first_say_nothing(dcasearch: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    done = dcasearch("train", "none.yaml")
    assert (done.code, done.out, done.err) == (2, "", "")


def test_a_rank_tells_what_its_own_machine_lacks(dcasearch: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*some: Any) -> None:
        raise MachineError("shared memory is used up")

    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("dcasearch.full_training.plan", fail)
    done = dcasearch("train", "net.yaml")
    assert (done.code, done.err.strip()) == (2, "shared memory is used up")


def test_an_epoch_as_a_sentence() -> None:
    expected = "epoch 2/9: train loss 1.2500, loss 1.5000, top-1 50.00%, top-5 90.00%, "
    assert train_room.sentence(Passed(EPOCH, 9, replayed=False)) == expected + "in 3.0 s"
    assert train_room.sentence(Passed(EPOCH, 9, replayed=True)) == expected + "before the interruption"


def test_a_terminal_shows_a_bar_and_what_is_done_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    console = Console(file=io.StringIO(), force_terminal=True, width=160, highlight=False, markup=False)
    with train_room._shown(console, "net", Ranks(), as_json=False) as view:
        for _ in range(7):
            view.beat()
        view.passed(Passed(EPOCH, 9, replayed=False))
        view.beat()
    file = console.file
    assert isinstance(file, io.StringIO)
    assert "epoch 2/9: train loss 1.2500" in file.getvalue()
    assert "epoch 3/9" in file.getvalue()
    assert "7 batches" in file.getvalue()
