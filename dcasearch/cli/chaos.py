"""How a study that is killed on purpose is shown: what happens, as it happens, and the verdict."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from dcasearch.chaos import Verdict
from dcasearch.chaos.copies import RETRIES
from dcasearch.errors import UserError


class Watcher:
    """Prints what happens, one line each, below it on a terminal what happens now."""

    def __init__(self, console: Console, status: Status | None) -> None:
        self._console, self._status = console, status

    def say(self, line: str) -> None:
        """Print a line."""
        self._console.print(f"{time.strftime('%H:%M:%S')} {line}")

    def show(self, line: str) -> None:
        """Replace the moving line, where there is one."""
        if self._status is not None:
            self._status.update(line)


@contextmanager
def watcher(console: Console) -> Iterator[Watcher]:
    """Yield what shows a campaign, as fits where the output goes."""
    if not console.is_terminal:
        yield Watcher(console, None)
        return
    with console.status("") as status:
        yield Watcher(console, status)


class Scratch:
    """A folder that is deleted at the end, unless the user wants it or there is something to see in it."""

    def __init__(self, wanted: Path | None) -> None:
        if wanted is not None and wanted.exists() and any(wanted.iterdir()):
            raise UserError(f"{wanted} is not empty; --keep makes a new folder")
        self.kept = wanted is not None
        self.folder = (wanted or Path(tempfile.mkdtemp(prefix="dcasearch-chaos-"))).absolute()

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *exception: object) -> None:
        if not self.kept:
            shutil.rmtree(self.folder, ignore_errors=True)


def print_verdict(console: Console, verdict: Verdict) -> None:
    """Print what was looked at and what was found."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    table.add_column("check", overflow="fold")
    table.add_column("state")
    for check in verdict.checks:
        state = Text(f"{len(check.problems)} PROBLEMS", "red") if check.problems else Text("holds", "green")
        table.add_row(check.name, state)
    console.print()
    console.print(table)
    for check in verdict.checks:
        for problem in check.problems:
            console.print(f"  {problem}", style="red")
    console.print(f"\nTested: {verdict.meaning}. {verdict.explanation[:1].upper()}{verdict.explanation[1:]}.")
    console.print(
        f"Not compared: retries (a kill of a worker costs its trial one; the copy has {RETRIES:,}), measured seconds, "
        "times of day, provenance."
    )
