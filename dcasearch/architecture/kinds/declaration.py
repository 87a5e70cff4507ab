"""What an attention block declares: its options, its place, and its dimensions with the shapes of G and T.

An attention block is extraction G = g(X), transformation T = t(G), fusion X' = X * T (paper, section 3.1).
Grammar, schema, reading, resolution, cost, report, docs and tests read these declarations when they are used;
nothing else in the package knows a kind, an option of a kind or a dimension by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from dcasearch.architecture.layouts.layout import BackboneLayout, BlockLayout
from dcasearch.registry import Registry

Dimension: TypeAlias = str
"""A name that kinds share: two blocks connect in the dimensions that both have."""
Value: TypeAlias = bool | int | float | str | None
Options: TypeAlias = Mapping[str, Value]
Shape: TypeAlias = tuple[str, ...]
"""Axes of a tensor, e.g. ("B", "C"), ("B", "2", "H", "W"), ("B", "C", "H", "1"), ("B", "C", "H/extent", "W/extent").

B is the batch. The second axis is C (channels of the block's output) or D (channels of its k x k convolution), or
a number of planes: digits, or the name of an option (the number that the block is built with counts). H and W are those
of the block's output, divided by an option where one is named; such an axis is absent where the option is None. 1 is an
axis that was averaged away.
"""
Place: TypeAlias = Literal["block", "stage", "between stages"]
"""On a block's residual branch; after every stage, outside the residual; after every stage but the last."""
LARGEST = 2**53
"""Beyond it JSON and SQL do not give an integer back as it was."""
NO_ATTENTION = "none"
"""The kind of a node without attention."""
FEATURES = ("C", "D")
"""Second axes whose entries are channels, which a matching can turn into others; all else is planes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a kind, as it is written in YAML beside the kind's name."""

    name: str
    type: type[bool] | type[int] | type[float] | type[str]
    default: Value
    says: str
    """One line, for the docs."""
    symbol: str = ""
    """As formulas have it, e.g. `r`; a sentence about a network then always says its value."""
    choices: tuple[Value, ...] = ()
    """The only values allowed; None among them may be written as null."""
    unset: str = "unset"
    """What None means."""
    least: float = -LARGEST
    most: float = LARGEST
    """Far beyond what anybody uses; a stored architecture may have more."""
    late: bool = False
    """Whether it came after the first ids: at its default it is then left out of the id."""
    asked: int = 10
    """Place among the questions of a space, then by name. Walks of before must go on as they began."""
    searchable: bool = True
    """Whether a search space may list several values."""
    built: Callable[[BlockLayout, Value], tuple[str, Value]] | None = None
    """(block, value) -> what is really built, by its name in the id; equal networks must have equal ids."""

    def is_typed(self, value: object, *, stored: bool = False) -> bool:
        """Tell whether a value has the option's type and lies within its bounds.

        Args:
            value: as it is written.
            stored: whether a database holds it: it was allowed once, so `most` is no limit.
        """
        if value is None:
            return None in (self.default, *self.choices)
        if isinstance(value, bool | str) or not isinstance(value, int | float):
            return type(value) is self.type
        typed = type(value) in (self.type, int) and self.type in (int, float)
        return typed and self.least <= value and (stored or value <= self.most)

    def fits(self, value: Any, *, stored: bool = False) -> bool:
        """Tell whether a value may be given, or may stand in a database."""
        typed = self.is_typed(value, stored=stored)
        return typed and (not self.choices or self.read(value) in map(self.read, self.choices))

    def read(self, value: Value) -> Value:
        """Return a value in the option's type: of a float option 1 is 1.0, so that both have one id."""
        return float(value) if self.type is float and isinstance(value, int) else value

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest number allowed."""
        numbers = [value for value in self.choices if isinstance(value, int | float)]
        return (min(numbers), max(numbers)) if numbers else (self.least, self.most)

    @property
    def known(self) -> str:
        """What is allowed, in words."""
        if self.choices:
            return ", ".join(f"null ({self.unset})" if value is None else plain(value) for value in self.choices)
        if self.type is bool:
            return "true, false"
        low = "" if self.least == -LARGEST else f" from {self.least:g}"
        high = "" if self.most == LARGEST else f" to {self.most:g}"
        return {int: "an integer", float: "a number", str: "a word"}[self.type] + low + high


def plain(value: Value) -> str:
    """Return a value as YAML writes it."""
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True, slots=True)
class Port:
    """The shape of one block's message, and of the extraction that receives one, in one dimension."""

    channels: int
    """Size of the second axis: channels, or planes."""
    scale: int | None = None
    """Product of strides from the image to the map; None for a vector (B, C)."""
    axes: tuple[str, ...] = ()
    """Which of H and W are there; the tensor has four axes where any is, and an absent one has size 1."""
    planes: bool = False
    """Whether the second axis counts planes. Planes are not matched: where their numbers differ, their mean is sent."""
    branches: int = 1
    """Parallel extractions: each receives with its own matching and function; a sender sums them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a block extracts and transforms in one dimension."""

    g: Shape
    """Shape of the extraction G; a message has it too, since T ⊙ G is sent."""
    t: Shape
    """Shape of the transformation T."""
    branches: int = 1
    """Number of parallel extractions, each of shape `g`."""
    extraction: str = ""
    transformation: str = ""
    fusion: str = ""
    """The three parts in words, for the docs."""
    equation: str = ""
    """T, and G where it is more than a mean, as an equation of one line."""
    fused: str = ""
    """X′ as an equation, where it is neither X × T nor X + T."""
    learnable: bool = True
    """Whether the transformation has parameters; a test compares it with the module."""

    @property
    def features(self) -> bool:
        """Whether the second axis is channels, not planes."""
        return self.g[1] in FEATURES

    @property
    def axes(self) -> tuple[str, ...]:
        """Which of H and W may be there."""
        return tuple(axis[0] for axis in self.g[2:] if axis != "1")

    def port(self, block: BlockLayout, options: Options) -> Port:
        """Return the shape of a block's message."""
        [_, second, *rest] = self.g
        divisor, axes = 1, []
        for axis in rest:
            letter, _, option = axis.partition("/")
            value = options[option] if option else 1
            if letter != "1" and value is not None:
                axes.append(letter)
                divisor = int(value)
        return Port(
            channels=second_axis(second, block, options),
            scale=block.scale * divisor if axes else None,
            axes=tuple(axes),
            planes=not self.features,
            branches=self.branches,
        )


def second_axis(axis: str, block: BlockLayout, options: Options) -> int:
    """Return the size of a shape's second axis."""
    named = {"C": block.channels, "D": block.width}
    if axis in named:
        return named[axis]
    return int(axis) if axis.isdigit() else int(options[axis] or 1)


def obstacle(sender: Port | State, receiver: Port | State) -> str | None:
    """Return why a message cannot reach an extraction, None where it can.

    Channels meet channels, and planes planes. An axis that the receiver lacks is averaged away, one that the
    sender lacks is filled by repeating; a message that would need both has lost what the receiver asks for.
    """
    planes = [not end.features if isinstance(end, State) else end.planes for end in (sender, receiver)]
    if planes[0] != planes[1]:
        words = {True: "planes", False: "channels"}
        return f"the sender gives {words[planes[0]]}, the receiver takes {words[planes[1]]}"
    gives, takes = set(sender.axes), set(receiver.axes)
    if not (gives <= takes or takes <= gives):
        return f"the sender gives {'x'.join(sender.axes)}, the receiver takes {'x'.join(receiver.axes)}"
    return None


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of attention block."""

    title: str
    """Name and source, for the docs."""
    label: str = ""
    """Short name as papers write it, for drawings; the kind's name in capitals where it is empty."""
    colour: str = "#475569"
    """In drawings, white text on it."""
    options: tuple[Option, ...] = ()
    place: Place = "block"
    where: str = ""
    """Where it stands, in words, if `place` alone does not say it."""
    coupled: bool = False
    """Whether `coupling: coupled` exists for it: a whole gated map as message."""
    joint: bool = False
    """Whether its dimensions read one map and gate it together; else each reads the map that the one before gated."""
    starts_as_identity: bool = False
    """Whether its last layer starts at zero, so that it changes no map as it is drawn. `attention_init: identity` then
    adds no scalar s: behind a layer of zeros an s of 0 would keep both at zero for ever. A test compares it with the
    module."""
    params: str = "0"
    macs: str = "0"
    """Parameters, and multiply-adds for one image, as Python writes them: of C, D, H and W, the names in the id
    (`hidden`, …), ceil and log2. A test holds them against what is counted."""
    dimensions: Mapping[Dimension, State] = field(default_factory=dict)
    """In the order in which the block runs them; empty for a kind that cannot be connected."""
    convolved: tuple[str, ...] = ()
    """Linear layers of the block, and of the matchings that it receives by, that are 1x1 convolutions in the released
    code, as ends of their names: `init: authors` draws them as such."""
    silenced: tuple[str, ...] = ()
    """Norms that start at weight 0 in the released ResNets, as ends of their names: `init: authors` has that too."""
    forms: Mapping[str, Mapping[Dimension, State]] = field(default_factory=dict)
    """Other forms of the messages, by the word of `connections.ge_message`: the states that differ. A network without
    connections is the same in every form."""

    def __post_init__(self) -> None:
        """Check the declaration: a mistake in it is a bug of the kind's author.

        Raises:
            ValueError: names what is wrong.
        """
        names = [option.name for option in self.options]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.title}: an option is declared twice among {', '.join(names)}")
        for option in self.options:
            if option.name in _BESIDE:
                raise ValueError(f"{self.title}: an option cannot be called '{option.name}', which stands beside it")
            if not option.fits(option.default):
                raise ValueError(f"{self.title}: {option.name} cannot be {option.default!r}; Known: {option.known}.")
        if self.place not in get_args(Place):
            raise ValueError(f"{self.title}: '{self.place}' is not a place; Known: {', '.join(get_args(Place))}.")
        for dimension, state in (pair for states in (self.dimensions, *self.forms.values()) for pair in states.items()):
            if dimension not in self.dimensions:
                raise ValueError(f"{self.title}: a form has the dimension {dimension}, which the kind lacks")
            for axis in _unknown_axes(state, names):
                raise ValueError(f"{self.title}: the shapes of {dimension} have an unknown axis '{axis}'")

    def option(self, name: str) -> Option | None:
        """Return the option of a name, None where the kind has none."""
        return next((option for option in self.options if option.name == name), None)

    def completed(self, written: Options) -> dict[str, Value]:
        """Return every option's value: what is written, else the default."""
        return {option.name: option.read(written.get(option.name, option.default)) for option in self.options}

    def resolved(self, block: BlockLayout, options: Options) -> dict[str, Value]:
        """Return what is in the id: what is really built, without late options at their default."""
        built: dict[str, Value] = {}
        for option in self.options:
            value = options[option.name]
            if option.late and value == option.default:
                continue
            name, value = (option.name, value) if option.built is None else option.built(block, value)
            built[name] = value
        return built

    def ports(self, block: BlockLayout, options: Options, form: str | None = None) -> dict[Dimension, Port]:
        """Return the block's dimensions and, for each, the shape of its message in a form (None: the kind's own)."""
        states = {**self.dimensions, **self.forms.get(form or "", {})}
        built = {**options, **self.resolved(block, options)}
        return {dimension: state.port(block, built) for dimension, state in states.items()}

    @property
    def convolves(self) -> bool:
        """Whether this kind takes the place of a block's k x k convolution: its extraction has that one's channels."""
        return any(state.g[1] == "D" for state in self.dimensions.values())

    @property
    def in_blocks(self) -> bool:
        """Whether this kind stands in blocks, not after stages."""
        return self.place == "block"

    def stands_after(self, layout: BackboneLayout, stage: int) -> bool:
        """Tell whether this kind has a place after a stage (from 0) of a backbone."""
        return self.place == "stage" or (self.place == "between stages" and stage < layout.stages - 1)


_BESIDE = ("name", "granularity", "stages", "blocks")
"""What else is written where options are."""


def _unknown_axes(state: State, options: list[str]) -> Iterator[str]:
    """Yield the axes of a state's shapes that mean nothing."""
    for shape, lengths in ((state.g, (2, 4)), (state.t, (2, 3, 4))):
        if shape[:1] != ("B",) or len(shape) not in lengths:
            yield " ".join(shape)
            continue
        for second in shape[1:2]:
            if not (second in FEATURES or second.isdigit() or second in options):
                yield second
        for axis in shape[2:]:
            letter, slash, option = axis.partition("/")
            known = letter in ("H", "W", "1", *FEATURES) and (option in options if slash else True)
            if not known:
                yield axis


KINDS: Registry[Kind] = Registry("an attention block")


def dimensions() -> tuple[Dimension, ...]:
    """Return every dimension that some kind declares, sorted."""
    return tuple(sorted({dimension for kind in KINDS.values() for dimension in kind.dimensions}))


def options_named(kinds: Iterable[Kind] | None = None) -> dict[str, list[Option]]:
    """Return every option that some kind declares, by name and in the order of a space's questions.

    Kinds may share a name: a space then gives one value to all of them. By default `kinds` are all.
    """
    found: dict[str, list[Option]] = {}
    every = [option for kind in (KINDS.values() if kinds is None else kinds) for option in kind.options]
    for option in sorted(every, key=lambda option: (option.asked, option.name)):
        found.setdefault(option.name, []).append(option)
    return found
