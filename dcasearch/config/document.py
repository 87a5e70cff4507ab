"""A YAML file as plain data that knows where each key and value stands."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any, TypeAlias

import yaml

from dcasearch.errors import ConfigError, Problem, UserError

Path: TypeAlias = tuple[str | int, ...]
"""Where something stands in plain data: keys and list places."""
Report: TypeAlias = Callable[[Path, str], None]
"""Takes one mistake."""
Place: TypeAlias = tuple[int, int]
"""Line and column, from 1."""

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class _Loader(yaml.SafeLoader):
    """Safe, and reads 1e-4 as the number it is (YAML 1.1 wants 1.0e-4)."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


@dataclass
class Document:
    """Plain data with places, and the mistakes found in it so far."""

    file: str
    data: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    """Of each value; of a key under `(*path, key, _KEY)`."""
    missing: set[str] = field(default_factory=set)
    """Environment variables that are not set and have no default."""
    problems: list[Problem] = field(default_factory=list)

    def report(self, path: Path, message: str) -> None:
        """Note a mistake at a path; at the nearest place above it where the path itself stands nowhere."""
        dotted = ".".join(map(str, path))
        line, column = self.place(path)
        self.problems.append(Problem(self.file, line, column, f"{dotted}: {message}" if dotted else message))

    def place(self, path: Path) -> Place:
        """Return where a path stands: an unknown key at the key, a wrong value at the value."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))

    def under(self, prefix: Path) -> Report:
        """Return a report for a part of this document."""
        return lambda path, message: self.report((*prefix, *path), message)


def load_yaml(file: File, environ: Mapping[str, str] | None = None) -> Document:
    """Read a YAML file, with ${VARIABLE} and ${VARIABLE:-default} filled in.

    Raises:
        UserError: the file cannot be read.
        ConfigError: it is no YAML. Keys that stand twice are noted among the document's problems.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: {error.strerror if isinstance(error, OSError) else 'is not UTF-8 text'}") from None
    document = Document(str(file))
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        environment = os.environ if environ is None else environ
        document.data = {} if node is None else _Reader(document, loader, environment).read(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise ConfigError([Problem(str(file), line, column, f"is no YAML: {error.problem}")]) from None
    finally:
        loader.dispose()
    if not isinstance(document.data, dict):
        raise ConfigError([Problem(str(file), 1, 1, "must be a mapping of keys to values")])
    return document


class _Reader:
    """Turns nodes into plain data."""

    def __init__(self, document: Document, loader: _Loader, environ: Mapping[str, str]) -> None:
        self._document, self._loader, self._environ = document, loader, environ

    def read(self, node: yaml.Node, path: Path) -> Any:
        self._document.places.setdefault(path, _place(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, n)) for n, item in enumerate(node.value)]
        value = self._loader.construct_object(node)
        return self._fill_in(value) if isinstance(value, str) else value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[Any, Any]:
        data: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self._loader.construct_object(key_node)
            here = (*path, key)
            if key in data:
                line, column = _place(key_node)
                message = f"{'.'.join(map(str, here))}: stands twice"
                self._document.problems.append(Problem(self._document.file, line, column, message))
            self._document.places[here] = _place(value_node if isinstance(value_node, yaml.ScalarNode) else key_node)
            data[key] = self.read(value_node, here)
        return data

    def _fill_in(self, text: str) -> str:
        def value_of(match: re.Match[str]) -> str:
            name, default = match.groups()
            if name not in self._environ and default is None:
                self._document.missing.add(name)
            return self._environ.get(name, default or "")

        return _VARIABLE.sub(value_of, text)


def _place(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


@contextmanager
def plain_report(what: str) -> Iterator[Report]:
    """Yield a report for plain data that came from no file; what it took is raised at the end, all at once."""
    problems: list[Problem] = []

    def report(path: Path, message: str) -> None:
        dotted = ".".join(map(str, path))
        problems.append(Problem(what, 0, 0, f"{dotted}: {message}" if dotted else message))

    yield report
    if problems:
        raise ConfigError(problems)
