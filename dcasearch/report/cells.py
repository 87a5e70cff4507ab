"""A table as text: what a page and a terminal show of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cells:
    """Rows of text under columns of text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...]
    """Columns that are no numbers."""
    first_leads: bool = False
    """Whether the first row is what the others are compared with."""
    long: tuple[int, ...] = ()
    """Columns whose text may take several lines."""
