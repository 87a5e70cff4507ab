"""Every exception that dcasearch raises on purpose; the command line catches the one base class.

DcasearchError               exit 1
├── UserError                exit 2: what was asked cannot be done as written
│   ├── ConfigError          a YAML file has problems, each with file:line:column
│   ├── ArchitectureError    an architecture that no network can have
│   ├── DataError            data that is missing or broken
│   ├── StorageError         a database of another version, or that cannot be opened
│   ├── MachineError         this machine lacks what every training needs: shared memory, disk, open files
│   └── StudyChanged         a study's YAML no longer means what its database holds
├── StudyLocked              another driver runs this study (exit 2)
├── StudyFailed              the study ended without a usable trial
├── TrialFailure             one trial failed; the study goes on
├── TimeOver                 the hours or the deadline of a run are over; its trainings wrote their checkpoints
├── Preempted                a training was asked to give way; its checkpoint holds the very step
└── Interrupted              Ctrl-C or SIGTERM (exit 130 or 143): the same command resumes
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from dcasearch.masking import masked
from dcasearch.typos import question
from dcasearch.wording import in_one_line, printable

if TYPE_CHECKING:
    from pydantic import ValidationError

FailureKind = Literal["oom", "nan", "lost", "timeout", "bug", "cancelled"]


class DcasearchError(Exception):
    """Base of every error that dcasearch raises on purpose."""

    exit_code = 1


class UserError(DcasearchError):
    """What the user asked for cannot be done as written."""

    exit_code = 2


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in a YAML file: where it stands, what was got, what is allowed, what to do."""

    file: str
    line: int
    """From 1; 0 for what was not read from a file."""
    column: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{in_one_line(place)}: {printable(self.message)}"


SHOWN_PROBLEMS = 20
"""Of one error; of the others it says how many there are."""


def mistakes_of(error: ValidationError, whole: str = "") -> list[str]:
    """Return what is wrong with a document that a model refused: at most 20 lines of field and reason, then a count.

    Args:
        error: what pydantic raised.
        whole: what the document itself is called, where no field of it is meant.
    """
    found = error.errors(include_url=False, include_input=False)
    said = ((".".join(map(str, e["loc"])) or whole, e["msg"].removeprefix("Value error, ")) for e in found)
    lines = [": ".join(filter(None, one)) for one in said]
    if more := len(lines) - SHOWN_PROBLEMS:
        lines[SHOWN_PROBLEMS:] = [f"... and {more:,} more mistake{'s' * (more > 1)}"] if more > 0 else []
    return [printable(line) for line in lines]


class ConfigError(UserError):
    """A YAML file has problems; all of them at once, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        # What was got may be a URL with its password.
        self.problems: Sequence[Problem] = sorted({replace(p, message=masked(p.message)) for p in problems})
        lines = [str(problem) for problem in self.problems[:SHOWN_PROBLEMS]]
        if more := len(self.problems) - len(lines):
            lines.append(f"... and {more:,} more mistake{'s' * (more > 1)}")
        super().__init__("\n".join(lines))


class ArchitectureError(UserError):
    """A specification that no network can have; `path` says where in the specification."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        self.path = path
        super().__init__(message)


class DataError(UserError):
    """Data that is missing, broken or of another shape than the study says; `path` says which of its words is wrong."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        self.path = path
        super().__init__(message)


class StorageError(UserError):
    """A database that is missing, of another version, or cannot be opened."""


class MachineError(UserError):
    """This machine lacks what every training needs (shared memory, disk, open files): no trial is to blame."""


class StudyChanged(UserError):
    """A study's YAML no longer means what its database holds."""


class StudyLocked(DcasearchError):
    """Another driver runs this study at this moment."""

    exit_code = 2


class StudyFailed(DcasearchError):
    """The study ended without a usable trial."""


class TrialFailure(DcasearchError):
    """One trial failed; the study goes on.

    `oom`, `nan` and `bug` are the model's, `lost` the machine's, `cancelled` the user's wish. `timeout` is an epoch
    that took longer than `executor.epoch_seconds`; it is not tried again, since it would take as long once more.
    """

    def __init__(self, kind: FailureKind, message: str) -> None:
        self.kind: FailureKind = kind
        super().__init__(message)

    def __reduce__(self) -> tuple[type[TrialFailure], tuple[FailureKind, str]]:
        return type(self), (self.kind, str(self))


class TimeOver(DcasearchError):
    """The time of a run is over; what was running has written its checkpoint and the same command goes on."""


class Preempted(DcasearchError):
    """A training was asked to give way, and its checkpoint holds the very step: the same call goes on there."""


class WeightsGone(UserError):
    """A network of a study has no weights: it was never trained to an end, or others are kept in their place."""


class Interrupted(DcasearchError):
    """Ctrl-C (exit 130) or SIGTERM (exit 143); everything finished is stored and the same command resumes."""

    def __init__(self, message: str, exit_code: int = 130) -> None:
        self.exit_code = exit_code
        super().__init__(message)


def shortened(text: str, length: int) -> str:
    """Return a text of at most about so many characters; what is left out in its middle is counted."""
    if len(text) <= length:
        return text
    left_out = len(text) - length
    return f"{text[: length * 3 // 4]}... ({left_out:,} characters) ...{text[-(length // 4) :]}"


def nearest(word: object, known: Iterable[str]) -> str:
    """Return the sentence that helps with an unknown word: the nearest known one, then all of them."""
    words = sorted(known)
    return f"{question(str(word), words)}Known: {', '.join(words)}."
