"""Which network attention stands in: one that this package has prepared, or one of a library, with its trace.

A trace is what was found in a library's network. It is plain data that is stored with the architecture, so that an id
needs neither the library nor torch once it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, Field, PlainSerializer, PositiveFloat, model_validator

from dcasearch.architecture.layouts import BACKBONES, BackboneLayout, BlockLayout, Stem
from dcasearch.architecture.libraries import LIBRARIES, is_of_library, own_name, split_name
from dcasearch.architecture.specification import Frozen
from dcasearch.errors import ArchitectureError, nearest

OwnAttention: TypeAlias = Literal["keep", "remove", "replace"]
"""What becomes of the attention that a library's network brings along, e.g. EfficientNet's SE. `keep`: it stays;
`remove`: it is taken out; `replace`: the attention of the architecture stands in its place."""
_Scalar: TypeAlias = bool | int | float | str
Argument: TypeAlias = _Scalar | tuple[_Scalar, ...]
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


_Block = Annotated[tuple[str, int, int, int, int, int], Field(strict=False)]
_Output = Annotated[tuple[int, int], Field(strict=False)]


class Trace(Frozen):
    """What was found in a library's network when it was traced."""

    version: str
    """The library's, which is not in the id: another one may build the same network."""
    graph: str = Field(pattern=r"^[0-9a-f]{32}$")
    """Hash of the parameters' names and shapes, and of the computation without names."""
    blocks: tuple[_Block, ...] = Field(strict=False, min_length=1)
    """Each block's name, stage, channels, width, stride and scale, as in `BlockLayout`, where attention stands."""
    outputs: tuple[_Output, ...] | None = Field(default=None, strict=False)
    """Channels and scale of each block's output, where some differ from those at the place of attention."""
    lanes: tuple[int, ...] | None = Field(default=None, strict=False)
    """The parallel branch of each block, where there are some."""
    gated: Literal["scaled"] | None = None
    """`scaled`: the layer scale of a branch stands before its attention. Without the word, which older traces of
    networks with layer scale do not have, the attention stands before the layer scale."""

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
    width: PositiveFloat = 1.0
    """Multiplies all channels, rounded to multiples of 8; some families have theirs in their names instead."""
    stem: Stem = "imagenet"
    """`small` starts at stride 1, for images of about 32 pixels."""
    arguments: Annotated[
        Annotated[Arguments, Field(strict=False)], BeforeValidator(_sorted), PlainSerializer(_plain, dict[str, Any])
    ] = ()
    """Of a library's constructor."""
    own_attention: OwnAttention = "keep"
    """Of a library's network."""
    trace: Trace | None = None
    """Of a library's network; it is traced where this is missing, which needs the library."""

    @model_validator(mode="before")
    @classmethod
    def _with_trace(cls, written: Any) -> Any:
        if not isinstance(written, Mapping) or not isinstance(written.get("name"), str):
            return written
        complete = {**written, "name": own_name(written["name"])}
        if is_of_library(complete["name"]) and complete.get("trace") is None:
            given, own = complete.get("arguments", {}), complete.get("own_attention", "keep")
            arguments = as_arguments(given) if isinstance(given, Mapping) else given
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
        ArchitectureError: one is neither a number, a word, a flag nor a list of them.
    """
    for key, value in written.items():
        parts = value if isinstance(value, tuple | list) else (value,)
        if not all(isinstance(part, bool | int | float | str) for part in parts):
            message = f"must be a number, a word, a flag or a list of them; got {value!r}"
            raise ArchitectureError(message, ("backbone", "arguments", key))
    arguments: Arguments = tuple(_sorted(written))
    return arguments


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
