"""An attention block as the paper draws it (section 3.1): extraction G = g(X), transformation T = t(G), fusion X * T.

Where attention starts as the identity (`attention_init: identity`), a map becomes X + s (X * T − X) with a learnable
scalar s that starts at 0: one for each part, and one for the whole of a `JointAttention`.

One `Branch` per dimension; shapes: X (B, C, H, W); G and T have the shapes that the kind declares. Parts run in the
order in which they are given, each on the map that the one before has gated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar, cast

import torch
from torch import Tensor, nn

from dcasearch.architecture.kinds import KINDS, Dimension
from dcasearch.architecture.network import Node
from dcasearch.models.backbones.base import Host
from dcasearch.registry import Registry

Extraction: TypeAlias = tuple[Tensor, ...]
"""G: one tensor, or several of one shape (CBAM's average and maximum, SK's branches)."""
Message: TypeAlias = tuple[Tensor, ...]
"""What a block sends in one dimension: one tensor, or one per branch."""
Read: TypeAlias = Callable[[Any], Extraction]
Receive: TypeAlias = Callable[[Dimension, Extraction, Read], Extraction]
"""(dimension, raw G, the branch's `extract`) -> f(G, αP) where the block listens, else G itself."""

Features = TypeVar("Features")


class Gain(nn.Module):
    """s: the share of a part's change that reaches the map, 0 at the start. At s = 0 it is the map, at s = 1 X * T.

    While s is 0, it alone has a gradient. At its first step away from 0 all of its part's parameters have one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.zeros(()))

    def draw(self, generator: torch.Generator) -> None:
        """Set s to 0."""
        nn.init.zeros_(self.s)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Return before + s (after - before), in the type of `before`: under autocast some gates are wider."""
        return torch.lerp(before, after.to(before.dtype), self.s.to(before.dtype))


class Branch(nn.Module, ABC, Generic[Features]):
    """One dimension of an attention block. `Features` is the map (B, C, H, W), or SK's pair of maps.

    A block calls the branch itself where it wants T. So a forward hook on a branch sees T (`dcasearch.interpretation`).
    """

    def __init__(self) -> None:
        super().__init__()
        self.gain: Gain | None = None
        """Where attention starts as the identity, and the block's parts are fused one by one."""

    def forward(self, extraction: Extraction) -> Tensor:
        """Return T = t(G), by `transform`."""
        return self.transform(extraction)

    @abstractmethod
    def extract(self, features: Features) -> Extraction:
        """Return G = g(X)."""

    @abstractmethod
    def transform(self, extraction: Extraction) -> Tensor:
        """Return T = t(G); G has been fused with the messages."""

    def fuse(self, features: Features, transformed: Tensor) -> Tensor:
        """Return X * T, a map (B, C, H, W).

        Raises:
            NotImplementedError: a branch of a `JointAttention` has none, since the block fuses for all of its branches.
        """
        raise NotImplementedError(f"{type(self).__name__} fuses nothing by itself")

    def unchanged(self, features: Features) -> Tensor:
        """Return the map that stands in the place of `fuse`'s where this part changes nothing: X itself."""
        return cast(Tensor, features)

    def gated(self, features: Features, transformed: Tensor) -> Tensor:
        """Return X * T, or X + s (X * T − X) where the part has a gain; this is what a block calls."""
        fused = self.fuse(features, transformed)
        return fused if self.gain is None else self.gain(self.unchanged(features), fused)

    def message(self, extraction: Extraction, transformed: Tensor) -> Message:
        """Return T ⊙ G of the raw G, so that T in (0, 1) gets the scale of what it is fused with (Eq. 3)."""
        return (transformed * extraction[0],)


Send: TypeAlias = Callable[[Branch[Any], Extraction, Tensor, Tensor], Message]
"""(branch, raw G, T, gated map) -> the message."""
Sends: TypeAlias = Mapping[Dimension, Send]
"""The dimensions somebody listens to."""
Messages: TypeAlias = dict[Dimension, Message]


class AttentionBlock(nn.Module):
    """An attention block: on a residual branch's output before the shortcut is added, or after a stage.

    Its parts are given by the names of their dimensions: `AttentionBlock(channel=..., spatial=...)`.
    """

    def __init__(self, **parts: Branch[Any]) -> None:
        super().__init__()
        self.dimensions: tuple[Dimension, ...] = tuple(parts)
        for dimension, part in parts.items():
            self.add_module(dimension, part)

    def part(self, dimension: Dimension) -> Branch[Any]:
        """Return one dimension's part."""
        part: Branch[Any] = getattr(self, dimension)
        return part

    def start_as_identity(self) -> None:
        """Give each part a gain, so that the block changes no map as it is drawn."""
        for dimension in self.dimensions:
            self.part(dimension).gain = Gain()

    def forward(self, host: Host, x: Tensor, receive: Receive, sends: Sends) -> tuple[Tensor, Messages]:
        """Run the block `host` on its input x with attention; return its output and its messages.

        After a stage the host is a `Passage`: the attention then works on x itself.
        """
        y = host.after(host.convolve(host.before(x)))
        y, messages = self.attend(y, receive, sends)
        return host.join(x, y), messages

    def attend(self, features: Any, receive: Receive, sends: Sends) -> tuple[Tensor, Messages]:
        """Run every dimension's extraction, transformation and fusion; return the gated map and the messages."""
        messages: Messages = {}
        for dimension in self.dimensions:
            part = self.part(dimension)
            raw = part.extract(features)
            transformed = part(receive(dimension, raw, part.extract))
            features = part.gated(features, transformed)
            if dimension in sends:
                messages[dimension] = sends[dimension](part, raw, transformed, features)
        return features, messages


class JointAttention(AttentionBlock, ABC):
    """An attention block whose dimensions read one map side by side, and gate it together.

    Each still has an extraction of its own, and receives and sends by itself.
    """

    def __init__(self, **parts: Branch[Any]) -> None:
        super().__init__(**parts)
        self.gain: Gain | None = None
        """Where attention starts as the identity: one for all parts, which fuse together."""

    def start_as_identity(self) -> None:
        """Give the block one gain."""
        self.gain = Gain()

    @abstractmethod
    def fuse(self, features: Tensor, transformed: Mapping[Dimension, Tensor]) -> Tensor:
        """Return the map fused with the transformations of all dimensions."""

    def transform(self, extractions: Mapping[Dimension, Extraction]) -> Mapping[Dimension, Tensor]:
        """Return T of each dimension; by default each by itself."""
        return {dimension: self.part(dimension)(g) for dimension, g in extractions.items()}

    def attend(self, features: Tensor, receive: Receive, sends: Sends) -> tuple[Tensor, Messages]:
        """Extract in every dimension, transform, and fuse once; return the gated map and the messages."""
        parts = {dimension: self.part(dimension) for dimension in self.dimensions}
        raw = {dimension: part.extract(features) for dimension, part in parts.items()}
        transformed = self.transform({d: receive(d, raw[d], part.extract) for d, part in parts.items()})
        fused = self.fuse(features, transformed)
        gated = fused if self.gain is None else self.gain(features, fused)
        return gated, {d: sends[d](part, raw[d], transformed[d], gated) for d, part in parts.items() if d in sends}


Factory: TypeAlias = Callable[[Node, Host], AttentionBlock]

ATTENTIONS: Registry[Factory] = Registry("an attention block")


def attention_of(node: Node, host: Host) -> AttentionBlock:
    """Return a node's attention; after a stage the host is a `Passage`.

    Raises:
        TypeError: the module has other dimensions than its kind declares, or gates them otherwise.
    """
    kind, attention = KINDS[node.kind], ATTENTIONS[node.kind](node, host)
    if attention.dimensions != tuple(kind.dimensions):
        declared, has = (", ".join(names) or "none" for names in (kind.dimensions, attention.dimensions))
        raise TypeError(f"{node.kind} declares the dimensions {declared}; its module has {has}")
    if kind.joint != isinstance(attention, JointAttention):
        raise TypeError(f"{node.kind}: `joint` of its declaration is {kind.joint}, its module says otherwise")
    if node.gain:
        attention.start_as_identity()
    return attention


def whole(node: Node, option: str) -> int:
    """Return what is built of an integer option."""
    value = node.option(option)
    assert isinstance(value, int)  # the declaration says so
    return value
