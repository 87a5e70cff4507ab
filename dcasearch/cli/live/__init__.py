"""How a run is shown: a live view on a terminal, one plain line an event elsewhere, JSON lines for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout

from rich.console import Console

from dcasearch.cli.live.lines import Words, duration, json_line, line_of, print_json
from dcasearch.search.work import Event, Observer

__all__ = ["duration", "json_line", "observer", "print_json"]


@contextmanager
def observer(console: Console, *, as_json: bool, stopping: Callable[[], bool] = lambda: False) -> Iterator[Observer]:
    """Yield what shows the events of a run, as fits where the output goes.

    Args:
        console: where people read.
        as_json: whether programs read, from stdout.
        stopping: whether the user has asked the run to stop, so that trainings only write their checkpoints.
    """
    if as_json:
        events = sys.stdout
        with redirect_stdout(sys.stderr):  # whatever a library prints is no event
            yield lambda event: print_json(event, events)
    elif _moves(console):
        from dcasearch.cli.live.region import Region
        from dcasearch.cli.live.view import LiveView

        view = LiveView(stopping=stopping)
        with Region(console, view.rows, view.last_rows) as region:
            yield lambda event: region.take(event, view.take)
    else:
        words = Words()

        def show(event: Event) -> None:
            line = line_of(event, words)
            if line is not None:
                console.print(line)

        yield show


def _moves(console: Console) -> bool:
    """Return whether lines can be replaced where a console prints: not in a file, whatever the environment says."""
    movable = console.is_terminal and not console.is_dumb_terminal and not console.legacy_windows
    return movable and console.file.isatty()
