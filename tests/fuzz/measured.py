"""A command as strangers run it: in a process of its own, with the time and the memory that its family took."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, Phase, settings

from dcasearch.processes import child_environment

MORE_SECONDS, MORE_BYTES = 10.0, 1e9
"""What a hostile run may take above the same command's on a good input."""
FORTY = 40
DONE, REFUSED = 0, 2
forty = settings(
    max_examples=FORTY,
    deadline=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.generate],  # each example is a process: shrinking would take an hour
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
"""What a kind of file is tried with through the command line."""


@dataclass(frozen=True)
class Ran:
    """One command that has ended."""

    code: int
    said: str
    seconds: float
    """Of all its processors."""
    peak: float
    """Bytes of memory, of its whole family at one moment."""


def run_measured(folder: Path, *arguments: str, seconds: float = 120.0) -> Ran:
    """Run a command and measure it; one that does not end in time is killed and fails the test."""
    environment = child_environment(XDG_STATE_HOME=str(folder / "state"), OMP_NUM_THREADS="1", COLUMNS="200")
    process = subprocess.Popen(
        [sys.executable, "-m", "dcasearch", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    peak, took, over = 0.0, 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak, took
        while not over.wait(0.02):
            try:
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                peak = max(peak, sum(one.memory_info().rss for one in family))
                took = max(took, sum(sum(one.cpu_times()[:2]) for one in family))
            except psutil.Error:  # it has ended meanwhile
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        printed, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"{arguments} did not end within {seconds:g} s")
    finally:
        over.set()
        watcher.join()
    return Ran(process.returncode, printed.decode("utf-8", "backslashreplace"), took, peak)


def check_ended_well(ran: Ran, good: Ran) -> None:
    """Hold a hostile run against the same command on a good input."""
    assert ran.code in (DONE, REFUSED), ran.said
    assert "Traceback" not in ran.said
    assert not set(ran.said) & {chr(code) for code in range(32) if chr(code) not in "\n\t\r"}, ran.said
    assert ran.seconds < good.seconds + MORE_SECONDS, ran.said
    assert ran.peak < good.peak + MORE_BYTES, ran.said


def refused_by(error: type[Exception], read: Callable[[], object]) -> bool:
    """Return whether reading ends in the error that was foreseen; any other one fails the test."""
    try:
        read()
    except error as refusal:
        said = str(refusal)
        said.encode()  # no half characters
        assert said
        return True
    return False
