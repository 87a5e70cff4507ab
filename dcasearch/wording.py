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


def share(number: int | Sized, total: int, things: str, does: tuple[str, str] = ("is", "are")) -> str:
    """Return some of all with their verb: `1 of 27 images is`, `3 of 27 images are`.

    Args:
        number: how many, or what is counted.
        total: how many there are in all.
        things: the noun for several.
        does: the verb for one and for any other number.
    """
    count = number if isinstance(number, int) else len(number)
    return f"{count:,} of {total:,} {things} {does[0] if count == 1 else does[1]}"
