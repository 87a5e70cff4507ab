"""Parameters and multiply-adds of an architecture, exact, without drawing its weights.

A network's cost is the sum of its components' (the plain backbone, each node's attention, each node's receivers),
each counted once on the meta device and remembered: the next architecture mostly repeats components of earlier ones.
Multiply-adds are those of convolutions, linear layers and matrix products, for one image (torch's FlopCounterMode / 2).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dcasearch.architecture import BACKBONES, Architecture, Network, Node
from dcasearch.architecture.kinds import Dimension, Port
from dcasearch.architecture.kinds.declaration import NO_ATTENTION
from dcasearch.architecture.layouts import Stem
from dcasearch.evaluation import Cost
from dcasearch.models.attention import Extraction, Message, attention_of
from dcasearch.models.attention.base import Read
from dcasearch.models.backbones import NETWORKS, Backbone, Host, Passage
from dcasearch.models.connections import Arrival, Receiver


def cost(architecture: Architecture, resolution: int, num_classes: int) -> Cost:
    """Return what an architecture's network costs at images of `resolution` x `resolution` pixels."""
    network = architecture.network
    parts = [_plain(network.backbone, resolution, num_classes)]
    for n, node in enumerate(network.nodes):
        if node.kind != NO_ATTENTION:
            parts.append(_attention(network, n, resolution).cost)
        parts += _receivers(network, n, resolution)
    return Cost(params=sum(part.params for part in parts), macs=sum(part.macs for part in parts))


def counted(architecture: Architecture, resolution: int, num_classes: int) -> Mapping[str, float]:
    """Return `cost` by metric of `dcasearch.metrics`."""
    return asdict(cost(architecture, resolution, num_classes))


def measure(module: nn.Module, *arguments: object) -> Cost:
    """Return a module's parameters, and the multiply-adds of calling it in evaluation mode."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module.eval()(*arguments)
    return Cost(params=sum(p.numel() for p in module.parameters()), macs=counter.get_total_flops() // 2)


@dataclass(frozen=True)
class _Site:
    """Stands for a backbone's block around an attention block, and costs nothing: only its shapes are real.

    After a stage it stands for the passage there, whose shape is that of the stage's output.
    """

    host: Host
    node: Node
    resolution: int

    @property
    def convolution(self) -> nn.Conv2d:
        return self.host.convolution

    @property
    def activation(self) -> nn.Module | None:
        return self.host.activation

    def before(self, x: Tensor) -> Tensor:
        if self.node.after_stage:
            return x
        size = _size(self.node, self.resolution) * int(self.convolution.stride[0])
        return _meta(self.convolution.in_channels, size)

    def convolve(self, u: Tensor) -> Tensor:
        return u if self.node.after_stage else _meta(self.convolution.out_channels, _size(self.node, self.resolution))

    def after(self, v: Tensor) -> Tensor:
        return _meta(self.node.layout.channels, _size(self.node, self.resolution))

    def join(self, x: Tensor, y: Tensor) -> Tensor:
        return y


@dataclass(frozen=True)
class _Counted:
    """An attention block's cost, and for each dimension its raw extraction (meta) with the way to read a map."""

    cost: Cost
    readings: Mapping[Dimension, tuple[Extraction, Read]]


_attentions: dict[Hashable, _Counted] = {}
_connections: dict[Hashable, Cost] = {}


@cache
def _plain(backbone: tuple[str, float, Stem], resolution: int, classes: int) -> Cost:
    return measure(_backbone(backbone, classes), _meta(3, resolution))


@cache
def _backbone(backbone: tuple[str, float, Stem], classes: int) -> nn.Module:
    name, width, stem = backbone
    with torch.device("meta"):
        return NETWORKS[name](width, stem, classes)


@cache
def _hosts(backbone: tuple[str, float, Stem]) -> Mapping[str, Host]:
    """Return a backbone's blocks by name."""
    layout = BACKBONES[backbone[0]](*backbone[1:])
    blocks = cast(Backbone, _backbone(backbone, 1)).blocks()
    return {block.name: host for block, host in zip(layout.blocks, blocks, strict=True)}


def _attention(network: Network, n: int, resolution: int) -> _Counted:
    key = (network.backbone, _shape(network.nodes[n]), resolution)
    if key not in _attentions:
        _attentions[key] = _count_attention(network, n, resolution)
    return _attentions[key]


def _count_attention(network: Network, n: int, resolution: int) -> _Counted:
    node = network.nodes[n]
    host = Passage() if node.after_stage else _hosts(network.backbone)[node.name]
    readings: dict[Dimension, tuple[Extraction, Read]] = {}

    def receive(dimension: Dimension, raw: Extraction, read: Read) -> Extraction:
        readings[dimension] = raw, read
        return raw

    with torch.device("meta"):
        attention = attention_of(node, host)
    counted = measure(attention, _Site(host, node, resolution), _meta(1, 1), receive, {})
    return _Counted(counted, readings)


def _receivers(network: Network, n: int, resolution: int) -> list[Cost]:
    costs = []
    for dimension in network.dimensions:
        if edges := network.incoming(n, dimension):
            arrivals = [Arrival.of(edge, network.nodes) for edge in edges]
            key = (network.backbone, _shape(network.nodes[n]), resolution, *map(_arrival_shape, arrivals))
            if key not in _connections:
                reading = _attention(network, n, resolution).readings[dimension]
                _connections[key] = _count_receiver(network, arrivals, reading, resolution)
            costs.append(_connections[key])
    return costs


def _count_receiver(
    network: Network, arrivals: list[Arrival], reading: tuple[Extraction, Read], resolution: int
) -> Cost:
    raw, read = reading
    with torch.device("meta"):
        receiver = Receiver(arrivals, network.alpha_init)
    messages = {a.source: _message(a, network.nodes[a.edge.source], resolution) for a in arrivals}
    return measure(receiver, raw, messages, read)


def _message(arrival: Arrival, source: Node, resolution: int) -> Message:
    """Return a message's shapes."""
    if arrival.edge.coupled:
        return (_meta(arrival.channels, _size(source, resolution)),)
    port = arrival.sender
    return (torch.empty(_message_shape(port, resolution), device="meta"),) * port.branches


def _message_shape(port: Port, resolution: int) -> tuple[int, ...]:
    if port.scale is None:
        return 1, port.channels
    size = -(-resolution // port.scale)
    return 1, port.channels, *(size if axis in port.axes else 1 for axis in ("H", "W"))


def _shape(node: Node) -> Hashable:
    """Return what an attention block's cost depends on, beside the backbone and the resolution."""
    layout = replace(node.layout, name="", stage=0)
    return layout, node.kind, tuple(sorted(node.options.items())), node.form


def _arrival_shape(arrival: Arrival) -> Hashable:
    """Return what an edge's cost depends on, beside its receiver."""
    return replace(arrival.edge, source=0, target=0), arrival.sender, arrival.channels


def _size(node: Node, resolution: int) -> int:
    """Return the height of a node's output: every stride rounds up."""
    return -(-resolution // node.layout.scale)


def _meta(channels: int, size: int) -> Tensor:
    return torch.empty((1, channels, size, size), device="meta")
