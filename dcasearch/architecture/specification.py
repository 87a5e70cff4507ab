"""What a user writes for one architecture, every choice made; checked at birth, frozen, with a canonical id.

The same shape is read from YAML, from a dict and from SQL. Where nothing is said: all receiving blocks, all
dimensions the attention has; no `connections` is the vanilla attention network.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
)

from dcasearch.architecture.layouts import Stem

ClassifierInit: TypeAlias = Literal["small", "torchvision"]
"""How the classifier starts. Part of the recipe, not of an architecture's id."""


class Frozen(BaseModel):
    """Base of every configuration: immutable, no unknown keys, no silent conversion."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, ignored_types=(cached_property,)
    )


def _named(value: object) -> object:
    """Read `direct`, `{fc: {bias: true}}` and `{name: fc, bias: true}` alike."""
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, Mapping) and "name" not in value and len(value) == 1:
        [(name, options)] = value.items()
        if isinstance(name, str) and (options is None or isinstance(options, Mapping)):
            return {"name": name, **(options or {})}
    return value


class Backbone(Frozen):
    """A torchvision network."""

    name: str
    """resnet18/34/50/101/152, mnasnet0_5/0_75/1_0/1_3 or mobilenet_v2."""
    width: PositiveFloat = 1.0
    """Multiplies all channels, rounded to multiples of 8; a MnasNet's is in its name instead."""
    stem: Stem = "imagenet"
    """`small` starts at stride 1, for images of about 32 pixels."""


class AttentionKind(Frozen):
    """One kind of attention block with its options; which options a kind has is in `kinds.KINDS`."""

    name: str
    reduction: PositiveInt | None = None
    """r of the bottleneck C -> C/r (SE, SK, GC, CBAM)."""
    extent: PositiveInt | None = None
    """GE's extent e: 2, 4 or 8; unset means global for ge_theta_minus, 8 for ge_theta."""
    mask_bias: bool | None = None
    """Whether GC's mask has a bias, as in its paper; the softmax over positions cancels it, so it never moves."""


class Attention(Frozen):
    """Which attention block where: one kind for the network, or a list with one entry a stage or a block."""

    name: str | None = None
    reduction: PositiveInt | None = None
    extent: PositiveInt | None = None
    mask_bias: bool | None = None
    stages: tuple[AttentionKind, ...] | None = Field(default=None, strict=False)
    blocks: tuple[AttentionKind, ...] | None = Field(default=None, strict=False)


class Receivers(Frozen):
    """Who listens, one flag a stage or a block of the network."""

    stages: tuple[bool, ...] | None = Field(default=None, strict=False)
    blocks: tuple[bool, ...] | None = Field(default=None, strict=False)


class Dimensions(Frozen):
    """Who listens, per dimension; None = every block that has the dimension."""

    channel: bool | Receivers | None = None
    spatial: bool | Receivers | None = None


class ConnectionFunction(Frozen):
    """f(G, αP) of Eq. 3 (paper, section 3.2)."""

    name: Literal["direct", "weighted", "softmax", "learned", "concat"]
    form: Literal["safe", "literal"] = "safe"
    """weighted only: `safe` weighs by magnitude, `literal` is Eq. 5 as printed."""
    bias: bool = True
    """learned only: bias of the channel mix, as in the released code."""


class ChannelMatching(Frozen):
    """How C' channels become C where they differ (paper, section 3.3)."""

    name: Literal["fc", "fc2"] = "fc"
    reduction: PositiveInt = 16
    """fc2 only: C' -> C/r -> C."""
    bias: bool = False
    norm: Literal["none", "ln", "bn"] = "none"
    act: Literal["none", "relu"] = "none"
    norm_at: Literal["inner", "all"] = "all"
    """fc2 only: norm and act after the first layer, or after both."""
    norm_act: bool = False
    """Short for bias, ln, relu, all: what the paper's SE rows have."""
    min_hidden: PositiveInt | None = None
    """fc2 only: least hidden width; 4 where a norm follows (a LayerNorm over one feature is dead), else 1."""


class Alpha(Frozen):
    """The learnable α of Eq. 3, one per connection."""

    shape: Literal["scalar", "channel"] = "scalar"
    init: float = Field(default=1.0, strict=False)
    """Part of the recipe, not of the id: networks that differ in it alone are equal."""


EdgeList = Annotated[tuple[Annotated[tuple[int, int], Field(strict=False)], ...], Field(strict=False)]


class CustomEdges(Frozen):
    """topology: custom; per dimension the edges [j, k], numbered from 1 over the blocks that have it."""

    channel: EdgeList = ()
    spatial: EdgeList = ()


class Connections(Frozen):
    """Which attention blocks are connected, and how."""

    dimensions: Dimensions = Dimensions()
    topology: Literal["chain", "dense", "tree", "custom"] = "chain"
    edges: CustomEdges | None = None
    function: Annotated[ConnectionFunction, BeforeValidator(_named)] = ConnectionFunction(name="direct")
    channel_matching: Annotated[ChannelMatching, BeforeValidator(_named)] = ChannelMatching()
    spatial_matching: Literal["average", "max", "conv"] = "average"
    coupling: Literal["decoupled", "coupled"] = "decoupled"
    """`coupled`: the message is the whole gated map, as the released code does for CBAM (a counterfactual)."""
    alpha: Alpha = Alpha()
