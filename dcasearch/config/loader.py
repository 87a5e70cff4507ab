"""The YAML loader: safe, with limits on depth and size, and numbers as YAML 1.2 and people read them."""

from __future__ import annotations

import re
from typing import Any

import yaml

MAX_BYTES = 4_000_000
"""Of one YAML file; a study has a few thousand, an exported spec of a thousand blocks 100,000."""
MAX_DEPTH = 32
"""Mappings and lists inside each other; a study has at most eight."""
MAX_VALUES = 450_000
"""Keys and values of one file, those that aliases repeat counted each time."""
_PREFIX = "tag:yaml.org,2002:"
_TAGS = {_PREFIX + name for name in ("null", "bool", "int", "float", "str", "map", "seq")}
_UNREAD = {_PREFIX + name for name in ("timestamp", "merge", "value")}
_NUMBERS = {_PREFIX + "int", _PREFIX + "float"}
_DECIMAL = re.compile(
    r"[-+]?(0|[1-9]\d*|(\d+\.\d*|\.\d+)([eE][-+]?\d+)?|\d+[eE][-+]?\d+|\.(inf|Inf|INF))|\.(nan|NaN|NAN)"
)
"""A number that YAML 1.1, YAML 1.2 and people read alike."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
"""What no text of a study has, and what a terminal, a database or a file system obeys or refuses."""
_MAX_DIGITS = 400


class Loader(yaml.SafeLoader):
    """Safe; reads 1e-4 as the number it is (YAML 1.1 wants 1.0e-4), a date as the text and `<<` as the key it is.

    What a tag, an escape or a number makes impossible is a `yaml.MarkedYAMLError` with its place, like every mistake.
    """

    def __init__(self, text: str) -> None:
        self._depth = self._values = 0
        super().__init__(text)

    def document(self) -> yaml.Node | None:
        """Return the root of the one document; None of an empty one.

        Raises:
            yaml.YAMLError: it is no YAML, or beyond a limit.
        """
        try:
            return self.get_single_node()
        except (ValueError, OverflowError):  # an escape beyond Unicode, a directive of a thousand digits
            raise yaml.scanner.ScannerError(None, None, "an escape that no character has", self.get_mark()) from None

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node, as PyYAML does, up to the limits."""
        self._depth += 1
        self._values += 1
        if self._depth > MAX_DEPTH or self._values > MAX_VALUES:
            what = f"more than {MAX_DEPTH} levels" if self._depth > MAX_DEPTH else too_many()
            raise yaml.composer.ComposerError(None, None, what, self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def scalar(self, node: yaml.ScalarNode) -> Any:
        """Return what a scalar stands for.

        Raises:
            yaml.YAMLError: its tag is unknown or does not fit, or it has a control character.
        """
        if node.tag not in _TAGS:
            raise _wrong(node, f"the tag {node.tag.replace(_PREFIX, '!!')} is not allowed")
        if control := _CONTROL.search(node.value):
            raise _wrong(node, f"a text with the control character U+{ord(control[0]):04X}")
        if node.tag in _NUMBERS and len(node.value) > _MAX_DIGITS:
            raise _wrong(node, f"a number of {len(node.value):,} digits")
        try:
            return self.construct_object(node)
        except (ValueError, KeyError, IndexError, OverflowError):
            name = node.tag.removeprefix(_PREFIX)
            raise _wrong(node, f"{node.value!r} is no {name}, which its tag !!{name} promises") from None


def unreadable(text: str) -> str | None:
    """Return what in a text keeps it out of every YAML file that is read here, also in quotes; None if nothing does."""
    if control := _CONTROL.search(text):
        return f"the control character U+{ord(control[0]):04X}"
    if refused := Loader.NON_PRINTABLE.search(text):
        return f"the character U+{ord(refused[0]):04X}"
    return None


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _UNREAD]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def too_many() -> str:
    """Return what is said of a file with more values than any study has."""
    return f"more than {MAX_VALUES:,} keys and values, aliases included"


def check_tag(node: yaml.Node) -> None:
    """Raise a yaml.YAMLError where a mapping or a list has a tag of its own."""
    if node.tag not in _TAGS:
        raise _wrong(node, f"the tag {node.tag.replace(_PREFIX, '!!')} is not allowed")


def misread(node: yaml.ScalarNode, value: object) -> str | None:
    """Return what is wrong with a number that YAML 1.1 reads in another way than people: 010, 1:30, 0x10, 1_000."""
    text = node.value
    if node.style is not None or len(text) > _MAX_DIGITS:
        return None
    if re.fullmatch(r"[-+]?0\d+", text):
        sign, digits = text[: -len(text.lstrip("+-"))] if text[0] in "+-" else "", text.lstrip("+-0") or "0"
        meant = f"write {sign}{digits}"
        if isinstance(value, int):
            meant += f" for the decimal number, {value} for the octal one"
        return f"{text} has a leading zero; {meant}, or '{text}' in quotes for a text"
    if isinstance(value, int | float) and not isinstance(value, bool) and not _DECIMAL.fullmatch(text):
        return f"{text} is {value} in YAML 1.1 and a text in YAML 1.2; write {value}, or '{text}' in quotes for a text"
    return None


def _wrong(node: yaml.Node, message: str) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, message, node.start_mark)
