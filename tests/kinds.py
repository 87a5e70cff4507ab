"""Kinds of attention that only tests have: each is entered into both tables for the length of one test."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dcasearch.architecture import KINDS, Kind, Option, State
from dcasearch.models.attention import ATTENTIONS, AttentionBlock, Branch, Extraction, Messages
from dcasearch.models.attention.base import Receive, Sends

TALL = Kind(
    title="Tall: gates rows",
    options=(
        Option(name="strength", type=float, default=1.0, least=0.0, says="factor of the gates"),
        Option(name="pool", type=str, default="mean", choices=("mean", "max"), says="how a row is pooled"),
        Option(name="sharp", type=bool, default=False, late=True, says="came later"),
        Option(name="steps", type=int, default=1, least=1, most=3, searchable=False, says="not searched"),
    ),
    dimensions={"row": State(g=("B", "C", "H", "1"), t=("B", "C", "H", "1"), extraction="mean over W")},
)
"""A dimension of its own, whose messages are (B, C, H, 1), and an option of each type."""
FLAT = Kind(
    title="Flat: gives what Tall cannot take",
    dimensions={"row": State(g=("B", "C", "1", "W"), t=("B", "C", "1", "W"))},
)
WHOLE = Kind(title="Whole: gives Tall a map", dimensions={"row": State(g=("B", "C", "H", "W"), t=("B", "C", "H", "W"))})
MASK = Kind(title="Mask: planes", dimensions={"row": State(g=("B", "1", "H", "W"), t=("B", "1", "H", "W"))})
PLANES = Kind(
    title="Planes: as many as its option says",
    options=(Option(name="groups", type=int, default=4, least=1, says="planes"),),
    dimensions={"spatial": State(g=("B", "groups", "H", "W"), t=("B", "groups", "H", "W"))},
)
AFTER = Kind(
    title="After: stands after a stage",
    place="stage",
    dimensions={
        "channel": State(g=("B", "C"), t=("B", "C")),
        "energy": State(g=("B", "1", "H", "W"), t=("B", "1", "H", "W")),
    },
)
BETWEEN = Kind(
    title="Between stages", place="between stages", dimensions={"channel": State(g=("B", "C"), t=("B", "C"))}
)
BELOW = Kind(
    title="Below: after a stage, gives what Tall cannot take",
    place="stage",
    dimensions={"row": State(g=("B", "C", "1", "W"), t=("B", "C", "1", "W"))},
)
ALONE = Kind(title="Alone: cannot be connected")
MINE = Kind(title="Mine: a buffer", dimensions={"channel": State(g=("B", "C"), t=("B", "C"))})


class Gate(Branch[Tensor]):
    """Averages over some axes of the map, gates by the sigmoid of a learned multiple."""

    def __init__(self, mean: tuple[int, ...], keepdim: bool = True, strength: float = 1.0) -> None:
        super().__init__()
        self.mean, self.keepdim, self.strength = mean, keepdim, strength
        self.vector = not keepdim
        self.slope = nn.Parameter(torch.ones(()))

    def draw(self, generator: torch.Generator) -> None:
        nn.init.ones_(self.slope)

    def extract(self, features: Tensor) -> Extraction:
        return (features.mean(self.mean, keepdim=self.keepdim) if self.mean else features,)

    def transform(self, extraction: Extraction) -> Tensor:
        return torch.sigmoid(self.strength * self.slope * extraction[0])

    def fuse(self, features: Tensor, transformed: Tensor) -> Tensor:
        return features * (transformed[:, :, None, None] if self.vector else transformed)


class Groups(Gate):
    """Averages groups of channels, one plane each."""

    def __init__(self, planes: int) -> None:
        super().__init__(())
        self.planes = planes

    def extract(self, features: Tensor) -> Extraction:
        return (features.unflatten(1, (self.planes, -1)).mean(2),)

    def fuse(self, features: Tensor, transformed: Tensor) -> Tensor:
        return (features.unflatten(1, (self.planes, -1)) * transformed[:, :, None]).flatten(1, 2)


class Alone(AttentionBlock):
    """Gates each position by a convolution, and has no dimension."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 1)

    def attend(self, features: Any, receive: Receive, sends: Sends) -> tuple[Tensor, Messages]:
        return features * torch.sigmoid(self.conv(features)), {}


class Scaled(Gate):
    """The case of a module that writes a buffer when it is made, which a network without memory forgets."""

    def __init__(self, channels: int) -> None:
        super().__init__((2, 3), keepdim=False)
        self.register_buffer("scale", torch.full((channels,), 0.5))


_MAKERS: dict[str, tuple[Kind, Any]] = {
    "tall": (TALL, lambda block, host: AttentionBlock(row=Gate((3,), strength=block.option("strength")))),
    "flat": (FLAT, lambda block, host: AttentionBlock(row=Gate((2,)))),
    "whole": (WHOLE, lambda block, host: AttentionBlock(row=Gate(()))),
    "mask": (MASK, lambda block, host: AttentionBlock(row=Gate((1,)))),
    "planes": (PLANES, lambda block, host: AttentionBlock(spatial=Groups(block.option("groups")))),
    "after": (AFTER, lambda block, host: AttentionBlock(channel=Gate((2, 3), keepdim=False), energy=Gate((1,)))),
    "between": (BETWEEN, lambda block, host: AttentionBlock(channel=Gate((2, 3), keepdim=False))),
    "below": (BELOW, lambda block, host: AttentionBlock(row=Gate((2,)))),
    "alone": (ALONE, lambda block, host: Alone(block.layout.channels)),
    "mine": (MINE, lambda block, host: AttentionBlock(channel=Scaled(block.layout.channels))),
}


def enter(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Register test kinds as their modules would; the tables are as before when the test ends."""
    for name in names:
        kind, factory = _MAKERS[name]
        monkeypatch.setitem(KINDS._entries, name, kind)
        monkeypatch.setitem(ATTENTIONS._entries, name, factory)
