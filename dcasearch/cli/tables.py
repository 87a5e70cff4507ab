"""The style of every table that the command line prints."""

from __future__ import annotations

from rich.table import Table

_WORDS = (
    *("predictor", "against", "state", "architecture", "why", "race"),
    *("attention", "receives from", "expected", "got"),
)
"""Columns that are no numbers."""


def make_table(*columns: str) -> Table:
    """Return an empty table in the style of all others; the first column and those of words are to the left."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for n, column in enumerate(columns):
        number = n > 0 and column not in _WORDS
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    return table
