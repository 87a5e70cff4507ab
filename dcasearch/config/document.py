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

KeyPath: TypeAlias = tuple[str | int, ...]
"""Where something stands in plain data: keys and list places."""
Report: TypeAlias = Callable[[KeyPath, str], None]
"""Takes one mistake."""
Place: TypeAlias = tuple[int, int]
"""Line and column, from 1."""


class Key(str):
    """The last part of a path, where the key itself is meant and not its value."""


_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class _Loader(yaml.SafeLoader):
    """Safe; reads 1e-4 as the number it is (YAML 1.1 wants 1.0e-4), a date as the text and `<<` as the key it is."""


_UNREAD = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge", "tag:yaml.org,2002:value"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _UNREAD]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


@dataclass
class Document:
    """Plain data with places, and the mistakes found in it so far."""

    file: str
    data: Any = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    """Of each value; of a whole mapping or list, where its key stands."""
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    """Environment variables that are not set and have no default."""
    problems: list[Problem] = field(default_factory=list)

    def report(self, path: KeyPath, message: str, place: Place | None = None) -> None:
        """Note a mistake at a path, or at a place that is known better."""
        dotted = ".".join(map(str, path))
        line, column = place or self.place(path)
        self.problems.append(Problem(self.file, line, column, f"{dotted}: {message}" if dotted else message))

    def place(self, path: KeyPath) -> Place:
        """Return where a path stands, or what is nearest above it; a path that ends in a `Key` at the key."""
        if path in self.keys and isinstance(path[-1], Key):
            return self.keys[path]
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))

    def under(self, prefix: KeyPath) -> Report:
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
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        environment = os.environ if environ is None else environ
        document.data = {} if node is None else _Reader(document, loader, environment).read(node, ())
    except yaml.YAMLError as error:
        raise ConfigError([_no_yaml(str(file), error)]) from None
    if not isinstance(document.data, dict):
        raise ConfigError([Problem(str(file), 1, 1, "must be a mapping of keys to values")])
    return document


def _no_yaml(file: str, error: yaml.YAMLError) -> Problem:
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    parts = [error.context, error.problem] if isinstance(error, yaml.MarkedYAMLError) else str(error).split("\n")
    said = ", ".join(part.strip() for part in parts if part)
    return Problem(file, line, column, f"is no YAML: {said}")


class _Reader:
    """Turns nodes into plain data."""

    def __init__(self, document: Document, loader: _Loader, environ: Mapping[str, str]) -> None:
        self._document, self._loader, self._environ = document, loader, environ
        self._around: list[yaml.Node] = []
        """The nodes that hold the one being read."""

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        """Return what a node stands for, and note where it stands."""
        self._document.places.setdefault(path, _place(node))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if node in self._around:
            raise yaml.constructor.ConstructorError(None, None, "an alias to what holds it", node.start_mark)
        self._around.append(node)
        data = self._mapping(node, path) if isinstance(node, yaml.MappingNode) else self._list(node, path)
        self._around.pop()
        return data

    def _list(self, node: yaml.Node, path: KeyPath) -> list[Any]:
        return [self.read(item, (*path, n)) for n, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[Any, Any]:
        data: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be one word", key_node.start_mark)
            key = self._loader.construct_object(key_node)
            here = (*path, key)
            if key in data:
                self._document.report((*path, Key(key)), "stands twice", _place(key_node))
            self._document.keys[here] = _place(key_node)
            self._document.places[here] = _place(value_node if isinstance(value_node, yaml.ScalarNode) else key_node)
            data[key] = self.read(value_node, here)
        return data

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        """Return a scalar with its variables filled in; unquoted, `${EPOCHS:-3}` is a number."""
        value = self._loader.construct_object(node)
        if not isinstance(value, str) or not _VARIABLE.search(value):
            return value
        text = _VARIABLE.sub(self._value_of, value)
        if node.style is not None or not text:
            return text
        tag: str = self._loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # PyYAML
        return self._loader.construct_object(yaml.ScalarNode(tag, text, node.start_mark, node.end_mark))

    def _value_of(self, match: re.Match[str]) -> str:
        """Return a variable's value; as in a shell, the default also where the variable is empty."""
        name, default = match.groups()
        value = self._environ.get(name)
        if value is None and default is None:
            self._document.missing.add(name)
        return value or default or ""


def _place(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


@contextmanager
def plain_report(what: str) -> Iterator[Report]:
    """Yield a report for plain data that came from no file; what it took is raised at the end, all at once."""
    problems: list[Problem] = []

    def report(path: KeyPath, message: str) -> None:
        dotted = ".".join(map(str, path))
        problems.append(Problem(what, 0, 0, f"{dotted}: {message}" if dotted else message))

    yield report
    if problems:
        raise ConfigError(problems)
