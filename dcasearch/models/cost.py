"""Parameters and multiply-adds of an architecture, exact, without drawing its weights.

A network's cost is the sum of its components' (the plain backbone, each node's attention, each node's receivers),
each counted once on the meta device and remembered: the next architecture mostly repeats components of earlier ones.
Multiply-adds are those of convolutions, linear layers and matrix products, for one image (torch's FlopCounterMode / 2).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dcasearch.architecture import BACKBONES, Architecture, BlockLayout, LibraryBackbone, Network, Node
from dcasearch.architecture.kinds import Dimension, Port
from dcasearch.architecture.kinds.declaration import NO_ATTENTION
from dcasearch.architecture.layouts import Stem
from dcasearch.evaluation import Cost
from dcasearch.models.attention import Extraction, Message, attention_of
from dcasearch.models.attention.base import Read
from dcasearch.models.backbones import NETWORKS, Backbone, Host, Passage
from dcasearch.models.connections import Arrival, Receiver
from dcasearch.models.traced import Sides, analysis_for, library_network
from dcasearch.models.traced.generated import host_of


def cost(architecture: Architecture, resolution: int, num_classes: int) -> Cost:
    """Return what an architecture's network costs at images of `resolution` x `resolution` pixels."""
    network = architecture.network
    parts = [_plain(_backbone_of(network), resolution, num_classes)]
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
    channels: int
    side: int
    """Height and width of the map that attention gates."""
    entering: int
    """Height and width of the convolution's input, where the host has one."""

    @property
    def shape(self) -> Hashable:
        """What the cost of attention here depends on, beside its node's layout."""
        return self.side, self.entering, "" if isinstance(self.host, Passage) else repr(self.host.convolution)

    @property
    def convolution(self) -> nn.Conv2d:
        return self.host.convolution

    @property
    def activation(self) -> nn.Module | None:
        return self.host.activation

    def before(self, x: Tensor) -> Tensor:
        return x if isinstance(self.host, Passage) else _meta(self.convolution.in_channels, self.entering)

    def convolve(self, u: Tensor) -> Tensor:
        return u if isinstance(self.host, Passage) else _meta(self.convolution.out_channels, self.side)

    def after(self, v: Tensor) -> Tensor:
        return _meta(self.channels, self.side)

    def join(self, x: Tensor, y: Tensor) -> Tensor:
        return y


@dataclass(frozen=True)
class _Counted:
    """An attention block's cost, and for each dimension its raw extraction (meta) with the way to read a map."""

    cost: Cost
    readings: Mapping[Dimension, tuple[Extraction, Read]]


_attentions: dict[Hashable, _Counted] = {}
_connections: dict[Hashable, Cost] = {}


_Backbone: TypeAlias = tuple[str, float, Stem] | LibraryBackbone


def _backbone_of(network: Network) -> _Backbone:
    return network.backbone if network.library is None else network.library


@cache
def _plain(backbone: _Backbone, resolution: int, classes: int) -> Cost:
    return measure(_backbone(backbone, classes), _meta(3, resolution))


@cache
def _backbone(backbone: _Backbone, classes: int) -> nn.Module:
    with torch.device("meta"):
        if isinstance(backbone, LibraryBackbone):
            return library_network(backbone.network, classes)
        name, width, stem = backbone
        return NETWORKS[name](width, stem, classes)


@cache
def _hosts(backbone: tuple[str, float, Stem]) -> Mapping[str, Host]:
    """Return a backbone's blocks by name."""
    layout = BACKBONES[backbone[0]](*backbone[1:])
    blocks = cast(Backbone, _backbone(backbone, 1)).blocks()
    return {block.name: host for block, host in zip(layout.blocks, blocks, strict=True)}


@cache
def _sides(library: LibraryBackbone, resolution: int) -> Sides:
    return analysis_for(library).sides(resolution)


def _site(network: Network, n: int, resolution: int) -> _Site:
    """Return where a node's attention stands, with the sizes of its maps."""
    node, library = network.nodes[n], network.library
    if library is None:
        host = Passage() if node.after_stage else _hosts(network.backbone)[node.name]
        side = -(-resolution // node.layout.scale)  # every stride rounds up
        stride = 1 if node.after_stage else int(host.convolution.stride[0])
        return _Site(host, node.layout.channels, side, side * stride)
    return _library_site(library, node.layout, node.kind, node.after_stage, resolution)


@cache
def _library_site(library: LibraryBackbone, block: BlockLayout, kind: str, after_stage: bool, resolution: int) -> _Site:
    analysis, sides = analysis_for(library), _sides(library, resolution)
    site = next(site for site in analysis.sites if site.name == block.name)
    host = host_of(analysis.root, site, kind, after_stage=after_stage)
    if isinstance(host, Passage):
        side = sides[site.block.output if after_stage else site.value]
        return _Site(host, block.channels, side, side)
    first, *_, last = site.convolution[0].all_input_nodes[0], *site.convolution
    return _Site(host, block.width, sides[last], sides.get(first, resolution))


def _attention(network: Network, n: int, resolution: int) -> _Counted:
    key = (_backbone_of(network), _shape(network.nodes[n]), _site(network, n, resolution).shape, resolution)
    if key not in _attentions:
        _attentions[key] = _count_attention(network, n, resolution)
    return _attentions[key]


def _count_attention(network: Network, n: int, resolution: int) -> _Counted:
    node, site = network.nodes[n], _site(network, n, resolution)
    readings: dict[Dimension, tuple[Extraction, Read]] = {}

    def receive(dimension: Dimension, raw: Extraction, read: Read) -> Extraction:
        readings[dimension] = raw, read
        return raw

    with torch.device("meta"):
        attention = attention_of(node, site.host)
    counted = measure(attention, site, _meta(1, 1), receive, {})
    return _Counted(counted, readings)


def _receivers(network: Network, n: int, resolution: int) -> list[Cost]:
    costs = []
    for dimension in network.dimensions:
        if edges := network.incoming(n, dimension):
            arrivals = [Arrival.of(edge, network.nodes, fitted=network.library is not None) for edge in edges]
            key = (
                *(_backbone_of(network), _shape(network.nodes[n]), _site(network, n, resolution).shape, resolution),
                *(_site(network, edge.source, resolution).side for edge in edges),
                *map(_arrival_shape, arrivals),
            )
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
    messages = {a.source: _message(network, a, resolution) for a in arrivals}
    return measure(receiver, raw, messages, read)


def _message(network: Network, arrival: Arrival, resolution: int) -> Message:
    """Return a message's shapes."""
    side = _site(network, arrival.edge.source, resolution).side
    if arrival.edge.coupled:
        return (_meta(arrival.channels, side),)
    port, scale = arrival.sender, network.nodes[arrival.edge.source].layout.scale
    return (torch.empty(_message_shape(port, side, scale), device="meta"),) * port.branches


def _message_shape(port: Port, side: int, scale: int) -> tuple[int, ...]:
    """Return the shape of a message from a map with `side` pixels of `scale`."""
    if port.scale is None:
        return 1, port.channels
    size = -(-side // (port.scale // scale))
    return 1, port.channels, *(size if axis in port.axes else 1 for axis in ("H", "W"))


def _shape(node: Node) -> Hashable:
    """Return what an attention block's cost depends on, beside the backbone and the resolution."""
    layout = replace(node.layout, name="", stage=0)
    return layout, node.kind, tuple(sorted(node.options.items())), node.form, node.gain


def _arrival_shape(arrival: Arrival) -> Hashable:
    """Return what an edge's cost depends on, beside its receiver."""
    return replace(arrival.edge, source=0, target=0), arrival.sender, arrival.channels


def _meta(channels: int, size: int) -> Tensor:
    return torch.empty((1, channels, size, size), device="meta")
