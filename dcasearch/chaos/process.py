"""One `dcasearch run` in a process of its own, with all that it starts: who is who, and how each is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from dcasearch.chaos.copies import Copy
from dcasearch.processes import child_environment

LINGER_SECONDS = 30.0
"""How long a training may outlive its driver."""
_SHOWN = 60
"""Characters of a command line."""
_LOCAL_WORKER = "multiprocessing.spawn"
_RAY_WORKER = ("ray::TrainingActor", "ray::ResourceTrainable")
"""What stands in the command lines of processes that train, or how they begin; the second one while a call runs."""


class Run:
    """One run of a copy; use `started`."""

    def __init__(self, copy: Copy) -> None:
        self.began = time.monotonic()
        self.first_epoch = 0.0
        """Seconds from the start to the first epoch that was reported; 0 before."""
        self.epochs: set[tuple[str, int]] = set()
        """Reported so far: of which training, which one."""
        self.doing = "starts"
        """What happened last, for people."""
        with copy.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dcasearch", "run", str(copy.file), "--json"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=child_environment(**copy.environment),
                start_new_session=True,  # a terminal's Ctrl-C reaches us alone, and we end the others
            )
        self._driver = psutil.Process(self._process.pid)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            try:
                event: dict[str, Any] = json.loads(line)
            except json.JSONDecodeError:  # a library has printed something
                continue
            self.doing = f"{event['label']} {event['event']}"
            if event["event"] == "epoch":
                self.doing += f" {event['epoch']}/{event['of']}"
                self.epochs.add((event["label"], event["epoch"]))
                self.first_epoch = self.first_epoch or self.seconds

    @property
    def pid(self) -> int:
        """The driver's."""
        return self._process.pid

    @property
    def seconds(self) -> float:
        """Since its start."""
        return time.monotonic() - self.began

    def wait(self, seconds: float) -> int | None:
        """Return the exit code if it ends within some seconds, else None."""
        try:
            return self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None

    def workers(self) -> list[psutil.Process]:
        """Return the processes that train, oldest first; none once the driver is gone."""
        return sorted((p for p in self._family() if _trains(p)), key=lambda process: process.pid)

    def kill_driver(self) -> list[str]:
        """Kill the driver alone (SIGKILL) and name those of its processes that train for too long without it."""
        family = self._family()
        training = self.workers()
        self._process.kill()
        self._process.wait()
        _, alive = psutil.wait_procs(training, timeout=LINGER_SECONDS)
        names = [f"{process.pid} ({_command(process)[:_SHOWN]})" for process in alive]
        _kill(family)  # what is left of Ray itself, e.g. agents that wait for their raylet
        return names

    def end(self) -> None:
        """Kill whatever is left of it."""
        family = self._family()
        self._process.kill()
        self._process.wait()
        _kill(family)

    def _family(self) -> list[psutil.Process]:
        try:
            return self._driver.children(recursive=True)
        except psutil.NoSuchProcess:
            return []


@contextmanager
def started(copy: Copy) -> Iterator[Run]:
    """Run a copy; nothing of it is left afterwards, whatever happened."""
    run = Run(copy)
    try:
        yield run
    finally:
        run.end()


def _trains(process: psutil.Process) -> bool:
    command = _command(process)
    return _LOCAL_WORKER in command or command.startswith(_RAY_WORKER)


def _command(process: psutil.Process) -> str:
    """Return a process's command line; nothing if it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def kill_worker(process: psutil.Process) -> None:
    """Kill one process (SIGKILL) and wait until it is gone."""
    _kill([process])


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()  # psutil looks at the start time: a pid that was given anew is left alone
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=LINGER_SECONDS)
