"""What may happen to the bytes of a good file, and to the values in a document."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

thousand = settings(
    max_examples=1000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""What a kind of file is tried with; hypothesis prints how a failure is made again."""
HOSTILE: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, True, [], {}, "", "\x00", "\x1b]0;title\x07",
        "a" * 100_000, "\ud800", "../../../etc/passwd", "/dev/zero",
        "nan", -1, 0, 2**31, 2**63, 10**400, -(2**63) - 1, 1e308, float("nan"), float("inf"),
        [[[[[]]]]], {"a": {"b": 1}},
    ]
).map(lambda value: _copied(value))  # fmt: skip
"""Values that nobody means."""


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """Return a file's bytes with a few of them changed, cut, doubled or put elsewhere."""
    content = bytearray(good)
    for _ in range(draw(st.integers(1, 6))):
        if not content:
            break
        place = draw(st.integers(0, len(content) - 1))
        length = draw(st.integers(1, 64))
        match draw(st.sampled_from(["byte", "head", "cut", "drop", "double", "noise", "extreme"])):
            case "byte":
                content[place] = draw(st.integers(0, 255))
            case "head":  # most formats say their sizes there
                content[place % min(64, len(content))] = draw(st.integers(0, 255))
            case "cut":
                del content[place:]
            case "drop":
                del content[place : place + length]
            case "double":
                content[place:place] = content[place : place + length]
            case "noise":
                content[place : place + length] = draw(st.binary(max_size=64))
            case "extreme":
                content[place : place + 4] = draw(st.sampled_from([b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\x00" * 4]))
    return bytes(content)


@st.composite
def broken(draw: st.DrawFn, good: Any) -> Any:
    """Return a document with a few of its values replaced, deleted, doubled or nested."""
    document = _copied(good)
    for _ in range(draw(st.integers(1, 4))):
        places = list(_places(document))
        if not places:
            return draw(HOSTILE)
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        match draw(st.sampled_from(["replace", "delete", "other", "double", "nest", "unknown"])):
            case "replace":
                holder[key] = draw(HOSTILE)
            case "delete":
                del holder[key]
            case "other":
                other, name = places[draw(st.integers(0, len(places) - 1))]
                holder[key] = _copied(other[name]) if _holds(other, name) else draw(HOSTILE)
            case "double" if isinstance(holder, list):
                holder.append(_copied(holder[key]))
            case "nest":
                holder[key] = [holder[key]]
            case _ if isinstance(holder, dict):
                holder[draw(st.text(max_size=12))] = draw(HOSTILE)
    return document


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value


def _holds(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _places(document: Any) -> Any:
    """Yield each mapping or list of a document with each of its keys."""
    if isinstance(document, dict | list):
        for key, value in list(document.items() if isinstance(document, dict) else enumerate(document)):
            yield document, key
            yield from _places(value)
