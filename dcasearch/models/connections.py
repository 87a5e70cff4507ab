"""Connections (Eq. 3): a block's extraction G, fused with the messages of earlier blocks before it is transformed.

receiver: f(G_k, Σ α_j·P_j), P_j = match(message_j); nothing is detached, nothing is written to a module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dcasearch.architecture.kinds import Port
from dcasearch.architecture.network import Edge, Node
from dcasearch.models.attention.base import Branch, Extraction, Message, Read
from dcasearch.models.controls import Constant, control_of
from dcasearch.models.functions import FUNCTIONS, Function
from dcasearch.models.matching import AxisChange, channel_matching, downsampling, upsample


@dataclass(frozen=True)
class Arrival:
    """One edge with the names and shapes of both its ends."""

    edge: Edge
    source: str
    """The sender's name, under which its messages arrive and the edge's parameters live."""
    sender: Port
    channels: int
    """Channels of the sender's map, which a coupled message is."""
    receiver: Port
    fitted: bool = False
    """Whether a map is brought to the receiver's very size: a library's network may round down at its strides, where
    matching rounds up, and lose a border between two blocks of one scale."""

    @classmethod
    def of(cls, edge: Edge, nodes: Sequence[Node], *, fitted: bool = False) -> Arrival:
        """Return the edge with the ports of the nodes that it joins."""
        source, target = nodes[edge.source], nodes[edge.target]
        return cls(
            edge=edge,
            source=parameter_name(source),
            sender=source.ports[edge.dimension],
            channels=source.layout.channels,
            receiver=target.ports[edge.dimension],
            fitted=fitted,
        )


def parameter_name(node: Node) -> str:
    """Return a node's name as a part of parameter names: `layer1.0` is `layer1_0`."""
    return node.name.replace(".", "_")


class Incoming(nn.Module):
    """One edge into one branch: P = match(message) and the edge's coefficient, both its own.

    The coefficient is `alpha`, or `weight` where the function is learned: one number, or one a channel.
    """

    def __init__(self, arrival: Arrival, branch: int, function: Function, alpha_init: float) -> None:
        super().__init__()
        edge, sender, receiver = arrival.edge, arrival.sender, arrival.receiver
        self._branch = branch if receiver.branches == sender.branches > 1 else None
        self._coupled = edge.coupled
        grows = edge.resize is not None and edge.resize.mode == "nearest"
        self._grow = grows or (arrival.fitted and bool(receiver.axes) and (edge.coupled or bool(sender.axes)))
        self._change = AxisChange.between(sender, receiver)
        shared = ("H", "W") if edge.coupled else tuple(axis for axis in sender.axes if axis in receiver.axes)
        self.down = downsampling(edge.resize, arrival.channels if edge.coupled else sender.channels, shared)
        self.match = channel_matching(edge.matching, on_map=edge.coupled or bool(shared))
        self.control = control_of(edge, sender, receiver, arrival.channels)
        shape: tuple[int, ...] = ()
        if edge.alpha == "channel":
            shape = (receiver.channels, 1, 1) if receiver.axes else (receiver.channels,)
        self._initial = alpha_init if function.initial is None else function.initial
        self._released_deviation = function.released_deviation
        self._name = function.coefficient
        self.register_parameter(self._name, nn.Parameter(torch.full(shape, self._initial)))

    def draw(self, generator: torch.Generator) -> None:
        """Set the coefficient to where it starts."""
        nn.init.constant_(self.coefficient, self._initial)

    def draw_as_released(self, generator: torch.Generator, *, zero_bias: bool) -> None:
        """Set the coefficient to where it starts in the released code."""
        if self._released_deviation is None:
            self.draw(generator)
        else:
            nn.init.normal_(self.coefficient, 0.0, self._released_deviation, generator=generator)

    def set_constant(self, means: Message) -> None:
        """Give a constant message its values: the sender's mean message, one tensor (C',) per branch of the sender."""
        if isinstance(self.control, Constant):
            self.control.set_to(means[0] if self._coupled else self._pick(means))

    @property
    def coefficient(self) -> Tensor:
        """α, or the learned weight."""
        value: Tensor = getattr(self, self._name)
        return value

    def forward(self, message: Message, extraction: Extraction, read: Read) -> Extraction:
        """Return P for each tensor of the extraction, of its shape."""
        picked = message[0] if self._coupled else self._pick(message)
        if self.control is not None:
            picked = self.control(picked, extraction[0])
        if self._coupled:
            whole = self.match(self.down(picked))
            return read(upsample(whole, extraction[0]) if self._grow else whole)
        return (self._matched(picked, extraction[0]),) * len(extraction)

    def _pick(self, message: Message) -> Tensor:
        """Return the message for this branch: the sender's same branch, its only one, or the sum of them."""
        if self._branch is not None:
            return message[self._branch]
        first, *others = message
        for other in others:
            first = first + other
        return first

    def _matched(self, message: Tensor, like: Tensor) -> Tensor:
        message = self.match(self.down(self._change.shrink(message)))
        return self._change.expand(upsample(message, like) if self._grow else message, like)


class Fusion(nn.Module):
    """f(G, Σ α_j·P_j) for one branch of a receiver."""

    def __init__(self, arrivals: Sequence[Arrival], branch: int, alpha_init: float) -> None:
        super().__init__()
        first = arrivals[0]
        self.function = FUNCTIONS[first.edge.function](first.edge, first.receiver)
        self.edges = nn.ModuleDict(
            {arrival.source: Incoming(arrival, branch, self.function, alpha_init) for arrival in arrivals}
        )

    def forward(self, extraction: Extraction, messages: Mapping[str, Message], read: Read) -> Extraction:
        """Fuse every tensor of the extraction with the messages, by the same f."""
        arrived = [edge(messages[source], extraction, read) for source, edge in self.edges.items()]
        coefficients = [edge.coefficient for edge in self.edges.values()]
        return tuple(self.function(g, list(p), coefficients) for g, *p in zip(extraction, *arrived, strict=True))


class Receiver(nn.Module):
    """All edges into one block in one dimension."""

    def __init__(self, arrivals: Sequence[Arrival], alpha_init: float) -> None:
        super().__init__()
        branches = arrivals[0].receiver.branches
        self.branches = nn.ModuleList(Fusion(arrivals, branch, alpha_init) for branch in range(branches))

    def forward(self, extraction: Extraction, messages: Mapping[str, Message], read: Read) -> Extraction:
        """Return f(G, αP); each branch has its own matching and function.

        Args:
            extraction: the raw G, one tensor or several of one shape.
            messages: by the sender's name.
            read: the receiver's extraction, which a coupled message (a whole map) goes through.
        """
        if len(self.branches) == 1:
            fused: Extraction = self.branches[0](extraction, messages, read)
            return fused
        return tuple(branch((g,), messages, read)[0] for branch, g in zip(self.branches, extraction, strict=True))


def send_message(part: Branch[object], raw: Extraction, transformed: Tensor, gated: Tensor) -> Message:
    """Send the part's own message (section 3.4: one dimension alone)."""
    return part.message(raw, transformed)


def send_map(part: Branch[object], raw: Extraction, transformed: Tensor, gated: Tensor) -> Message:
    """Send the whole gated map, as the released code does for CBAM; a copy, since the shortcut is added in place."""
    return (gated.clone(),)
