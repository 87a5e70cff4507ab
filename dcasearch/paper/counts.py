"""What a row of the paper counts to here: parameters, the authors' unused ones, multiply-adds, the paper's GFLOPs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import nn

from dcasearch.architecture import Architecture
from dcasearch.architecture.resolution import edge_between
from dcasearch.models import DCANet, build_model
from dcasearch.models.backbones import Backbone
from dcasearch.models.connections import Arrival, Receiver
from dcasearch.models.cost import measure
from dcasearch.paper.gflops import operations

RESOLUTION, CLASSES = 224, 1000
"""Of every row."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """One network, counted on the meta device."""

    params: int
    """Parameters of the network that is built here."""
    unused: int
    """Parameters that the authors' first block has beside these: it owns a connection, but nothing sends to it."""
    macs: int
    """Multiply-adds of convolutions, linear layers and matrix products."""
    operations: int
    """In the authors' counting convention."""

    @property
    def printed(self) -> int:
        """Parameters as the paper counts them."""
        return self.params + self.unused


def count(architecture: Architecture) -> Counts:
    """Return what the network of an architecture counts to, for one image of 224 x 224 pixels and 1,000 classes.

    Raises:
        UserError: the counting convention is not known of one of its kinds of attention.
    """
    with torch.device("meta"):
        model, image = build_model(architecture, CLASSES), torch.empty(1, 3, RESOLUTION, RESOLUTION)
    with operations(model) as counted:
        cost = measure(model, image)
    return Counts(params=cost.params, unused=unused(architecture, model), macs=cost.macs, operations=sum(counted))


def unused(architecture: Architecture, model: DCANet) -> int:
    """Return the parameters of the connection that the authors build in the first block of each connected dimension.

    The block would own this connection if the stem sent to it: the stem's channels are matched to the block's.
    """
    with torch.device("meta"):
        receivers = [Receiver([arrival], 0.0) for arrival in _from_the_stem(architecture, model)]
    return sum(parameter.numel() for receiver in receivers for parameter in receiver.parameters())


def _from_the_stem(architecture: Architecture, model: DCANet) -> Iterator[Arrival]:
    connections, network = architecture.connections, architecture.network
    if connections is None:
        return
    stem = _stem_channels(model)
    for dimension in network.dimensions:
        first = next(node for node in network.nodes if dimension in node.ports)
        port = first.ports[dimension]
        sender = replace(
            first,
            layout=replace(first.layout, name="stem", channels=stem),
            ports={dimension: port if port.planes else replace(port, channels=stem)},
        )
        yield Arrival.of(edge_between(connections, sender, first, dimension), (sender, first))


def _stem_channels(model: DCANet) -> int:
    """Return the channels of the first block's input."""
    first = next(iter(cast(Backbone, model.backbone).blocks()))
    return next(m.in_channels for m in cast(nn.Module, first).modules() if isinstance(m, nn.Conv2d))
