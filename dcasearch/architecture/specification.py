"""What a user writes for one architecture, every choice made; checked at birth, frozen, with a canonical id.

The same shape is read from YAML, from a dict and from SQL. Where nothing is said: all receiving blocks, all
dimensions the attention has; no `connections` is the vanilla attention network.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from dcasearch.architecture.kinds import KINDS, Dimension, Option
from dcasearch.bounds import STORED, Longest, Within

MAX_BLOCKS = 5_000
"""Of a network; the deepest ones of the libraries have about a hundred."""
MAX_EDGES = 20_000
"""Connections of a network: 200 blocks of one stage in which each listens to all before it have as many."""
MAX_UNITS = 65_536
"""Widths and reductions of the layers that match channels."""
MAX_ALPHA = 1e6
"""Of where α starts."""
GATHERED = "gathered"
"""The form of a message that every kind has."""
ClassifierInit: TypeAlias = Literal["small", "torchvision"]
"""How the classifier starts. Part of the recipe, not of an architecture's id."""
ParameterInit: TypeAlias = Literal["ours", "authors"]
"""How parameters start: as docs/method.md says, or as the released code of the network's family draws them."""
AttentionInit: TypeAlias = Literal["usual", "identity"]
"""How attention starts: as its kind draws it, or so that it changes no map (docs/method.md)."""
MessageSource: TypeAlias = Literal["sender", "own", "shuffled", "constant"]
"""Where a connection's message comes from: `sender` is the paper's, the others are controls (docs/method.md)."""


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


class _Kind(Frozen):
    """A kind's name with its options, which stand beside it; what they are is declared in `kinds`."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _said(cls, written: object) -> object:
        """Leave out options that are null: nothing is said of them."""
        return _without_none(written, cls) if isinstance(written, Mapping) else written

    @model_validator(mode="after")
    def _typed(self, info: ValidationInfo) -> Self:
        """Refuse options of the wrong type, each where it stands; resolution refuses those that the kind lacks."""
        name, stored = str(getattr(self, "name", None)), info.context is STORED
        wrong = [
            InitErrorDetails(type=_misfit(option), loc=(option.name,), input=self.options[option.name])
            for option in (KINDS[name].options if name in KINDS else ())
            if option.name in self.options and not option.is_typed(self.options[option.name], stored=stored)
        ]
        if wrong:
            raise ValidationError.from_exception_data(type(self).__name__, wrong)
        return self

    @property
    def options(self) -> Mapping[str, Any]:
        """What is written beside the name."""
        return self.__pydantic_extra__ or {}


def _misfit(option: Option) -> PydanticCustomError:
    return PydanticCustomError("option", "must be {known}", {"known": option.known})


def _without_none(written: Mapping[Any, Any], model: type[BaseModel]) -> dict[Any, Any]:
    """Return what is written without free keys that are null."""
    return {key: value for key, value in written.items() if value is not None or key in model.model_fields}


_Entry = TypeVar("_Entry")
_Listed = Annotated[tuple[_Entry, ...], Field(strict=False), Longest(MAX_BLOCKS)]
"""One entry a stage or a block."""


class AttentionKind(_Kind):
    """One kind of attention block with its options."""

    name: str


class StageAttention(_Kind):
    """Which attention after which stage: one kind for all stages, or a list with one entry a stage."""

    name: str | None = None
    stages: _Listed[AttentionKind] | None = None

    @property
    def is_said(self) -> bool:
        """Whether a kind is named."""
        return self.name is not None or self.stages is not None

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        """Refuse keys where no kind is named that could have them as options: `name` may be misspelt among them."""
        if self.options and not self.is_said:
            wrong = [
                InitErrorDetails(type="extra_forbidden", loc=(key,), input=value) for key, value in self.options.items()
            ]
            raise ValidationError.from_exception_data(type(self).__name__, wrong)
        return self


class Attention(StageAttention):
    """Which attention where: one kind for the network, or a list with one entry a stage or a block.

    A kind that is declared to stand after a stage does so here too; the blocks then have no attention.
    """

    blocks: _Listed[AttentionKind] | None = None

    @property
    def is_said(self) -> bool:
        """Whether a kind is named."""
        return super().is_said or self.blocks is not None


class Receivers(Frozen):
    """Who listens, one flag a stage or a block of the network."""

    stages: _Listed[bool] | None = None
    """Each for the stage's blocks and for the attention after it."""
    blocks: _Listed[bool] | None = None
    after_stages: _Listed[bool] | None = None
    """Beside `blocks`: for the attention after each stage; by default it does what the stage's last block does."""


class _PerDimension(Frozen):
    """Something for each dimension, under its name; resolution knows which dimensions there are."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _said(cls, written: object) -> object:
        """Leave out dimensions that are null: nothing is said of them."""
        return _without_none(written, cls) if isinstance(written, Mapping) else written


class Dimensions(_PerDimension):
    """Who listens, per dimension; where nothing is said, every block that has the dimension."""

    __pydantic_extra__: dict[str, bool | Receivers]

    @property
    def written(self) -> Mapping[Dimension, bool | Receivers]:
        """What is said, by dimension."""
        return self.__pydantic_extra__


class ConnectionFunction(Frozen):
    """f(G, αP) of Eq. 3 (paper, section 3.2)."""

    name: Literal["direct", "weighted", "softmax", "learned", "concat"]
    form: Literal["safe", "literal"] = "safe"
    """weighted only: `safe` weighs by magnitude, `literal` is Eq. 5 as printed."""
    bias: bool = True
    """learned only: bias of the mix of channels, as in the released code."""


_Units = Annotated[PositiveInt, Within(high=MAX_UNITS)]


class ChannelMatching(Frozen):
    """How C' channels become C where they differ (paper, section 3.3)."""

    name: Literal["fc", "fc2"] = "fc"
    reduction: _Units = 16
    """fc2 only: C' -> C/r -> C."""
    bias: bool = False
    """Whether its layers have a bias."""
    norm: Literal["none", "ln", "bn"] = "none"
    """Which norm follows a layer."""
    act: Literal["none", "relu"] = "none"
    """Which activation follows a layer."""
    norm_at: Literal["inner", "all"] = "all"
    """fc2 only: norm and act after the first layer, or after both."""
    norm_act: bool = False
    """Short for bias, ln, relu, all: what the paper's SE rows have."""
    min_hidden: _Units | None = None
    """fc2 only: least hidden width; 4 where a norm follows (a LayerNorm over one feature is dead), else 1."""


class Alpha(Frozen):
    """The learnable α of Eq. 3, one per connection."""

    shape: Literal["scalar", "channel"] = "scalar"
    init: Annotated[float, Field(strict=False), Within(-MAX_ALPHA, MAX_ALPHA)] = 1.0
    """Part of the recipe, not of the id: networks that differ in it alone are equal."""


_End = Annotated[int, Within(-MAX_BLOCKS, MAX_BLOCKS)]
"""Resolution says which blocks there are, with a better sentence."""
EdgeList = Annotated[
    tuple[Annotated[tuple[_End, _End], Field(strict=False)], ...], Field(strict=False), Longest(MAX_EDGES)
]


class CustomEdges(_PerDimension):
    """topology: custom; per dimension the edges [j, k], numbered from 1 over the blocks that have it."""

    __pydantic_extra__: dict[str, EdgeList]

    @property
    def written(self) -> Mapping[Dimension, tuple[tuple[int, int], ...]]:
        """What is said, by dimension."""
        return self.__pydantic_extra__


class Connections(Frozen):
    """Which attention blocks are connected, and how."""

    dimensions: Dimensions = Dimensions()
    topology: Literal["chain", "dense", "tree", "custom"] = "chain"
    edges: CustomEdges | None = None
    function: Annotated[ConnectionFunction, BeforeValidator(_named)] = ConnectionFunction(name="direct")
    channel_matching: Annotated[ChannelMatching, BeforeValidator(_named)] = ChannelMatching()
    spatial_matching: Literal["average", "max", "conv"] = "average"
    coupling: Literal["decoupled", "coupled"] = "decoupled"
    """`coupled`: the message is the whole gated map, for kinds that declare it (a counterfactual to section 3.4)."""
    message: MessageSource = "sender"
    """What takes the place of the sender's message. `own`: the receiver's own G, averaged to the message's shape;
    `shuffled`: the message of the next image in the batch; `constant`: the message's mean in the trained vanilla
    parent. Parameters and multiply-adds are those of `sender`."""
    alpha: Alpha = Alpha()
    ge_message: str | None = None
    """`gathered` (or null): each kind's own message. Kinds may declare other forms (`Kind.forms`): `upsampled` is a
    gathered map at the block's resolution, for the paper's three rows alone."""
