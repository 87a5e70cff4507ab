"""The style of every table that the command line prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

_WORDS = (
    *("name", "predictor", "against", "state", "architecture", "why", "race"),
    *("attention", "receives from", "expected", "got"),
    *("dimension", "into", "from", "function", "measure"),
    *(
        "name and source",
        "place",
        "dimensions",
        "options",
        "what it is",
        "does it count?",
        "network",
        "fidelity",
        "failure",
    ),
)
"""Columns that are no numbers."""


_PADDING = 2
"""Spaces on either side of a cell."""


def make_table(*columns: str) -> Table:
    """Return an empty table in the style of all others; the first column and those of words are to the left."""
    table = Table(box=None, padding=(0, _PADDING), header_style="dim")
    for n, column in enumerate(columns):
        table.add_column(column, justify="right" if _is_number(n, column) else "left", overflow="fold")
    return table


def print_long(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of many rows as `make_table` would look: rich takes half a second for a thousand.

    Where a line would not fit, rich folds its cells.
    """
    widths = [max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]
    if sum(widths) + 2 * _PADDING * len(widths) > console.width:
        table = make_table(*columns)
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    gap = " " * _PADDING

    def line(row: Sequence[str]) -> str:
        cells = []
        for n, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - cell_len(cell))
            cells.append(gap + (space + cell if _is_number(n, columns[n]) else cell + space) + gap)
        return "".join(cells)

    console.out(line(columns), style="dim", highlight=False)
    console.out("\n".join(map(line, rows)), highlight=False)


def _is_number(n: int, column: str) -> bool:
    return n > 0 and column not in _WORDS


def short_number(number: float, digits: str = ".3") -> str:
    """Return a number with a unit prefix, e.g. `1.25M`."""
    for limit, unit in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            return f"{number / limit:{digits}g}{unit}"
    return f"{number:{digits}g}"
