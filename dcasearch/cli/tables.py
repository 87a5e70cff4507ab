"""The style of every table that the command line prints."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

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
        "what is there",
        "what to do",
        "does it count?",
        "network",
        "id",
        "fidelity",
        "failure",
    ),
)
"""Columns that are no numbers."""


_GAP = 2
"""Spaces between two columns."""
_NARROWEST = 36
"""Characters that a folded column keeps; where there is less room, its cells stand below their rows."""


def make_table(*columns: str) -> Table:
    """Return an empty table in the style of all others; the first column and those of words are to the left."""
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    for n, column in enumerate(columns):
        table.add_column(column, justify="right" if _is_number(n, column) else "left", overflow="fold")
    return table


def print_long(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of many rows as `make_table` would look: rich takes half a second for a thousand.

    Where a line would not fit, the widest column is folded. Where little room is left for it, its cells stand below
    their rows, and those of the next widest too, until the others fit.
    """
    widths = [max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]
    beside, folded = _arranged(widths, console.width)
    indent = " " * (widths[0] + _GAP)

    def line(row: Sequence[str]) -> str:
        cells = []
        for n in beside:
            space = " " * (widths[n] - cell_len(row[n]))
            cells.append(space + row[n] if _is_number(n, columns[n]) else row[n] + space)
        return (" " * _GAP).join(cells)

    def lines(row: Sequence[str]) -> str:
        parts = [row] if folded is None else list(_folded(row, folded, widths[folded]))
        below = " · ".join(cell for n, cell in enumerate(row) if n not in beside and cell)
        wrapped = (indent + part for part in textwrap.wrap(below, max(1, console.width - len(indent))))
        return "\n".join([*map(line, parts), *wrapped])

    console.out(line(columns), style="dim", highlight=False)
    console.out("\n".join(map(lines, rows)), highlight=False)


def _arranged(widths: list[int], room: int) -> tuple[list[int], int | None]:
    """Return which columns stand beside each other, and the one of them that is folded; its width is changed."""
    beside = list(range(len(widths)))
    while len(beside) > 1:
        over = sum(widths[n] for n in beside) + _GAP * (len(beside) - 1) - room
        if over <= 0:
            return beside, None
        widest = max(beside[1:], key=lambda n: widths[n])
        if widths[widest] - over >= _NARROWEST:
            widths[widest] -= over
            return beside, widest
        beside.remove(widest)
    return beside, None


def _folded(row: Sequence[str], column: int, width: int) -> Iterator[list[str]]:
    """Yield a row in lines, one of its cells in parts that are no wider."""
    parts = textwrap.wrap(row[column], width) or [""]
    yield [*row[:column], parts[0], *row[column + 1 :]]
    for part in parts[1:]:
        yield [part if n == column else "" for n in range(len(row))]


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
