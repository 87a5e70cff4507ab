"""A choice of the space: a name, its options, perhaps a condition; and how one option is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from dcasearch.config import KeyPath
from dcasearch.errors import UserError, nearest
from dcasearch.trial import Value

T = TypeVar("T")

Suggest: TypeAlias = Callable[[str, tuple[Value, ...]], Value]
"""(parameter's name, choices) -> one of the choices."""
Chosen: TypeAlias = dict[str, Value]
"""What was chosen or fixed so far, by dotted name; conditions look here."""


@dataclass(frozen=True)
class Option:
    """One value that an axis can take."""

    label: Value
    """What a sampler and a person see."""
    value: Any
    """What goes into the specification; for a named option a dict, completed by `nested`."""
    nested: tuple[Axis, ...] = ()
    """Choices that exist only with this option, e.g. fc2's reduction."""
    path: KeyPath = field(default=(), compare=False)
    """Where it is written."""

    @property
    def word(self) -> Value:
        """What a condition on its axis compares with: of a named option the name alone."""
        return str(self.value["name"]) if isinstance(self.value, dict) else self.value


@dataclass(frozen=True)
class Axis:
    """A fixed value (one option), a choice (several), or a condition between the two."""

    name: str
    """Dotted, e.g. `connections.function`."""
    options: tuple[Option, ...]
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    """Earlier axes and the values under which this one is chosen from `options`."""
    otherwise: Option | None = None
    """What it is where `when` does not hold."""

    @property
    def possible(self) -> tuple[Option, ...]:
        """Every option that it may ever take."""
        return self.options if self.otherwise is None else (*self.options, self.otherwise)

    def possible_where(self, name: str, value: Value) -> tuple[Option, ...]:
        """Return the options that it may take where an earlier axis has a value."""
        if self.otherwise is not None and name in self.when:
            if value not in self.when[name]:
                return (self.otherwise,)
            return self.options if len(self.when) == 1 else self.possible
        return self.possible

    def active(self, chosen: Chosen) -> tuple[Option, ...]:
        """Return the options that can be taken after what was chosen."""
        if self.otherwise is not None and not all(chosen.get(name) in values for name, values in self.when.items()):
            return (self.otherwise,)
        return self.options

    def choose(self, suggest: Suggest, chosen: Chosen, site: str = "") -> Any:
        """Choose an option (asking only where there are several) and return its value for the specification.

        `site` is the suffix of a choice that is made once per stage or block, e.g. `.stage2`.
        """
        options = self.active(chosen)
        option = options[0]
        if len(options) > 1:
            label = suggest(self.name + site, tuple(o.label for o in options))
            option = self._labelled(label, options)
        if not site:
            chosen[self.name] = option.word
        if not option.nested:
            return option.value
        return {**option.value, **{last_part(axis.name): axis.choose(suggest, chosen) for axis in option.nested}}

    def choose_afresh(self, suggest: Suggest) -> Any:
        """Choose an option where nothing was chosen before."""
        return self.choose(suggest, {})

    def _labelled(self, label: Value, options: tuple[Option, ...]) -> Option:
        for option in options:
            if option.label == label and type(option.label) is type(label):
                return option
        raise UserError(f"{self.name}: {label!r} is not a choice; {nearest(label, (str(o.label) for o in options))}")


def answers(walk: Callable[[Suggest], T]) -> Iterator[T]:
    """Yield what a walk returns for every way of answering its questions, in a fixed order.

    A walk may ask different questions after different answers.
    """
    path: list[int] = []
    while True:
        widths: list[int] = []

        def suggest(name: str, choices: tuple[Value, ...], widths: list[int] = widths) -> Value:
            if len(widths) == len(path):
                path.append(0)
            widths.append(len(choices))
            return choices[path[len(widths) - 1]]

        yield walk(suggest)
        while path and path[-1] == widths[len(path) - 1] - 1:
            path.pop()
        if not path:
            return
        path[-1] += 1


def last_part(name: str) -> str:
    """Return what stands after the last dot."""
    return name.rpartition(".")[2]


def first_of(name: str, choices: tuple[Value, ...]) -> Value:
    """Suggest the first choice of everything."""
    return choices[0]
