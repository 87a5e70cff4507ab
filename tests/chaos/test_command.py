"""`dcasearch chaos` as users run it: real processes, real trainings."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.chaos.support import write_study

pytestmark = pytest.mark.slow


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    file = write_study(folder / "study.yaml")
    # Ray's sockets, in a folder of a short name, are not among what is looked for.
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "TMPDIR": str(folder), "RAY_TMPDIR": "/tmp"}
    return subprocess.Popen(
        [sys.executable, "-m", "dcasearch", "chaos", str(file), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=folder,
    )


@pytest.mark.parametrize(("concurrent", "meaning"), [(1, "equal"), (2, "invariants")])
def test_a_study_whose_driver_and_workers_are_killed_is_whole(concurrent: int, meaning: str, tmp_path: Path) -> None:
    chaos = start(tmp_path, "--kills", "4", "--concurrent", str(concurrent), "--sample", "2", "--seed", "4")
    output, _ = chaos.communicate()
    assert chaos.returncode == 0, output
    assert len(re.findall(r"kill \d/4: (driver|worker) ", output)) == 4
    assert {"driver", "worker"} == set(re.findall(r"kill \d/4: (driver|worker) ", output))
    assert f"Tested: {meaning}. " in output
    assert "PROBLEMS" not in output
    assert "Traceback" not in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.yaml"]


@pytest.mark.ray
def test_a_study_on_a_local_ray_whose_driver_and_workers_are_killed_is_whole(tmp_path: Path) -> None:
    chaos = start(tmp_path, "--kills", "3", "--executor", "ray", "--seed", "4")
    output, _ = chaos.communicate()
    assert chaos.returncode == 0, output
    assert {"driver", "worker"} == set(re.findall(r"kill \d/3: (driver|worker) ", output))
    assert "Tested: equal. " in output


def test_ctrl_c_ends_every_process_and_leaves_nothing_behind(tmp_path: Path) -> None:
    chaos = start(tmp_path)
    family: list[psutil.Process] = []
    deadline = time.monotonic() + 60
    while len(family) < 3 and time.monotonic() < deadline:  # the driver, its worker, Python's resource tracker
        time.sleep(0.2)
        family = psutil.Process(chaos.pid).children(recursive=True)
    chaos.send_signal(signal.SIGINT)
    output, _ = chaos.communicate()
    assert chaos.returncode == 130, output
    assert "Traceback" not in output
    assert len(family) >= 3
    assert not [process for process in family if process.is_running()]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.yaml"]
