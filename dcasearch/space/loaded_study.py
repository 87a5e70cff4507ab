"""A study with its space, from one YAML file or two; every mistake of both at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path as File

from dcasearch.config import Document, Key, KeyPath, Place, load_yaml, read_study
from dcasearch.config.data_set import NEWEST_READING, ReadingVersion
from dcasearch.config.study import Study
from dcasearch.errors import ConfigError, DataError, UserError, nearest
from dcasearch.space.counting import size
from dcasearch.space.detection import check_detector
from dcasearch.space.freezing import check_freezing
from dcasearch.space.parents import settle_initialization
from dcasearch.space.reading import read_space
from dcasearch.space.space import Space
from dcasearch.space.trained_start import settle_weights
from dcasearch.trial import Value
from dcasearch.wording import printable

LARGEST_PLAN = 20_000
"""Points of a grid that are planned at once, where it has several seeds."""


@dataclass(frozen=True)
class LoadedStudy:
    """A study and its space, as read."""

    study: Study
    space: Space
    path: File
    missing_variables: frozenset[str]
    """Environment variables that the YAML names, that are not set and have no default."""
    notes: tuple[str, ...] = ()
    """Where the study is run otherwise than its YAML says, and why."""
    document: Document | None = None
    """Where its words stand; None for a study that was made otherwise."""

    def reading_as(self, version: ReadingVersion) -> LoadedStudy:
        """Return the study with a version of how image files are read, unless its YAML names one."""
        if self.document is None or "reading" in _data_of(self.document):
            return self
        data = self.study.data.model_copy(update={"reading": version})
        return replace(self, study=self.study.model_copy(update={"data": data}))

    def place(self, path: KeyPath) -> Place:
        """Return line and column of what a path names, or what is nearest above it; (0, 0) if it was not read."""
        return (0, 0) if self.document is None else self.document.place(path)

    @contextmanager
    def telling_place(self, path: KeyPath) -> Iterator[None]:
        """Let an error about what a field names say where the field stands, if the YAML has it."""
        try:
            yield
        except UserError as error:
            told = isinstance(error, ConfigError) or (isinstance(error, DataError) and error.path)
            if told or self.document is None or path not in self.document.places:
                raise
            line, column = self.document.place(path)
            name = ".".join(map(str, path))
            said = str(error) if str(error).startswith(name) else f"{name}: {error}"
            raise type(error)(f"{printable(self.document.file)}:{line}:{column}: {said}") from None


def load_study(path: File, environ: Mapping[str, str] | None = None) -> LoadedStudy:
    """Read a study's YAML and its space.

    Raises:
        UserError: the file cannot be read.
        ConfigError: every mistake in it and in its space, in the order of the files.
    """
    document = load_yaml(path, environ)
    documents = [document]
    space = _space(document, documents, environ)
    sound = not any(d.problems for d in documents)  # of a space with mistakes nothing more can be asked
    study, notes = read_study(document), tuple[str, ...]()
    if sound and study is not None and space is not None:
        _check_enqueued(study, space, document)
        _check_baselines(study, space, document)
        _check_grid(study, space, document)
        check_detector(study, space, document)
        check_freezing(study, space, document)
        study, notes = settle_initialization(study, space, document)
        study, further = settle_weights(study, document)
        notes += further
    problems = [problem for d in documents for problem in d.problems]
    if problems or study is None or space is None:
        raise ConfigError(problems)
    missing = frozenset[str]().union(*(d.missing for d in documents))
    return LoadedStudy(study, space, path, missing, notes, document).reading_as(NEWEST_READING)


def _data_of(document: Document) -> Mapping[str, object]:
    """Return what a study's YAML says of its data."""
    written = document.data.get("data")
    return written if isinstance(written, dict) else {}


def check_variables(loaded: LoadedStudy) -> None:
    """Raise UserError where the YAML names an environment variable that is not set and has no default."""
    if loaded.missing_variables:
        raise UserError(f"{loaded.path}: not set: {', '.join(sorted(loaded.missing_variables))}")


def _space(document: Document, documents: list[Document], environ: Mapping[str, str] | None) -> Space | None:
    """Read the space, inline or from its file; put it inline into the study's data."""
    written = document.data.get("space")
    if isinstance(written, str):
        file = File(os.path.relpath(os.path.realpath(File(document.file).parent / written)))
        try:
            other = load_yaml(file, environ)
        except ConfigError as error:
            document.problems.extend(error.problems)
            document.data["space"] = {}
            return None
        except UserError as error:
            document.report(("space",), str(error))
            document.data["space"] = {}
            return None
        documents.append(other)
        document.data["space"] = other.data
        return read_space(other.data, other.report)
    if not isinstance(written, dict):
        return None  # missing or no mapping: the study's own check says so
    return read_space(written, document.under(("space",)))


def _check_enqueued(study: Study, space: Space, document: Document) -> None:
    """Check that the user's own configurations name parameters and choices of the space."""
    known = space.parameters()
    for n, params in enumerate(study.enqueue):
        for name, value in params.items():
            if name not in known:
                document.report(
                    ("enqueue", n, Key(name)), f"'{name}' is not a parameter of the space; {nearest(name, known)}"
                )
            elif not any(value == o.label and type(value) is type(o.label) for o in known[name]):
                document.report(("enqueue", n, name), _no_choice(value, [option.label for option in known[name]]))


def _check_baselines(study: Study, space: Space, document: Document) -> None:
    """Check that baselines given by name exist."""
    known = [baseline.name for baseline in space.baselines()]
    for n, name in enumerate(() if isinstance(study.baselines, bool) else study.baselines):
        if name not in known:
            document.report(("baselines", n), f"'{name}' is not a baseline; {nearest(name, known)}")


def _check_grid(study: Study, space: Space, document: Document) -> None:
    """Check that a grid with several seeds, which is planned as a whole, is small enough for that."""
    if len(study.fidelities[0].seeds) > 1 and (points := size(space)) > LARGEST_PLAN:
        message = f"a grid of {points:,} points is too large for several seeds: at most {LARGEST_PLAN:,} are planned"
        document.report(("fidelities", 0, "seeds"), message)


def _no_choice(value: object, labels: list[Value]) -> str:
    words = [label for label in labels if isinstance(label, str)]
    if isinstance(value, str) and words:
        return f"'{value}' is not a choice; {nearest(value, words)}"
    return f"got {value!r}, expected one of {', '.join(map(str, labels))}"
