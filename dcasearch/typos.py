"""Which known word somebody meant: a slip of the fingers, another spelling, a beginning; else none. No wild guesses."""

from __future__ import annotations

from collections.abc import Iterable

_MOST = 3
"""Words that are suggested."""
_LONGEST = 100
"""Characters of a word that is compared; a longer one is no slip."""
_BEGINNING = 2
"""Characters from which on a word may be the beginning of another one."""


def meant(word: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the known words that are close to a word, the closest first, at most three.

    Close is: equal but for case, `-`, `_` and spaces; else as many slips away as a word of its length has by accident
    (one from three letters on, two from six, three from twelve), where a letter that is missing, superfluous, wrong or
    exchanged with its neighbour is one slip; else the words that begin with it, or the longest one that it begins with.
    """
    if not word or len(word) > _LONGEST:
        return ()
    words = sorted({*known} - {word})
    plain = _plain(word)
    if same := [other for other in words if _plain(other) == plain]:
        return tuple(same[:_MOST])
    allowed = _allowed(word)
    slips = {other: slips_between(word.lower(), other.lower(), allowed) for other in words}
    close = sorted((count, other) for other, count in slips.items() if count <= allowed)
    if close:
        return tuple(other for count, other in close if count == close[0][0])[:_MOST]
    longer = [other for other in words if len(plain) >= _BEGINNING and _plain(other).startswith(plain)]
    if longer:
        return tuple(longer) if len(longer) <= _MOST else ()
    shorter = [other for other in words if plain.startswith(_plain(other)) and 2 * len(_plain(other)) >= len(plain)]
    return tuple(sorted(shorter, key=len)[-1:]) if len(plain) > 2 * _BEGINNING else ()


def _plain(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter not in "-_ ")


def _allowed(word: str) -> int:
    letters = len(_plain(word))
    return (letters >= 3) + (letters >= 6) + (letters >= 12)


def slips_between(one: str, other: str, most: int) -> int:
    """Return the least number of slips that make one word of another; `most` + 1 for any number above `most`.

    Exchanged neighbours count once, and no part is changed twice (optimal string alignment).
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        following = [i]
        for j, its in enumerate(other, start=1):
            best = min(row[j] + 1, following[j - 1] + 1, row[j - 1] + (letter != its))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == its:
                best = min(best, before[j - 2] + 1)
            following.append(best)
        if min(following) > most:
            return most + 1
        before, row = row, following
    return min(row[-1], most + 1)


def question(word: str, known: Iterable[str]) -> str:
    """Return `did you mean 'a' or 'b'? ` where some known words are close, else nothing."""
    close = [f"'{other}'" for other in meant(word, known)]
    if not close:
        return ""
    listed = close[0] if len(close) == 1 else f"{', '.join(close[:-1])} or {close[-1]}"
    return f"did you mean {listed}? "
