"""Small grammar for messages."""

from __future__ import annotations

from collections.abc import Sized


def counted(number: int | Sized, one: str, many: str | None = None) -> str:
    """Return a number with its noun: `1 file`, `1,200 files`.

    Args:
        number: how many, or what is counted.
        one: the noun, and perhaps its verb, for one: `file`, `file is`.
        many: the same for any other number; by default `one` with an s.
    """
    count = number if isinstance(number, int) else len(number)
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
