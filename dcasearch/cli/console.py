"""Where the command line prints: no markup, so that a bracket in a path or a message is only a bracket."""

from __future__ import annotations

from rich.console import Console

_PIPE_WIDTH = 160
"""Columns of a table that is not read on a terminal."""


def make_console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal, or wide enough for every table where there is none."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console
