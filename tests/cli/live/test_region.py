"""The moving part on a real terminal (a pty), and everything that is none."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import struct
import sys
import termios
from collections.abc import Iterator
from dataclasses import dataclass

import pyte
import pytest
from rich.console import Console
from rich.text import Text

from dcasearch.cli.live import observer
from dcasearch.cli.live.region import Region
from tests.cli.live.support import PHASE, epoch, event


@dataclass
class Terminal:
    """A terminal of this process, and what it shows."""

    console: Console
    ours: int
    screen: pyte.Screen
    stream: pyte.ByteStream

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def read(self) -> bytes:
        os.set_blocking(self.ours, False)
        written = b""
        while True:
            try:
                written += os.read(self.ours, 65536)
            except BlockingIOError:
                self.stream.feed(written)
                return written

    def lines(self) -> list[str]:
        self.read()
        return [line.rstrip() for line in self.screen.display if line.strip()]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    ours, theirs = pty.openpty()
    screen = pyte.Screen(60, 12)
    with open(theirs, "w", buffering=1) as file:
        shown = Terminal(Console(file=file, markup=False, highlight=False), ours, screen, pyte.ByteStream(screen))
        shown.resize(60, 12)
        yield shown
    os.close(ours)


def rows(columns: int, lines: int) -> list[Text]:
    return [Text(f"row {n} of {columns}" + "." * 80) for n in range(3)]


def last(columns: int, lines: int) -> list[Text]:
    return [Text("the end")]


def test_rows_are_replaced_lines_scroll_above_and_the_last_rows_stay(terminal: Terminal) -> None:
    with Region(terminal.console, rows, last) as region:
        region.refresh()
        region.above(Text("first"))
        region.above(Text("second"))
        assert [line[:10] for line in terminal.lines()] == ["first", "second", "row 0 of 5", "row 1 of 5", "row 2 of 5"]
    assert terminal.lines() == ["first", "second", "the end"]
    assert not terminal.screen.cursor.hidden


def test_a_wider_terminal_leaves_nothing_of_the_old_rows(terminal: Terminal) -> None:
    with Region(terminal.console, rows, last) as region:
        region.above(Text("first"))
        terminal.lines()
        terminal.resize(90, 20)
        region.refresh()
        assert [line[:11] for line in terminal.lines()] == ["first", "row 0 of 89", "row 1 of 89", "row 2 of 89"]


def test_a_narrower_terminal_that_breaks_old_rows_is_cleared_of_all_their_parts(terminal: Terminal) -> None:
    with Region(terminal.console, rows, last) as region:
        region.refresh()
        terminal.read()
        terminal.resize(25, 12)
        region.refresh()
        # Each row of 59 columns takes three lines of 25: the terminal has broken them.
        assert b"\x1b[9A" in terminal.read()


def test_there_are_never_more_rows_than_lines(terminal: Terminal) -> None:
    terminal.resize(60, 3)
    with Region(terminal.console, rows, last) as region:
        region.above(Text("first"))
        region.refresh()
        assert [line[:5] for line in terminal.lines()] == ["row 0", "row 1"]


def test_what_others_print_scrolls_above_also_a_line_that_never_ends(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sys.stdout, sys.stderr
    with Region(terminal.console, rows, last) as region:
        print("printed")
        print("half", end="", file=sys.stderr)
        region.refresh()
        assert terminal.lines()[0] == "printed"
    assert terminal.lines() == ["printed", "half", "the end"]
    assert (sys.stdout, sys.stderr) == before


def test_an_error_leaves_the_last_rows_and_the_cursor(terminal: Terminal) -> None:
    def run() -> None:
        with observer(terminal.console, as_json=False) as observe:
            for told in (PHASE, event("started", "proxy trial 0"), epoch("proxy trial 0", 1)):
                observe(told)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    lines = terminal.lines()
    assert lines[0].endswith("proxy trials: 8, 4 epochs each, pruned after epoch")  # and on the next line
    assert lines[2].startswith("stopped after")
    assert lines[3].split() == ["proxy", "trial", "0", "epoch", "1/4", "top-1", "81.23%", "rung", "1/2"]
    assert not terminal.screen.cursor.hidden


def test_no_color_is_honoured(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def written(console: Console) -> bytes:
        with observer(console, as_json=False) as observe:
            observe(PHASE)
            observe(event("failed", message="nan"))
        return terminal.read()

    assert b"\x1b[31m" in written(terminal.console)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = written(Console(file=terminal.console.file, markup=False, highlight=False))
    assert not [part for part in plain.split(b"\x1b[")[1:] if b"3" in part.split(b"m")[0] and part[:2].isdigit()]


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_dumb_terminal_gets_plain_lines(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    monkeypatch.setenv("TERM", term)
    with observer(terminal.console, as_json=False) as observe:
        observe(epoch("proxy trial 0", 1))
    written = terminal.read()
    assert b"\x1b" not in written
    assert written.rstrip().endswith(b"proxy trial 0 epoch 1/4 top-1 81.23%")


def test_a_file_gets_plain_lines_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    file = io.StringIO()
    with observer(
        Console(file=file, width=20, markup=False, highlight=False, soft_wrap=True), as_json=False
    ) as observe:
        observe(event("failed", message="bug: [Errno 5] " + "x" * 100))
    (line,) = file.getvalue().splitlines()
    stamp, text = line.split(" ", 1)
    assert len(stamp.split(":")) == 3
    assert text == f"proxy trial 3 failed (bug: [Errno 5] {'x' * 100})"


def test_programs_get_one_json_object_a_line_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    with observer(Console(file=io.StringIO()), as_json=True) as observe:
        print("a library's chatter")
        observe(event("run", "study", workers=2))
        observe(epoch("proxy trial 0", 1))
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["event"] for one in told] == ["run", "epoch"]
