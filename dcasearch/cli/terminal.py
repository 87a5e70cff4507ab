"""What the command line prints on: terminals and files that know no `×`, and those that take nothing more."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import TextIO

_PLAIN = str.maketrans(
    {
        "·": "*", "×": "x", "→": "->", "←": "<-", "±": "+-", "–": "-", "—": "-", "…": "...", "≈": "~", "≤": "<=",
        "≥": ">=", "−": "-", "⁻": "-", "τ": "tau", "ρ": "rho", "α": "alpha", "θ": "theta", "σ": "sigma", "Δ": "delta",
        "“": '"', "”": '"', "‘": "'", "’": "'", "✓": "ok", "✗": "x", "⊙": "*", "Σ": "sum", "∩": "&", "⚠": "!",
        "²": "2", "µ": "u", "█": "#", "▁": "_", "│": "|", "─": "-",
    }
)  # fmt: skip
_HANDLER = "dcasearch.plain"


def _in_plain(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for characters that a stream has not: their plain form, else their number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


codecs.register_error(_HANDLER, _in_plain)


def speak_plainly() -> None:
    """Let no character end a command: what a stream's encoding has not is written in plain form."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where the descriptor is closed, another one in tests
            stream.reconfigure(errors=_HANDLER)


def flushed() -> OSError | None:
    """Write out what was printed; return why that failed, e.g. a full disk. Nothing is written there any more then."""
    failure = None
    stream: TextIO | None
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except OSError as error:
            failure = failure or error
            _discard(stream)
    return failure


def _discard(stream: TextIO) -> None:
    """Point a stream's descriptor at nothing, so that the interpreter's end does not fail on it once more."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, stream.fileno())
    finally:
        os.close(nothing)
