"""The moving part of a terminal: some lines at its end that are replaced, and lines that scroll above them.

rich.live is not used: it counts the rows to go back at the width of the last drawing, so that a narrower terminal is
left with pieces of old lines (docs/decisions.md).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from io import TextIOBase
from types import TracebackType
from typing import Self, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from dcasearch.search.work import Event

_SECONDS = 0.25
"""Between two drawings, where nothing happens."""
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_HOLD, _RELEASE = "\x1b[?2026h", "\x1b[?2026l"
"""What is between these appears at once, on terminals that know them; others ignore them."""
_TO_THE_END, _BELOW = "\x1b[K", "\x1b[J"

Rows = Callable[[int, int], Sequence[Text]]
"""Takes the columns and lines that there are, and returns no more of either."""


class Region:
    """Draws rows until it is left; then the last rows stay as lines.

    Meanwhile whatever is printed to `sys.stdout` and `sys.stderr` scrolls above.
    """

    def __init__(self, console: Console, rows: Rows, last_rows: Rows) -> None:
        self._console, self._rows, self._last_rows = console, rows, last_rows
        self._file = console.file
        self._lock = threading.RLock()
        self._drawn: list[int] = []
        """Columns of each row on the screen."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="live view", daemon=True)
        self._before = (sys.stdout, sys.stderr)
        self._above = (_Above(self, sys.stdout), _Above(self, sys.stderr))

    def __enter__(self) -> Self:
        sys.stdout, sys.stderr = self._above
        self._write(_HIDE)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        sys.stdout, sys.stderr = self._before
        for above in self._above:
            above.end()
        with self._lock:
            width, height = self.size
            lines = [self._ansi(row) for row in self._last_rows(width - 1, height)]
            self._write(self._back() + _BELOW + "".join(f"{line}\n" for line in lines) + _SHOW)
            self._drawn = []

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal now, whatever the environment says."""
        try:
            found = os.get_terminal_size(self._file.fileno())
        except (OSError, ValueError, AttributeError):  # no terminal: a test's file
            found = os.terminal_size((self._console.width, self._console.height))
        return max(2, found.columns), max(2, found.lines)

    def take(self, event: Event, taken: Callable[[Event, int], Text | None]) -> None:
        """Let an event change what the rows are made from; the line that tells it, if any, is printed above them.

        Args:
            event: what happened.
            taken: is given the event and the columns that there are; it returns the line.
        """
        with self._lock:
            line = taken(event, self.size[0] - 1)
            if line is not None:
                self.above(line)

    def above(self, text: Text) -> None:
        """Print a text above the rows."""
        with self._lock:
            self._write(_HOLD + self._back() + _BELOW + self._ansi(text) + "\n" + self._redrawn() + _RELEASE)

    def refresh(self) -> None:
        """Draw the rows anew."""
        with self._lock:
            back = self._back()
            self._write(_HOLD + back + self._redrawn() + _BELOW + _RELEASE)

    def _go_on(self) -> None:
        while not self._ended.wait(_SECONDS):
            with self._lock:
                if not self._ended.is_set():
                    self.refresh()

    def _back(self) -> str:
        """Return what moves the cursor to the first row. A narrower terminal has broken rows into several lines."""
        columns, _ = self.size
        lines = sum(max(1, -(-row // columns)) for row in self._drawn)
        return "\r" + (f"\x1b[{lines}A" if lines else "")

    def _redrawn(self) -> str:
        columns, lines = self.size
        # The last column stays empty: what follows a character there is not the same on all terminals.
        rows = list(self._rows(columns - 1, lines - 1))[: lines - 1]
        for row in rows:
            row.truncate(columns - 1, overflow="ellipsis")
        self._drawn = [cell_len(row.plain) for row in rows]
        return "".join(f"{self._ansi(row)}{_TO_THE_END}\n" for row in rows)

    def _ansi(self, text: Text) -> str:
        with self._console.capture() as capture:
            self._console.print(text, end="", soft_wrap=True)
        return capture.get()

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()


class _Above(TextIOBase):
    """Stands for stdout or stderr: whole lines go above the rows."""

    def __init__(self, region: Region, file: TextIO) -> None:
        self._region, self._stands_for, self._rest = region, file, ""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # nobody sets it
        """As of the file that this stands for."""
        return self._stands_for.encoding

    def isatty(self) -> bool:
        """Return whether the file that this stands for is a terminal."""
        return self._stands_for.isatty()

    def fileno(self) -> int:
        """Return the descriptor of the file that this stands for."""
        return self._stands_for.fileno()

    def writable(self) -> bool:
        """Return that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Take a text; its whole lines are printed."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._region.above(Text.from_ansi(line))
        return len(text)

    def end(self) -> None:
        """Print what was written of a line that never ended."""
        if self._rest:
            self.write("\n")
