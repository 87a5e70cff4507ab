"""Ctrl-C and SIGTERM: a sentence and an exit code, never a traceback."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeAlias

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
Handler: TypeAlias = Callable[[int, FrameType | None], None]


class Signalled(BaseException):
    """A signal has ended the program; no Exception, as KeyboardInterrupt is none, so that no library keeps it."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        super().__init__("interrupted")


class Interruption:
    """Set by the first Ctrl-C or SIGTERM, for a loop that ends in its own time; a second one ends at once.

    A patient one waits for the loop also then: who starts several processes may tell each of them twice.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self.event = threading.Event()
        self._patient = patient
        self.exit_code = 130

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self.event.is_set() and not self._patient:
            raise_signalled(number, frame)
        self.exit_code = 128 + number
        self.event.set()


def raise_signalled(number: int, frame: FrameType | None) -> None:
    """Take a signal by raising Signalled."""
    raise Signalled(number)


@contextmanager
def raising() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM raise Signalled in the block."""
    with _handled_by(raise_signalled):
        yield


@contextmanager
def noted(*, patient: bool = False) -> Iterator[Interruption]:
    """Let Ctrl-C and SIGTERM be noted in the block, and looked at when it suits; `patient` takes repeated ones too."""
    interruption = Interruption(patient=patient)
    with _handled_by(interruption.handle):
        yield interruption


@contextmanager
def _handled_by(handler: Handler) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
