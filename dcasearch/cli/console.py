"""Where the command line prints: no markup and no control characters, whatever a file or a message holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from dcasearch.wording import printable

_PIPE_WIDTH = 160
"""Columns of a table that is not read on a terminal."""


class _Plain(Console):
    """Spells out control characters in whatever it is given; its own colours and cursor moves are no text."""

    def render_str(self, text: str, **options: Any) -> Text:  # before widths are measured
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)


def make_console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal, or wide enough for every table where there is none."""
    console = _Plain(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console
