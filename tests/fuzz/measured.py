"""A command as strangers run it: in a process of its own, with the time and the memory that its family took."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest
from hypothesis import HealthCheck, Phase, settings

from dcasearch.processes import child_environment

MORE_SECONDS, MORE_BYTES = 10.0, 1e9
"""What a hostile run may take above the same command's on a good input."""
DONE, REFUSED = 0, 2


def processes(runs: int) -> settings:
    """Return how a test of so many examples is run, each of which is a process."""
    return settings(
        max_examples=runs,
        deadline=None,
        print_blob=True,
        phases=[Phase.explicit, Phase.generate],  # shrinking would take an hour
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@dataclass(frozen=True)
class Ran:
    """One command that has ended."""

    code: int
    said: str
    seconds: float
    """Of all its processors."""
    peak: float
    """Bytes of memory, of its whole family at one moment."""


def run_measured(
    folder: Path,
    *arguments: str,
    seconds: float = 120.0,
    changes: Mapping[str, str | None] = MappingProxyType({}),
    output: str | None = None,
) -> Ran:
    """Run a command as an installed one is run, and measure it; one that does not end in time is killed and fails.

    Args:
        folder: the current one; state is kept in it.
        arguments: after `dcasearch`.
        seconds: that it may take.
        changes: variables of its environment, None for one that is missing.
        output: where it prints to, in place of what is returned; its errors are returned all the same.
    """
    shown = child_environment(XDG_STATE_HOME=str(folder / "state"), OMP_NUM_THREADS="1", COLUMNS="200")
    del shown["PYTHONSAFEPATH"]  # a user has none
    environment = {name: value for name, value in {**shown, **changes}.items() if value is not None}
    with ExitStack() as stack:
        sink = subprocess.PIPE if output is None else stack.enter_context(open(output, "wb"))
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dcasearch", *map(os.fsencode, arguments)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT if output is None else subprocess.PIPE,
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
        printed = b"".join(part for part in process.communicate(timeout=seconds) if part)
    except subprocess.TimeoutExpired:
        for one in (*psutil.Process(process.pid).children(recursive=True), process):
            one.kill()
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
