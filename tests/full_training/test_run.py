from __future__ import annotations

import json
import random
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from dcasearch.errors import Preempted, StorageError, UserError
from dcasearch.export import load_model, load_spec, verify
from dcasearch.full_training import Passed, Trained, Wishes, plan
from dcasearch.models.constants import is_measured
from dcasearch.training import Session
from tests.full_training.support import EPOCHS, planned, run, values
from tests.full_training.support import write as write_files
from tests.support import dead_process
from tests.training.support import CONNECTED
from tests.training.test_session import at_call

EVERYTHING: dict[str, Any] = {"ema": 0.5, "mixup": 0.2, "cutmix": 1.0, "accumulate": 3, "clip_norm": 1.0}


def read(out: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((out / "record.json").read_text())
    return record


def interrupt(make: Callable[[], Any]) -> None:
    with pytest.raises(Preempted):
        make()


def test_it_leaves_a_model_its_spec_and_its_record(undisturbed: tuple[Trained, Path]) -> None:
    trained, out = undisturbed
    assert sorted(file.name for file in out.iterdir()) == [".lock", "model.safetensors", "model.yaml", "record.json"]
    assert read(out) == trained.record
    assert [epoch["epoch"] for epoch in trained.record["history"]] == [1, 2, 3]
    assert trained.record["provenance"]["threads"] == "1"
    tops = [epoch["top1"] for epoch in trained.record["history"]]
    assert tops[trained.record["best_epoch"] - 1] == max(tops)


def test_what_a_killed_run_had_not_finished_is_removed_by_the_next(undisturbed: tuple[Trained, Path]) -> None:
    _, out = undisturbed
    dead = f"{socket.gethostname()}-{dead_process()}.tmp"
    names = ("record.json", "model.yaml", "model.safetensors", "unfinished/checkpoints/a.pt", "notes.txt")
    left = [out / f"{name}.{dead}" for name in names]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    assert run(planned(out.parent), out).before
    assert [path.exists() for path in left] == [False] * 4 + [True], "a user's own file stays"
    left[-1].unlink()
    shutil.rmtree(out / "unfinished")


@pytest.mark.slow
def test_the_spec_is_one_that_verify_and_load_model_accept(undisturbed: tuple[Trained, Path]) -> None:
    _, out = undisturbed
    assert all(check.ok for check in verify(out / "model.yaml"))
    state, weights = load_model(out / "model.yaml").state_dict(), load_file(out / "model.safetensors")
    assert all(torch.equal(state[name], tensor) for name, tensor in weights.items())
    spec = load_spec(out / "model.yaml")
    assert spec.training is not None
    assert spec.training.epochs == EPOCHS


def test_a_spec_trained_again_as_it_says_gives_equal_weights(undisturbed: tuple[Trained, Path], tmp_path: Path) -> None:
    trained, out = undisturbed
    assert values(run(plan(out / "model.yaml", Wishes()), tmp_path).record) == values(trained.record)


# 4 steps and 9 measured batches make an epoch.
@pytest.mark.parametrize("call", [1, 4, *random.Random(1).sample(range(5, 39), 2)])
def test_an_interrupted_training_goes_on_at_that_very_step(
    undisturbed: tuple[Trained, Path], tmp_path: Path, call: int
) -> None:
    wanted = planned(tmp_path)
    interrupt(lambda: run(wanted, tmp_path / "out", interrupted=at_call(call)))
    assert read(tmp_path / "out")["status"] == "unfinished"
    assert len(read(tmp_path / "out")["history"]) == (call - 1) // 13
    assert values(run(wanted, tmp_path / "out").record) == values(undisturbed[0].record)


@pytest.mark.slow
def test_so_does_one_with_every_option(tmp_path: Path) -> None:
    write_files(tmp_path, **EVERYTHING)
    wanted = planned(tmp_path)
    whole = run(wanted, tmp_path / "whole")
    for call in (2, 3, 20):
        interrupt(lambda call=call: run(wanted, tmp_path / "out", interrupted=at_call(call)))
    assert values(run(wanted, tmp_path / "out").record) == values(whole.record)


def test_epochs_before_an_interruption_are_told_as_such(tmp_path: Path) -> None:
    passed: list[Passed] = []
    wanted = planned(tmp_path)
    interrupt(lambda: run(wanted, tmp_path / "out", interrupted=at_call(15), observe=passed.append))
    assert [(p.epoch.epoch, p.of, p.replayed) for p in passed] == [(1, EPOCHS, False)]
    run(wanted, tmp_path / "out", observe=passed.append)
    assert [(p.epoch.epoch, p.replayed) for p in passed[1:]] == [(1, True), (2, False), (3, False)]
    assert passed[1].epoch == passed[0].epoch


def test_a_complete_training_is_not_made_again(
    undisturbed: tuple[Trained, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(undisturbed[1], tmp_path / "out")
    monkeypatch.delattr(Session, "next")
    again = run(planned(tmp_path), tmp_path / "out")
    assert again.before
    assert again.record == undisturbed[0].record


def test_a_death_between_the_training_and_its_files_costs_no_epoch(
    undisturbed: tuple[Trained, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: object, **options: object) -> None:
        raise SystemExit

    wanted = planned(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("dcasearch.full_training.run.export", die)
        with pytest.raises(SystemExit):
            run(wanted, tmp_path / "out")
    passed: list[Passed] = []
    assert values(run(wanted, tmp_path / "out", observe=passed.append).record) == values(undisturbed[0].record)
    assert all(p.replayed for p in passed)


def test_a_folder_that_holds_another_training_is_refused(undisturbed: tuple[Trained, Path], tmp_path: Path) -> None:
    before = read(undisturbed[1])
    with pytest.raises(UserError, match=r"holds another training:\n  epochs: 3 there, 4 now\n  seed: 0 there, 7 now\n"):
        run(planned(tmp_path, seed=7, epochs=4), undisturbed[1])
    assert read(undisturbed[1]) == before


def test_a_folder_where_another_process_trains_is_refused(tmp_path: Path) -> None:
    wanted = planned(tmp_path)

    def observe(passed: Passed) -> None:
        with pytest.raises(UserError, match="another process trains in"):
            run(wanted, tmp_path / "out")

    run(wanted, tmp_path / "out", observe=observe)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        run(planned(tmp_path), tmp_path / "out")


def test_a_network_with_constant_messages_trains_its_parent_first(tmp_path: Path) -> None:
    written = {**CONNECTED, "connections": {"message": "constant"}}
    path = write_files(tmp_path, epochs=1)
    path.write_text(yaml.safe_dump(written))
    passed: list[Passed] = []
    wanted = planned(tmp_path)
    trained = run(wanted, tmp_path / "out", observe=passed.append)
    assert [one.parent for one in passed] == [True, False]
    assert len(trained.record["history"]) == 1
    assert is_measured(load_model(tmp_path / "out" / "model.yaml"))
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        ".lock",
        "model.safetensors",
        "model.yaml",
        "record.json",
    ]


@pytest.mark.slow
def test_a_parent_that_is_trained_is_not_trained_again_after_an_interruption(tmp_path: Path) -> None:
    path = write_files(tmp_path, epochs=1)
    path.write_text(yaml.safe_dump({**CONNECTED, "connections": {"message": "constant"}}))
    wanted = planned(tmp_path)
    interrupt(lambda: run(wanted, tmp_path / "out", interrupted=at_call(13 + 2)))
    passed: list[Passed] = []
    run(wanted, tmp_path / "out", observe=passed.append)
    assert [one.parent for one in passed] == [False]
