"""Small grammar for messages."""

from __future__ import annotations

import re
from collections.abc import Sized

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


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


def is_utf8(text: str) -> bool:
    """Tell whether a text can be written down: names of files in another encoding and half characters cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def in_one_line(text: object) -> str:
    """Return a text, e.g. the path of a file, as `printable` does, with its line ends and tabs spelled out as well."""
    return printable(str(text)).replace("\n", "\\n").replace("\t", "\\t")


def printable(text: str) -> str:
    """Return a text with its control characters spelled out, e.g. `\\x1b`; line ends and tabs stay.

    A name from a file could otherwise move a terminal's cursor, change its title or pretend to be another line.
    Characters that reverse the direction of a text count as well, and so do half characters.
    """
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)
