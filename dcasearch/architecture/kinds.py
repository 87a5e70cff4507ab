"""What each attention block declares: its dimensions, its options, and what it sends and receives in each.

An attention block is extraction G = g(X), transformation T = t(G), fusion X' = X * T (paper, section 3.1).
The modules are in `dcasearch.models.attention`, one paper a file, registered under the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from dcasearch.architecture.layouts import BlockLayout
from dcasearch.registry import Registry

Dimension: TypeAlias = Literal["channel", "spatial"]
DIMENSIONS: tuple[Dimension, ...] = ("channel", "spatial")
Options: TypeAlias = Mapping[str, int | None]
OPTIONS = ("reduction", "extent", "mask_bias")
"""What a kind may have options for, as they are written."""


@dataclass(frozen=True, slots=True)
class Port:
    """The shape of a block's message, and of the extraction that receives one, in one dimension.

    `scale` is None for a vector (B, C), else the product of strides from the image to the map
    (B, C, h, w). In the spatial dimension `channels` is the number of planes.
    """

    channels: int
    scale: int | None = None
    branches: int = 1
    """Parallel extractions (SK's): each receives with its own matching and function; a sender sums them."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of attention block."""

    title: str
    """Name and source, for the docs."""
    defaults: Options = field(default_factory=dict)
    """Its options with their defaults. `reduction` is r in C -> C/r; `extent` is GE's e, None = global; `mask_bias` is
    whether GC's mask has its bias, which no gradient reaches."""
    unsaid: Options = field(default_factory=dict)
    """Values at which an option is not in the id: it came after the first ids."""
    extents: tuple[int | None, ...] = ()
    """Allowed values of `extent`."""
    dimensions: frozenset[Dimension] = frozenset({"channel"})
    """What its `ports` have."""
    ports: Callable[[BlockLayout, Options], Mapping[Dimension, Port]]
    """The block's dimensions and, for each, the shape of its message."""
    width: Callable[[BlockLayout], int] = lambda block: block.channels
    """Channels the attention works on: the block's output, but for SK the convolution it replaces."""
    least: int = 1
    """Least hidden width of a bottleneck; 4 where a norm follows (a LayerNorm over one feature is dead)."""

    def resolved(self, block: BlockLayout, options: Options) -> dict[str, int | None]:
        """Return what is really built: the hidden width for a reduction, since equal widths are equal networks."""
        built = {
            name: value for name, value in options.items() if name not in self.unsaid or value != self.unsaid[name]
        }
        if "reduction" in built:
            built["hidden"] = max(self.least, self.width(block) // int(built.pop("reduction") or 1))
        return built


def _vector(block: BlockLayout, options: Options) -> Mapping[Dimension, Port]:
    return {"channel": Port(block.channels)}


def _gather(block: BlockLayout, options: Options) -> Mapping[Dimension, Port]:
    extent = options["extent"]
    return {"channel": Port(block.channels, None if extent is None else block.scale * extent)}


def _select(block: BlockLayout, options: Options) -> Mapping[Dimension, Port]:
    return {"channel": Port(block.width, branches=2)}


def _channel_and_spatial(block: BlockLayout, options: Options) -> Mapping[Dimension, Port]:
    return {"channel": Port(block.channels), "spatial": Port(2, block.scale)}


KINDS: Registry[Kind] = Registry("an attention block")
KINDS.register("none")(Kind(title="no attention", dimensions=frozenset(), ports=lambda block, options: {}))
KINDS.register("se")(Kind(title="Squeeze-and-Excitation (Hu et al., 2018)", defaults={"reduction": 16}, ports=_vector))
KINDS.register("ge_theta_minus")(
    Kind(
        title="Gather-Excite θ⁻, parameter-free (Hu et al., 2018)",
        defaults={"extent": None},
        extents=(None, 2, 4, 8),
        ports=_gather,
    )
)
KINDS.register("ge_theta")(
    Kind(
        title="Gather-Excite θ, depth-wise gather (Hu et al., 2018)",
        defaults={"extent": 8},
        extents=(2, 4, 8),
        ports=_gather,
    )
)
KINDS.register("gc")(
    Kind(
        title="Global Context (Cao et al., 2019)",
        defaults={"reduction": 16, "mask_bias": True},
        unsaid={"mask_bias": True},
        ports=_vector,
        least=4,
    )
)
KINDS.register("sk")(
    Kind(
        title="Selective Kernel (Li et al., 2019)",
        defaults={"reduction": 16},
        ports=_select,
        width=lambda block: block.width,
        least=4,
    )
)
KINDS.register("cbam")(
    Kind(
        title="Convolutional Block Attention Module (Woo et al., 2018)",
        defaults={"reduction": 16},
        dimensions=frozenset(DIMENSIONS),
        ports=_channel_and_spatial,
    )
)
