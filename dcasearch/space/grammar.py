"""What may stand in a search space: every axis with the values it takes. Reader, JSON Schema and docs use this.

What the kinds of attention and the backbones declare is read when it is asked for (`grammar()`), not when this
module is imported, so that a kind registered later is in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeAlias, get_args

from dcasearch.architecture import (
    BACKBONES,
    KINDS,
    Alpha,
    ChannelMatching,
    ConnectionFunction,
    Connections,
    Dimension,
    Option,
    dimensions,
)
from dcasearch.architecture.backbone import MAX_WIDTH, OwnAttention
from dcasearch.architecture.kinds import options_named
from dcasearch.architecture.kinds.declaration import LARGEST, NO_ATTENTION
from dcasearch.architecture.layouts import Stem
from dcasearch.architecture.libraries import NAMES
from dcasearch.architecture.specification import MAX_ALPHA, MAX_UNITS, AttentionInit
from dcasearch.architecture.topology import TOPOLOGIES

GRAINS = ("network", "stage", "block")
STAGE_GRAINS = ("network", "stage")
"""Of attention after stages."""
ARGUMENTS = "arguments"
"""Beside the axes of the backbone: what a library's constructor is given. It is no choice."""
ATTENTION_INIT = "attention_init"
"""An axis that belongs to no part: how attention starts, in blocks and after stages."""
MAX_CHOICES = 200
"""Of one axis."""


@dataclass(frozen=True)
class Values:
    """The values of an axis: one of `words`, or a number, or a flag, or null."""

    words: tuple[str, ...] = ()
    what: str = "a value"
    """For messages, e.g. `an attention block`."""
    _: KW_ONLY
    integer: bool = False
    number: bool = False
    low: float = 0
    """A number is greater than this ..."""
    from_low: bool = False
    """... or may be equal to it."""
    high: float = math.inf
    flag: bool = False
    null: bool = False
    pattern: str = ""
    """A regular expression of further words; none where it is empty."""
    named: Mapping[str, Mapping[str, Values]] | None = None
    """Words that may be written with options of their own, e.g. `{fc2: {reduction: [4, 8]}}`."""

    def fits(self, value: Any) -> bool:
        """Tell whether a plain value is one of these."""
        if isinstance(value, bool):
            return self.flag
        if value is None:
            return self.null
        if isinstance(value, str):
            return value in self.words or (self.pattern != "" and re.fullmatch(self.pattern, value) is not None)
        if not isinstance(value, int | float) or not abs(value) < LARGEST:  # `not <` holds for nan too
            return False
        if not (self.number or (self.integer and isinstance(value, int))):
            return False
        return (value > self.low or (self.from_low and value == self.low)) and value <= self.high

    @property
    def expected(self) -> str:
        """What is allowed, in words."""
        words = [f"one of {', '.join(sorted(self.words))}"] if self.words else []
        words += [self._bounded("an", "integer")] if self.integer else []
        words += [self._bounded("a", "number")] if self.number else []
        return " or ".join(words + ["true or false"] * self.flag + ["null"] * self.null)

    def _bounded(self, article: str, what: str) -> str:
        high = "" if self.high >= LARGEST else f" to {self.high:g}"
        if (self.low, self.from_low) == (0, False) or (what == "integer" and (self.low, self.from_low) == (1, True)):
            return f"a positive {what}{high}"
        return f"{article} {what}{'' if self.low <= -LARGEST else f' from {self.low:g}'}{high}"


def _literal(model: Any, field: str) -> tuple[str, ...]:
    return get_args(model.model_fields[field].annotation)


_INTEGER, _FLAG = Values(integer=True, what="an integer", high=MAX_UNITS), Values(flag=True, what="a flag")
_FUNCTIONS: Mapping[str, Mapping[str, Values]] = {
    "direct": {},
    "weighted": {"form": Values(_literal(ConnectionFunction, "form"), "a form of weighted")},
    "softmax": {},
    "learned": {"bias": _FLAG},
    "concat": {},
}
_FC: Mapping[str, Values] = {
    "bias": _FLAG,
    "norm": Values(_literal(ChannelMatching, "norm"), "a norm"),
    "act": Values(_literal(ChannelMatching, "act"), "an activation"),
    "norm_act": _FLAG,
}
_MATCHINGS: Mapping[str, Mapping[str, Values]] = {
    "fc": _FC,
    "fc2": {
        "reduction": _INTEGER,
        **_FC,
        "norm_at": Values(_literal(ChannelMatching, "norm_at"), "a place of the norm"),
        "min_hidden": _INTEGER,
    },
}

Grammar: TypeAlias = Mapping[str, Values]
"""Axis -> its values. A scalar fixes it, a list makes it a choice, `{when: …, choose: …, else: …}` a condition."""


def grammar() -> dict[str, Values]:
    """Return every axis with its values, as the kinds and backbones of this moment declare them.

    Raises:
        ValueError: a kind declares a dimension that is called as another axis of the connections.
    """
    receives = {dimension_axis(dimension): _FLAG for dimension in dimensions()}
    fixed = {
        "backbone.name": Values(tuple(BACKBONES), "a backbone", pattern=NAMES),
        "backbone.width": Values(number=True, what="a width", high=MAX_WIDTH),
        "backbone.stem": Values(get_args(Stem), "a stem"),
        "backbone.own_attention": Values(get_args(OwnAttention), "a treatment of the library's own attention"),
        "attention.name": Values(tuple(KINDS), "an attention block"),
        **{f"attention.{name}": _values(name, options) for name, options in options_named().items()},
        "stage_attention.name": Values(kinds_after_stages(), "an attention block that stands after a stage"),
        **{f"stage_attention.{name}": _values(name, options) for name, options in stage_options().items()},
        ATTENTION_INIT: Values(get_args(AttentionInit), "a start of attention"),
        "connections.topology": Values((*TOPOLOGIES, "custom"), "a topology"),
        "connections.function": Values(tuple(_FUNCTIONS), "a connection function", named=_FUNCTIONS),
        "connections.channel_matching": Values(tuple(_MATCHINGS), "a channel matching", named=_MATCHINGS),
        "connections.spatial_matching": Values(_literal(Connections, "spatial_matching"), "a spatial matching"),
        "connections.coupling": Values(_literal(Connections, "coupling"), "a coupling"),
        "connections.message": Values(_literal(Connections, "message"), "a source of messages"),
        "connections.alpha.shape": Values(_literal(Alpha, "shape"), "a shape of alpha"),
        "connections.alpha.init": Values(number=True, from_low=True, what="a first value of alpha", high=MAX_ALPHA),
    }
    if taken := sorted(receives.keys() & fixed.keys()):
        raise ValueError(f"{', '.join(taken)}: a dimension needs another name, this one is an axis of its own")
    return fixed | receives


def kinds_after_stages() -> tuple[str, ...]:
    """Return the kinds that may be written under `stage_attention`."""
    return tuple(name for name, kind in KINDS.items() if not kind.in_blocks or name == NO_ATTENTION)


def stage_options() -> dict[str, list[Option]]:
    """Return the options that may be written under `stage_attention`, in the order of a space's questions."""
    return options_named(KINDS[name] for name in kinds_after_stages())


def dimension_axis(dimension: Dimension) -> str:
    """Return the axis 'receives or not' of a dimension."""
    return f"connections.{dimension}"


def _values(name: str, options: Sequence[Option]) -> Values:
    """Return what any kind takes for an option; `limits` refuses what one of the chosen kinds does not take."""
    types = {option.type for option in options}
    bounds = [option.bounds for option in options]
    words = {value for option in options for value in option.choices if isinstance(value, str)}
    return Values(
        words=tuple(sorted(words)),
        what=f"a value of {name}",
        integer=int in types,
        number=float in types,
        low=min(low for low, _ in bounds),
        from_low=True,
        high=max(high for _, high in bounds),
        flag=bool in types,
        null=any(option.is_typed(None) for option in options),
    )


DEFAULTS: Mapping[str, Any] = {
    "attention.name": NO_ATTENTION,
    "stage_attention.name": NO_ATTENTION,
    "connections.topology": "chain",
    "connections.function": "direct",
    "connections.channel_matching": "fc",
    "connections.spatial_matching": "average",
    "connections.coupling": "decoupled",
    "connections.message": "sender",
}
"""What an axis is where the space does not say."""


def keys(axes: Grammar, prefix: str) -> dict[str, str]:
    """Return the YAML keys under a part of the space, each with its axis; dimensions have a part of their own."""
    found = {name.removeprefix(prefix + "."): name for name in axes if name.startswith(prefix + ".")}
    flags = {dimension_axis(dimension) for dimension in dimensions()}
    return {key: name for key, name in found.items() if "." not in key and name not in flags}
