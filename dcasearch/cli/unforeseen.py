"""Errors that no room foresaw: one sentence, and the whole traceback in a private file. Nothing is hidden."""

from __future__ import annotations

import errno
import os
import tempfile
import traceback
from contextlib import suppress

from dcasearch import __version__
from dcasearch.masking import masked
from dcasearch.wording import in_one_line

UNFORESEEN = 70
"""Exit code of an error that is a bug (EX_SOFTWARE of sysexits.h)."""
_LONGEST = 300
"""Characters of a path, or of an error's own words, that are shown."""
_ADVICE = {
    errno.ENOSPC: "make room there, or name another place",
    errno.EDQUOT: "make room there, or name another place",
    errno.EROFS: "name a place that can be written",
    errno.EACCES: "name a place that this user may use",
    errno.EPERM: "name a place that this user may use",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.EPIPE: "what read the output has ended",
}


def of_the_system(error: OSError) -> str:
    """Return what the system refused, in a sentence: which file, why, what to do."""
    said = error.strerror or str(error) or type(error).__name__
    where = "the output" if error.filename is None else in_one_line(error.filename)[:_LONGEST]
    advice = _ADVICE.get(error.errno or 0)
    return masked(f"{where}: {said}" + (f"; {advice}" if advice else ""))


def unforeseen(error: Exception) -> str:
    """Write an error's traceback into a file that this user alone may read, and return a sentence that names it."""
    kind = type(error).__name__
    first = next(iter(str(error).splitlines()), "")[:_LONGEST]
    said = masked(f"{kind}: {first}" if first else kind)
    text = masked("".join(traceback.format_exception(error)))
    place = "it could not be written to a file"
    with suppress(OSError):
        descriptor, name = tempfile.mkstemp(prefix="dcasearch-error-", suffix=".txt")  # readable by this user alone
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"dcasearch {__version__}\n{text}")
        place = f"where it happened stands in {name}"
    return f"An error that dcasearch did not foresee: {said}. {place[:1].upper()}{place[1:]}; please report it"
