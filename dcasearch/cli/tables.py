"""The style of every table that the command line prints."""

from __future__ import annotations

import textwrap
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
        "id",
        "fidelity",
        "failure",
    ),
)
"""Columns that are no numbers."""


_PADDING = 2
"""Spaces on either side of a cell."""
_NARROWEST = 24
"""Characters that a folded column keeps."""


def make_table(*columns: str) -> Table:
    """Return an empty table in the style of all others; the first column and those of words are to the left."""
    table = Table(box=None, padding=(0, _PADDING), header_style="dim")
    for n, column in enumerate(columns):
        table.add_column(column, justify="right" if _is_number(n, column) else "left", overflow="fold")
    return table


def print_long(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of many rows as `make_table` would look: rich takes half a second for a thousand.

    Where a line would not fit, the widest column is folded; where that is not enough, rich folds every cell.
    """
    widths = [max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]
    widest = widths.index(max(widths))
    over = sum(widths) + 2 * _PADDING * len(widths) - console.width
    if over > 0 and widths[widest] - over < _NARROWEST:
        table = make_table(*columns)
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    widths[widest] -= max(0, over)
    gap = " " * _PADDING

    def line(row: Sequence[str]) -> str:
        cells = []
        for n, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - cell_len(cell))
            cells.append(gap + (space + cell if _is_number(n, columns[n]) else cell + space) + gap)
        return "".join(cells)

    def lines(row: Sequence[str]) -> str:
        parts = textwrap.wrap(row[widest], widths[widest]) or [""]
        first = line([*row[:widest], parts[0], *row[widest + 1 :]])
        rest = (line([part if n == widest else "" for n in range(len(row))]) for part in parts[1:])
        return "\n".join([first, *rest])

    console.out(line(columns), style="dim", highlight=False)
    console.out("\n".join(map(lines, rows)), highlight=False)


def with_unit(number: float, digits: str = ".3") -> str:
    """Return a number with a unit where it is large, e.g. `1.23M`.

    Args:
        number: of any sign.
        digits: of the number before the unit, as a format of `g`.
    """
    for limit, unit in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            return f"{number / limit:{digits}g}{unit}"
    return f"{number:{digits}g}"


def _is_number(n: int, column: str) -> bool:
    return n > 0 and column not in _WORDS
