"""The user's day in real processes: run, kill, run again, status, export, verify, load."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

import dcasearch
from dcasearch.store import Store
from tests.support import SPACE

pytestmark = pytest.mark.slow

RECIPE: dict[str, Any] = {"batch_size": 32, "lr": 0.02, "bn_momentum": 0.1}
SMALL: dict[str, Any] = {"resolution": 16, "train_fraction": 0.3, "recipe": RECIPE}
STUDY: dict[str, Any] = {
    "space": {**SPACE, "backbone": {"name": "mobilenet_v2", "width": 0.25, "stem": "small"}},
    "objectives": {"top1": "maximize", "macs": "minimize"},
    "sampler": {"name": "tpe", "seed": 0, "startup": 3},
    "baselines": True,
    "fidelities": [
        {"name": "proxy", "trials": 4, "epochs": 3, **SMALL},
        {"name": "full", "promote": {"top": 1, "by": "pareto", "random": 1}, "epochs": 4, **SMALL},
    ],
    "final": {"seeds": [1000]},
    "executor": {"max_concurrent": 2},
}
WriteStudy = Callable[..., Path]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DCASEARCH_STORAGE", f"sqlite:///{tmp_path}/study.db")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "dcasearch", *map(str, arguments)]


def call(*arguments: object, beside: str = "") -> str:
    """Return what a command prints; `beside` is what it says to people while programs read that."""
    done = subprocess.run(command(*arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == beside
    return done.stdout


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a command beside the test; it is ended with it."""
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    text = ""
    while words not in text:
        line = process.stdout.readline()
        assert line, f"ended before it said '{words}':\n{text}"
        text += line
    return text


def test_a_study_is_run_killed_resumed_exported_verified_and_loaded(write_study: WriteStudy, tmp_path: Path) -> None:
    study = write_study(**STUDY)
    with started("run", study) as first:
        read_until(first, "proxy trial 1 epoch 1/3")
        workers = psutil.Process(first.pid).children(recursive=True)
        first.kill()
    assert psutil.wait_procs(workers, timeout=60)[1] == []
    said = call("run", study)
    assert "goes on from its checkpoint" in said
    assert "proxy: 4 trials are done" in said
    store = Store.open(f"sqlite:///{tmp_path}/study.db")
    trials = store.trials("tiny")
    assert len({(trial.fidelity, trial.number) for trial in trials}) == len(trials)
    assert "trained anew with fresh seeds, on the test split" in call("status", "tiny")
    named = f"study tiny, database sqlite:///{tmp_path}/study.db\n"
    standing = json.loads(call("status", study, "--json", beside=named))
    assert standing["finals"][0]["name"] == "winner"

    exported = call("export", "tiny", "--out", "best.yaml")
    assert "full, on the test split" in exported
    assert re.search(r"^plain .* 1000 ", exported, re.MULTILINE)
    checks = [line.split("  ") for line in call("verify", "best.yaml").splitlines()]
    states = [line for line in checks if any(word.strip() in ("equal", "DIFFERS", "not checked") for word in line)]
    assert len(states) == 7
    assert all("equal" in [word.strip() for word in line] for line in states)
    inspected = call("inspect", "best.yaml", "--svg", "best.svg")
    assert "at 16 pixels, 10 classes" in inspected
    assert (tmp_path / "best.svg").stat().st_size > 1000

    model = dcasearch.load_model("best.yaml")
    with torch.inference_mode():
        logits = model(torch.zeros(2, 3, 16, 16))
    assert logits.shape == (2, 10)
    assert logits.isfinite().all()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_whole_terminal_ends_a_run_with_one_sentence(
    write_study: WriteStudy, sent: signal.Signals, code: int
) -> None:
    study = write_study(**STUDY)
    with started("run", study) as run:
        read_until(run, "proxy baseline plain started")
        workers = psutil.Process(run.pid).children(recursive=True)
        os.killpg(run.pid, sent)
        text, _ = run.communicate(timeout=300)
    assert run.returncode == code
    assert "Traceback" not in text
    assert text.splitlines()[-1] == f"interrupted; nothing is lost, `dcasearch run {study}` goes on"
    assert psutil.wait_procs(workers, timeout=60)[1] == []
