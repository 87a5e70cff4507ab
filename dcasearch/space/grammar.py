"""What may stand in a search space: every axis with the values it takes. Reader, JSON Schema and docs use this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, get_args

from dcasearch.architecture import BACKBONES, KINDS, Alpha, ChannelMatching, ConnectionFunction, Connections
from dcasearch.architecture.layouts import Stem
from dcasearch.architecture.topology import TOPOLOGIES

GRAINS = ("network", "stage", "block")
_LARGEST = 2**53
"""Beyond it JSON and SQL do not give an integer back as it was."""


@dataclass(frozen=True)
class Values:
    """The values of an axis: one of `words`, or a number, or a flag, or null."""

    words: tuple[str, ...] = ()
    what: str = "a value"
    """For messages, e.g. `an attention block`."""
    _: KW_ONLY
    integer: bool = False
    number: bool = False
    zero: bool = False
    """Whether a number may be 0."""
    flag: bool = False
    null: bool = False
    named: Mapping[str, Mapping[str, Values]] | None = None
    """Words that may be written with options of their own, e.g. `{fc2: {reduction: [4, 8]}}`."""

    def fits(self, value: Any) -> bool:
        """Tell whether a plain value is one of these."""
        if isinstance(value, bool):
            return self.flag
        if value is None:
            return self.null
        if isinstance(value, str):
            return value in self.words
        if not isinstance(value, int | float) or not abs(value) < _LARGEST:  # `not <` holds for nan too
            return False
        return (self.number or (self.integer and isinstance(value, int))) and (value > 0 or (self.zero and value == 0))

    @property
    def expected(self) -> str:
        """What is allowed, in words."""
        kinds = {
            "a positive integer": self.integer,
            "a positive number": self.number and not self.zero,
            "a number from 0": self.number and self.zero,
            "true or false": self.flag,
            "null": self.null,
        }
        words = [f"one of {', '.join(sorted(self.words))}"] if self.words else []
        return " or ".join(words + [kind for kind, allowed in kinds.items() if allowed])


def _literal(model: Any, field: str) -> tuple[str, ...]:
    return get_args(model.model_fields[field].annotation)


_INTEGER, _FLAG = Values(integer=True, what="an integer"), Values(flag=True, what="a flag")
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

GRAMMAR: Mapping[str, Values] = {
    "backbone.name": Values(tuple(BACKBONES), "a backbone"),
    "backbone.width": Values(number=True, what="a width"),
    "backbone.stem": Values(get_args(Stem), "a stem"),
    "attention.name": Values(tuple(KINDS), "an attention block"),
    "attention.reduction": _INTEGER,
    "attention.extent": Values(integer=True, null=True, what="an extent"),
    "attention.mask_bias": _FLAG,
    "connections.channel": _FLAG,
    "connections.spatial": _FLAG,
    "connections.topology": Values((*TOPOLOGIES, "custom"), "a topology"),
    "connections.function": Values(tuple(_FUNCTIONS), "a connection function", named=_FUNCTIONS),
    "connections.channel_matching": Values(tuple(_MATCHINGS), "a channel matching", named=_MATCHINGS),
    "connections.spatial_matching": Values(_literal(Connections, "spatial_matching"), "a spatial matching"),
    "connections.coupling": Values(_literal(Connections, "coupling"), "a coupling"),
    "connections.alpha.shape": Values(_literal(Alpha, "shape"), "a shape of alpha"),
    "connections.alpha.init": Values(number=True, zero=True, what="a first value of alpha"),
}
"""Axis -> its values. A scalar fixes it, a list makes it a choice, `{when: …, choose: …, else: …}` a condition."""

DEFAULTS: Mapping[str, Any] = {
    "attention.name": "none",
    "connections.topology": "chain",
    "connections.function": "direct",
    "connections.channel_matching": "fc",
    "connections.spatial_matching": "average",
    "connections.coupling": "decoupled",
}
"""What an axis is where the space does not say."""


def keys(prefix: str) -> dict[str, str]:
    """Return the YAML keys under a part of the space, each with its axis."""
    found = {name.removeprefix(prefix + "."): name for name in GRAMMAR if name.startswith(prefix + ".")}
    return {key: name for key, name in found.items() if "." not in key}
