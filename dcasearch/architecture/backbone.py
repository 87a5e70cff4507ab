"""Which network attention stands in: one that this package has prepared, or one of a library, with its trace.

A trace is what was found in a library's network. It is plain data that is stored with the architecture, so that an id
needs neither the library nor torch once it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PlainSerializer,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    model_validator,
)

from dcasearch.architecture.layouts import BACKBONES, BackboneLayout, BlockLayout, Stem
from dcasearch.architecture.libraries import LIBRARIES, is_of_library, own_name, split_name
from dcasearch.architecture.specification import MAX_BLOCKS, Frozen
from dcasearch.bounds import STORED, Longest, Within
from dcasearch.errors import ArchitectureError, nearest, shortened

OwnAttention: TypeAlias = Literal["keep", "remove", "replace"]
"""What becomes of the attention that a library's network brings along, e.g. EfficientNet's SE. `keep`: it stays;
`remove`: it is taken out; `replace`: the attention of the architecture stands in its place."""
MAX_WIDTH = 64
"""Times the channels of a backbone; beyond, no machine holds the network."""
MAX_ARGUMENT = 1_000_000
"""Of a number that a library's constructor is given, and of the numbers of a list together."""
MAX_ARGUMENTS = 100
"""Of one constructor."""
MAX_LISTED = 1_000
"""Entries of a list that a constructor is given."""
MAX_WORD = 1_000
"""Characters of a word that a constructor is given, and of a block's name."""
MAX_CHANNELS = 1_000_000
MAX_SCALE = 65_536
"""Pixels of the image for one pixel of a map, along a side."""
_Word: TypeAlias = Annotated[str, Longest(MAX_WORD)]
_Integer: TypeAlias = Annotated[int, Within(-MAX_ARGUMENT, MAX_ARGUMENT)]
_Number: TypeAlias = Annotated[float, Within(-float(MAX_ARGUMENT), float(MAX_ARGUMENT))]
_Scalar: TypeAlias = bool | _Integer | _Number | _Word
Argument: TypeAlias = _Scalar | Annotated[tuple[_Scalar, ...], Longest(MAX_LISTED)]
Arguments: TypeAlias = tuple[tuple[str, Argument], ...]
"""Of a library's constructor, by name, sorted."""
_TRACER = "dcasearch.models.traced:trace_of"
"""Imported where a network must be traced: everything else here needs no torch."""


def _sorted(written: Any) -> Any:
    """Read a mapping as sorted pairs, lists in it as tuples."""
    if not isinstance(written, Mapping):
        return written
    pairs = ((key, tuple(value) if isinstance(value, list) else value) for key, value in written.items())
    return tuple(sorted(pairs, key=lambda pair: str(pair[0])))


def _plain(arguments: Arguments) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in arguments}


@dataclass(frozen=True, slots=True)
class LibraryNetwork:
    """A network of a library, before it is traced."""

    name: str
    """With its library, e.g. `torchvision/alexnet`."""
    arguments: Arguments = ()
    own_attention: OwnAttention = "keep"

    @property
    def library(self) -> str:
        """The library's name."""
        return split_name(self.name)[0]

    @property
    def model(self) -> str:
        """The library's name of the network."""
        return split_name(self.name)[1]

    @property
    def label(self) -> str:
        """The network in one word or a few: its name with everything that was said of it."""
        said = ", ".join(f"{key}={value}" for key, value in _plain(self.arguments).items())
        own = {"keep": "", "remove": " without its own attention", "replace": " with its own attention replaced"}
        return self.name + (f"({said})" if said else "") + own[self.own_attention]


_Index = Annotated[NonNegativeInt, Within(high=MAX_BLOCKS)]
_Channels = Annotated[PositiveInt, Within(high=MAX_CHANNELS)]
_Width = Annotated[NonNegativeInt, Within(high=MAX_CHANNELS)]
"""0: there is no convolution that attention could replace."""
_Stride = Annotated[NonNegativeInt, Within(high=MAX_SCALE)]
"""0: the block's output is larger than its input."""
_Scale = Annotated[PositiveInt, Within(high=MAX_SCALE)]
_Block = Annotated[tuple[_Word, _Index, _Channels, _Width, _Stride, _Scale], Field(strict=False)]
_Output = Annotated[tuple[_Channels, _Scale], Field(strict=False)]


class Trace(Frozen):
    """What was found in a library's network when it was traced."""

    version: str
    """The library's, which is not in the id: another one may build the same network."""
    graph: str = Field(pattern=r"^[0-9a-f]{32}$")
    """Hash of the parameters' names and shapes, and of the computation without names."""
    blocks: Annotated[tuple[_Block, ...], Field(strict=False, min_length=1), Longest(MAX_BLOCKS)]
    """Each block's name, stage, channels, width, stride and scale, as in `BlockLayout`, where attention stands."""
    outputs: Annotated[tuple[_Output, ...], Field(strict=False), Longest(MAX_BLOCKS)] | None = None
    """Channels and scale of each block's output, where some differ from those at the place of attention."""
    lanes: Annotated[tuple[_Index, ...], Field(strict=False), Longest(MAX_BLOCKS)] | None = None
    """The parallel branch of each block, where there are some."""
    gated: Literal["scaled"] | None = None
    """`scaled`: the layer scale of a branch stands before its attention. Without the word, which older traces of
    networks with layer scale do not have, the attention stands before the layer scale."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name, of_blocks in (("outputs", self.outputs), ("lanes", self.lanes)):
            if of_blocks is not None and len(of_blocks) != len(self.blocks):
                raise ValueError(f"has {len(of_blocks):,} {name} for {len(self.blocks):,} blocks")
        highest = max(stage for _, stage, *_ in self.blocks)
        if highest > self.blocks[-1][1]:
            raise ValueError(f"a block stands in stage {highest}, after that of the last block")
        return self

    def is_of_same_network(self, other: Trace) -> bool:
        """Tell whether two traces are of one computation with one set of places for attention.

        They may differ in the library's version, and in how the blocks are put into stages.
        """
        return self._computation == other._computation

    @property
    def _computation(self) -> object:
        blocks = [(name, *numbers) for name, _, *numbers in self.blocks]
        return self.graph, blocks, self.outputs, self.lanes, self.gated

    @property
    def layout(self) -> BackboneLayout:
        """The blocks."""
        outputs = self.outputs or (None,) * len(self.blocks)
        lanes = self.lanes or (0,) * len(self.blocks)
        rows = zip(self.blocks, outputs, lanes, strict=True)
        return BackboneLayout(tuple(BlockLayout(*block, output=output, lane=lane) for block, output, lane in rows))


@dataclass(frozen=True)
class LibraryBackbone:
    """A network of a library with its trace: what a resolved network stands on."""

    network: LibraryNetwork
    trace: Trace

    @property
    def canonical(self) -> dict[str, object]:
        """What the id says of it."""
        found = self.trace.model_dump(mode="json", exclude={"version"}, exclude_none=True)
        network = self.network
        arguments = _plain(network.arguments)
        return {"name": network.name, "arguments": arguments, "own_attention": network.own_attention, **found}


class Backbone(Frozen):
    """A network that this package has prepared, or one of a library."""

    name: str
    """One of `layouts.BACKBONES`, or `timm/<model>` or `torchvision/<model>`."""
    width: Annotated[PositiveFloat, Within(high=MAX_WIDTH)] = 1.0
    """Multiplies all channels, rounded to multiples of 8; some families have theirs in their names instead."""
    stem: Stem = "imagenet"
    """`small` starts at stride 1, for images of about 32 pixels."""
    arguments: Annotated[
        Annotated[Arguments, Field(strict=False), Longest(MAX_ARGUMENTS)],
        BeforeValidator(_sorted),
        PlainSerializer(_plain, dict[str, Any]),
    ] = ()
    """Of a library's constructor."""
    own_attention: OwnAttention = "keep"
    """Of a library's network."""
    trace: Trace | None = None
    """Of a library's network; it is traced where this is missing, which needs the library."""

    @model_validator(mode="before")
    @classmethod
    def _with_trace(cls, written: Any, info: ValidationInfo) -> Any:
        if not isinstance(written, Mapping) or not isinstance(written.get("name"), str):
            return written
        complete = {**written, "name": own_name(written["name"])}
        given, own = complete.get("arguments", {}), complete.get("own_attention", "keep")
        if isinstance(given, Mapping) and info.context is not STORED:
            given = as_arguments(given)
        if is_of_library(complete["name"]) and complete.get("trace") is None:
            arguments = _sorted(given)
            if isinstance(arguments, tuple) and own in get_args(OwnAttention):  # else validation says what is wrong
                complete["trace"] = trace_of(LibraryNetwork(complete["name"], arguments, own))
        return complete

    @property
    def library(self) -> LibraryBackbone | None:
        """The library's network with its trace; None for a network that this package has prepared."""
        if self.trace is None:
            return None
        return LibraryBackbone(LibraryNetwork(self.name, self.arguments, self.own_attention), self.trace)

    @property
    def layout(self) -> BackboneLayout:
        """The backbone as a list of blocks.

        Raises:
            ArchitectureError: there is no such backbone, or it has no such field.
        """
        if is_of_library(self.name):
            return self._layout_of_library()
        if self.name not in BACKBONES:
            raise ArchitectureError(unknown_backbone(self.name), ("backbone", "name"))
        for field, default in (("arguments", ()), ("own_attention", "keep"), ("trace", None)):
            if getattr(self, field) != default:
                message = f"{self.name} takes no {field}, which belongs to networks of {' and '.join(LIBRARIES)}"
                raise ArchitectureError(message, ("backbone", field))
        family = BACKBONES[self.name]
        if self.width != 1.0 and family.widths:
            raise ArchitectureError(
                f"{self.name} takes no width, its own is in its name: {', '.join(family.widths)}",
                ("backbone", "width"),
            )
        return family(self.width, self.stem)

    def _layout_of_library(self) -> BackboneLayout:
        for field, default in (("width", 1.0), ("stem", "imagenet")):
            if getattr(self, field) != default:
                message = f"{self.name} takes no {field}; `arguments` has what its constructor takes"
                raise ArchitectureError(message, ("backbone", field))
        assert self.trace is not None  # made at birth
        return self.trace.layout


def unknown_backbone(name: object) -> str:
    """Return the sentence about a name that is no backbone's."""
    others = " and ".join(f"{library}/<model>" for library in LIBRARIES)
    return f"'{name}' is not a backbone; {nearest(name, BACKBONES)} Networks of libraries are {others}."


def as_arguments(written: Mapping[str, Any]) -> Arguments:
    """Return a constructor's arguments as they are kept.

    Raises:
        ArchitectureError: one is neither a number, a word, a flag nor a list of them, or is beyond any use.
    """
    if len(written) > MAX_ARGUMENTS:
        message = f"has {len(written):,} entries, at most {MAX_ARGUMENTS} are allowed"
        raise ArchitectureError(message, ("backbone", "arguments"))
    for key, value in written.items():
        parts = value if isinstance(value, tuple | list) else (value,)
        if not all(isinstance(part, bool | int | float | str) for part in parts):
            message = f"must be a number, a word, a flag or a list of them; got {value!r}"
            raise ArchitectureError(message, ("backbone", "arguments", key))
        if excess := _excess(parts):
            raise ArchitectureError(excess, ("backbone", "arguments", key))
    arguments: Arguments = tuple(_sorted(written))
    return arguments


def _excess(parts: Sequence[bool | int | float | str]) -> str:
    """Return what is too much of one argument, empty where nothing is: a constructor may do as much as it is told."""
    if len(parts) > MAX_LISTED:
        return f"has {len(parts):,} entries, at most {MAX_LISTED:,} are allowed"
    if any(isinstance(part, str) and len(part) > MAX_WORD for part in parts):
        return f"has a word of more than {MAX_WORD:,} characters"
    numbers = [abs(part) for part in parts if isinstance(part, int | float)]
    if not (all(number <= MAX_ARGUMENT for number in numbers) and sum(numbers) <= MAX_ARGUMENT):  # nan is no number
        together = " together" if len(parts) > 1 else ""
        return f"must be{together} at most {MAX_ARGUMENT:,}; got {shortened(str(list(parts)), 200)}"
    return ""


def check_arguments(network: LibraryNetwork) -> None:
    """Raise ArchitectureError where an argument is given that this package sets by itself."""
    taken = sorted(LIBRARIES[network.library].given & {key for key, _ in network.arguments})
    if taken:
        raise ArchitectureError(f"{', '.join(taken)} cannot be given here", ("backbone", "arguments"))


def trace_of(network: LibraryNetwork) -> Trace:
    """Return the trace of a library's network, which is built for it without memory; once per network and process.

    Raises:
        ArchitectureError: the library is missing, has no such network, or the network has no blocks for attention.
    """
    check_arguments(network)
    module, _, function = _TRACER.partition(":")
    trace: Trace = getattr(import_module(module), function)(network)
    return trace
