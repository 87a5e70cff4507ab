"""A YAML file as plain data that knows where each key and value stands."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from pathlib import Path as File
from typing import Any, TypeAlias

import yaml

from dcasearch.config.loader import MAX_BYTES, MAX_DEPTH, MAX_VALUES, Loader, check_tag, misread, too_many, unreadable
from dcasearch.errors import ConfigError, Problem, UserError, shortened
from dcasearch.files import read_regular
from dcasearch.wording import in_one_line

KeyPath: TypeAlias = tuple[str | int, ...]
"""Where something stands in plain data: keys and list places."""
Report: TypeAlias = Callable[[KeyPath, str], None]
"""Takes one mistake."""
Place: TypeAlias = tuple[int, int]
"""Line and column, from 1."""


class Key(str):
    """The last part of a path, where the key itself is meant and not its value."""


MAX_KEYS = 1_000
"""Of one mapping that are read; what stands beyond is one mistake."""
MAX_MESSAGE = 4_000
"""Characters of one message."""
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_LEAST_SECRET = 4
"""Characters: a shorter value of a variable is no secret, and would be found in every message."""


@dataclass
class Document:
    """Plain data with places, and the mistakes found in it so far."""

    file: str
    data: Any = None
    _: KW_ONLY
    places: dict[KeyPath, Place] = field(default_factory=dict)
    """Of each value; of a whole mapping or list, where its key stands."""
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    """Environment variables that are not set and have no default."""
    unset: dict[KeyPath, str] = field(default_factory=dict)
    """The values that such a variable is missing in, each with the variable's name."""
    filled: dict[str, str] = field(default_factory=dict)
    """Values of environment variables, each with what was written for it: a message shows that, not a secret."""
    problems: list[Problem] = field(default_factory=list)

    def report(self, path: KeyPath, message: str, place: Place | None = None) -> None:
        """Note a mistake at a path, or at a place that is known better."""
        line, column = place or self.place(path)
        if path in self.unset and not isinstance(path[-1], Key):
            name = self.unset[path]
            message = f"{name} is not set; set this variable, or write what it is without it: ${{{name}:-...}}"
        for value, words in self.filled.items():
            message = message.replace(value, words)
        self.problems.append(Problem(self.file, line, column, _with_path(path, message)))

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


def load_yaml(file: File, environ: Mapping[str, str] | None = None, *, fill: bool = True) -> Document:
    """Read a YAML file, with ${VARIABLE} and ${VARIABLE:-default} filled in.

    Args:
        file: A regular file of at most `MAX_BYTES`.
        environ: Where variables are looked up; by default in the environment.
        fill: Whether variables are filled in; else they stay as the text that they are.

    Raises:
        UserError: the file cannot be read.
        ConfigError: it is no YAML. Keys that stand twice are noted among the document's problems.
    """
    text = read_text(file)
    document = Document(str(file))
    environment = os.environ if environ is None else environ
    try:
        with _without_collector():
            loader = Loader(text)
            node = loader.document()
        document.data = {} if node is None else _Reader(document, loader, environment if fill else None).read(node, ())
    except yaml.YAMLError as error:
        raise ConfigError([_no_yaml(str(file), text, error)]) from None
    if not isinstance(document.data, dict):
        raise ConfigError([Problem(str(file), 1, 1, "must be a mapping of keys to values")])
    return document


def unwritable(text: str) -> str | None:
    """Return what in a text keeps it out of a study's YAML, also in double quotes; None if nothing does."""
    if variable := _VARIABLE.search(text):
        return f"{variable[0]}, which a study reads as an environment variable"
    return unreadable(text)


def load_plain_yaml(file: File) -> dict[Any, Any]:
    """Read a YAML file that a program wrote, e.g. an exported spec: `${…}` in it is text, and a mistake is an error.

    Raises:
        UserError: the file cannot be read.
        ConfigError: it is no YAML, or a key stands twice in it.
    """
    document = load_yaml(file, None, fill=False)
    if document.problems:
        raise ConfigError(document.problems)
    data: dict[Any, Any] = document.data
    return data


def read_text(file: File) -> str:
    """Return the text of a regular file of at most `MAX_BYTES`; UserError where it cannot be read."""
    try:
        return read_regular(file, MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise UserError(f"{in_one_line(file)}: {said}") from None


@contextmanager
def _without_collector() -> Iterator[None]:
    """Keep the garbage collector from looking through all nodes again and again: they hold no cycle yet."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _no_yaml(file: str, text: str, error: yaml.YAMLError) -> Problem:
    line, column = 1, 1
    parts: list[str | None] = []
    if isinstance(error, yaml.MarkedYAMLError):
        parts = [error.context, error.problem]
        if error.problem_mark is not None:
            line, column = error.problem_mark.line + 1, error.problem_mark.column + 1
    elif isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        parts = [f"the character U+{ord(text[error.position]):04X} is not allowed"]
    else:
        parts.extend(str(error).split("\n"))
    said = ", ".join(part.strip() for part in parts if part)
    return Problem(file, line, column, f"is no YAML: {_short(said)}")


class _Reader:
    """Turns nodes into plain data."""

    def __init__(self, document: Document, loader: Loader, environ: Mapping[str, str] | None) -> None:
        self._document, self._loader, self._environ = document, loader, environ
        self._around: list[yaml.Node] = []
        """The nodes that hold the one being read."""
        self._values = 0
        """Read so far."""

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        """Return what a node stands for, and note where it stands."""
        self._values += 1
        if self._values > MAX_VALUES:  # few nodes, many aliases
            raise yaml.constructor.ConstructorError(None, None, too_many(), node.start_mark)
        self._document.places.setdefault(path, _place(node))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        check_tag(node)
        if node in self._around:
            raise yaml.constructor.ConstructorError(None, None, "an alias to what holds it", node.start_mark)
        self._around.append(node)
        if len(self._around) > MAX_DEPTH:
            raise yaml.constructor.ConstructorError(None, None, f"more than {MAX_DEPTH} levels", node.start_mark)
        data = self._mapping(node, path) if isinstance(node, yaml.MappingNode) else self._list(node, path)
        self._around.pop()
        return data

    def _list(self, node: yaml.Node, path: KeyPath) -> list[Any]:
        return [self.read(item, (*path, n)) for n, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[Any, Any]:
        data: dict[Any, Any] = {}
        if len(node.value) > MAX_KEYS:
            message = f"has {len(node.value):,} keys; only the first {MAX_KEYS:,} were looked at"
            self._document.report(path, message, _place(node))
        for key_node, value_node in node.value[:MAX_KEYS]:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be one word", key_node.start_mark)
            key = self._loader.scalar(key_node)
            here = (*path, key)
            if key in data:
                self._document.report((*path, Key(key)), "stands twice", _place(key_node))
            if misreading := misread(key_node, key):
                self._document.report((*path, Key(key)), misreading, _place(key_node))
            self._document.keys[here] = _place(key_node)
            self._document.places[here] = _place(value_node if isinstance(value_node, yaml.ScalarNode) else key_node)
            data[key] = self.read(value_node, here)
        return data

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        """Return a scalar with its variables filled in; unquoted, `${EPOCHS:-3}` is a number."""
        value = self._loader.scalar(node)
        if self._environ is not None and isinstance(value, str) and _VARIABLE.search(value):
            text = _VARIABLE.sub(partial(self._value_of, path), value)
            if node.style is not None or not text:
                return text
            tag: str = self._loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # PyYAML
            node = yaml.ScalarNode(tag, text, node.start_mark, node.end_mark)
            value = self._loader.scalar(node)
        if message := misread(node, value):
            self._document.report(path, message, _place(node))
        return value

    def _value_of(self, path: KeyPath, match: re.Match[str]) -> str:
        """Return a variable's value; as in a shell, the default also where the variable is empty."""
        name, default = match.groups()
        value = (self._environ or {}).get(name)
        if value is None and default is None:
            self._document.missing.add(name)
            self._document.unset[path] = name
        if value is not None and len(value) >= _LEAST_SECRET:
            self._document.filled[value] = f"${{{name}}}"
        return value or default or ""


def _place(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _with_path(path: KeyPath, message: str) -> str:
    """Return a message after the path that it is about, each key as one short word of it."""
    dotted = ".".join(shortened(str(part), 100).replace("\n", "\\n") for part in path)
    return f"{dotted}: {_short(message)}" if dotted else _short(message)


_PASSWORD = re.compile(r"(://[^\s:/@'\"]*):[^\s'\"]*@")
"""Of a URL with a user."""


def _short(message: str) -> str:
    return shortened(_PASSWORD.sub(r"\1:***@", message), MAX_MESSAGE)


@contextmanager
def plain_report(what: str) -> Iterator[Report]:
    """Yield a report for plain data that came from no file; what it took is raised at the end, all at once."""
    problems: list[Problem] = []

    def report(path: KeyPath, message: str) -> None:
        problems.append(Problem(what, 0, 0, _with_path(path, message)))

    yield report
    if problems:
        raise ConfigError(problems)
