"""Which key of a released file holds which of our parameters, from the rules of `names` and a network's own shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from dcasearch.architecture import Architecture, Matching, Network, Node
from dcasearch.models import build_model
from dcasearch.models.connections import Arrival, Receiver, parameter_name
from dcasearch.paper.released.names import Names, Source

Shape = tuple[int, ...]
CLASSES = 1000
"""Of every released model: ImageNet's."""
COUNTER = "num_batches_tracked"
"""A BatchNorm's count of batches: changes no output, and old files of torch lack it."""


@dataclass(frozen=True, kw_only=True)
class KeyMap:
    """All keys of a released file."""

    sources: Mapping[str, Source]
    """Our parameter or buffer -> where it comes from."""
    shapes: Mapping[str, Shape]
    """Our parameter or buffer -> its shape."""
    dead: Mapping[str, Shape]
    """Keys without a counterpart, with their shapes: the file builds connections in its first block, which has
    nothing to receive, so that they change no output and get no gradient."""

    @cached_property
    def keys(self) -> Mapping[str, Shape]:
        """Every key of the file with its shape; see `without_ones` for how shapes compare."""
        living = {
            source.key: self.shapes[ours] if source.part is None else (1, 2) for ours, source in self.sources.items()
        }
        return {**living, **self.dead}


def without_ones(shape: Shape) -> Shape:
    """Return a shape without the ones at its end.

    The files hold as 1x1 convolutions and as (C, 1, 1) what are linear layers and vectors here: equal numbers.
    """
    end = next((n for n in range(len(shape), 0, -1) if shape[n - 1] != 1), 0)
    return shape[:end]


def key_map(architecture: Architecture, names: Names) -> KeyMap:
    """Return the keys of the released file that builds an architecture; shapes alone are made, no weights."""
    with torch.device("meta"):
        model = build_model(architecture, CLASSES)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    blocks = {parameter_name(node): names.block(node.name) for node in architecture.network.nodes}
    sources = {name: source_of(name, names, blocks) for name in shapes}
    return KeyMap(sources=sources, shapes=shapes, dead=dict(_dead(architecture.network, model.state_dict(), names)))


def source_of(ours: str, names: Names, blocks: Mapping[str, str]) -> Source:
    """Return where one of our parameters comes from.

    Args:
        ours: its name.
        names: the rules of the file.
        blocks: our name of a node -> the module that its attention stands in.
    """
    room, _, rest = ours.partition(".")
    if room == "backbone":
        return Source(names.backbone(rest))
    node, _, rest = rest.partition(".")
    if room == "attention":
        layer, _, parameter = rest.rpartition(".")
        return Source(f"{blocks[node]}.{names.kind.layers[layer]}.{parameter}")
    dimension, _, branch, *inner = rest.split(".")  # channel.branches.0.edges.layer1_0.match.fc.weight
    if inner[0] == "edges":
        inner = inner[2:]
    link, below = names.kind.links[dimension], ".".join(inner)
    if below in link.parameters:
        key, part = link.parameters[below]
    else:
        layer, _, parameter = below.rpartition(".")
        key, part = f"{link.modules[layer]}.{parameter}", None
    return Source(f"{blocks[node]}.{key.format(n=int(branch) + 1)}", part)


def _dead(network: Network, state: Mapping[str, torch.Tensor], names: Names) -> Iterator[tuple[str, Shape]]:
    """Yield the keys of the connections that the file builds in its first block, as if a block stood before it."""
    first = network.nodes[0]
    blocks = {parameter_name(first): names.block(first.name)}
    for dimension in network.dimensions:
        prefix = f"connections.{parameter_name(first)}.{dimension}."
        for name, tensor in _first_receiver(network, dimension, names, _input_channels(network, state)):
            key, part = source_of(prefix + name, names, blocks)
            yield key, tuple(tensor.shape) if part is None else (1, 2)


def _first_receiver(network: Network, dimension: str, names: Names, before: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of the receiver that the first block would have, were there a block of `before` channels."""
    first, second = network.nodes[:2]
    (edge,) = network.incoming(1, dimension)
    port = first.ports[dimension]
    matching = None
    if not port.planes and names.matched(before, port.channels):
        matching = _matching(network, dimension, before, first)
    edge = replace(edge, target=0, matching=matching, resize=None)
    arrival = Arrival(
        edge=edge,
        source="before",
        sender=replace(second.ports[dimension], channels=before),
        channels=before,
        receiver=port,
    )
    with torch.device("meta"):
        yield from Receiver([arrival], network.alpha_init).state_dict().items()


def _matching(network: Network, dimension: str, before: int, first: Node) -> Matching:
    """Return the matching of the network's later blocks, for the first block's channels."""
    like = next(e.matching for e in network.edges if e.dimension == dimension and e.matching is not None)
    channels = first.ports[dimension].channels
    hidden = None if like.hidden is None else max(channels * like.hidden // like.target, 1)
    return replace(like, source=before, target=channels, hidden=hidden)


def _input_channels(network: Network, state: Mapping[str, torch.Tensor]) -> int:
    """Return the channels of the first block's input, as its first convolution says."""
    name = f"backbone.{network.nodes[0].layout.name}."
    first = next(tensor for key, tensor in state.items() if key.startswith(name) and tensor.dim() == 4)
    return int(first.shape[1] if first.shape[1] > 1 else first.shape[0])  # depth-wise: as many as it gives
