"""The command in processes of its own: signals, SIGKILL, and two ranks that torchrun starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dcasearch.export import verify
from tests.data.support import write_folder
from tests.full_training.support import values, write

pytestmark = pytest.mark.slow
ALONE = [sys.executable, "-m", "dcasearch"]
TOGETHER = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "dcasearch"]
OPTIONS = ["--recipe", "recipe.yaml", "--resolution", "16", "--device", "cpu", "--threads", "1"]
RECIPE: dict[str, Any] = {
    "epochs": 6,
    "lr": 0.005,
    "ema": 0.5,
    "mixup": 0.2,
    "cutmix": 1.0,
    "accumulate": 2,
    "dropout": 0.3,
}


def command(launcher: list[str], out: str, *data: str) -> list[str]:
    return [*launcher, "train", "net.yaml", *OPTIONS, "--out", out, *data]


def environment(folder: Path) -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}


def complete(folder: Path, wanted: list[str]) -> dict[str, Any]:
    done = subprocess.run(wanted, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads((folder / wanted[wanted.index("--out") + 1] / "record.json").read_text())
    return record


def end(folder: Path, wanted: list[str], number: signal.Signals, delay: float) -> tuple[int, str]:
    """Send a signal some time after the second epoch; return the exit code and what was said."""
    with subprocess.Popen(
        wanted, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "epoch 2/6" in line:
                time.sleep(delay)
                process.send_signal(number)
        return process.wait(timeout=60), "".join(said)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("full")
    write(made, **RECIPE)
    return made


DIGITS = ["--data", "digits", "--train-fraction", "0.2"]


@pytest.fixture(scope="module")
def whole(folder: Path) -> dict[str, Any]:
    return complete(folder, command(ALONE, "whole", *DIGITS))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_process_that_is_ended_goes_on_to_the_same_curve_and_weights(
    folder: Path, whole: dict[str, Any], number: signal.Signals, code: int
) -> None:
    wanted = command(ALONE, f"ended-{number.name}", *DIGITS)
    found, said = end(folder, wanted, number, 0.1)
    assert found == code
    if code > 0:
        assert "nothing is lost, the same command goes on" in said
    assert "Traceback" not in said
    assert values(complete(folder, wanted)) == values(whole)


def test_two_ranks_go_on_to_the_same_curve_and_weights(folder: Path) -> None:
    together = complete(folder, command(TOGETHER, "together", *DIGITS))
    assert together["provenance"]["ranks"] == "2"
    assert all(check.ok for check in verify(folder / "together" / "model.yaml"))
    wanted = command(TOGETHER, "together-ended", *DIGITS)
    code, said = end(folder, wanted, signal.SIGTERM, 0.1)
    assert code == 1
    assert said.count("nothing is lost, the same command goes on") == 1
    before = json.loads((folder / "together-ended" / "record.json").read_text())
    assert before["status"] == "unfinished"
    assert values(complete(folder, wanted)) == values(together)


def test_loader_processes_outlive_a_signal_to_all_until_the_state_is_written(folder: Path) -> None:
    write_folder(folder / "images", images=48)
    data = ["--data", "imagefolder", "--root", "images", "--workers", "1"]
    whole = complete(folder, command(TOGETHER, "images-whole", *data))
    wanted = command(TOGETHER, "images-ended", *data)
    code, said = end(folder, wanted, signal.SIGTERM, 0.1)
    assert code != 0
    assert "nothing is lost, the same command goes on" in said
    assert values(complete(folder, wanted)) == values(whole)


def test_a_mistake_is_told_once(folder: Path) -> None:
    wanted = command(TOGETHER, "wrong", "--data", "digit")
    done = subprocess.run(wanted, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr.count("did you mean 'digits'") == 1
