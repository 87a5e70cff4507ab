"""The stem and the first stages of a network, with their attention and connections: what is frozen together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from itertools import chain
from typing import cast

import torch
from torch import fx, nn

from dcasearch.architecture import LibraryBackbone
from dcasearch.models.backbones import Backbone
from dcasearch.models.build import DCANet, backbone_of
from dcasearch.models.traced import analysis_for

_BACKBONE = "backbone"


@dataclass(frozen=True)
class FirstStages:
    """The first part of a network, by paths that copies of it have too."""

    modules: tuple[str, ...]
    """Layers of the backbone; attention and receivers."""
    parameters: tuple[str, ...] = ()
    """Parameters of the backbone that stand outside of its layers, e.g. a layer scale."""

    def freeze(self, network: DCANet) -> None:
        """Let a network's first stages learn nothing, and keep them in evaluation mode."""
        for path in self.modules:
            network.get_submodule(path).requires_grad_(False)
        for path in self.parameters:
            network.get_parameter(path).requires_grad_(False)
        network.hold(self.modules)


def first_stages(network: DCANet, stages: int) -> FirstStages:
    """Return the stem and the first stages of a network.

    In a library's network a layer or a parameter belongs to the earliest stage that uses it, and the stem is what
    the first block is computed from.

    Args:
        network: with or without its head.
        stages: how many, 0 for the stem alone.

    Raises:
        ValueError: the network has fewer stages.
    """
    numbers = [stage.name for stage in network.stages]
    if not 0 <= stages <= len(numbers):
        raise ValueError(f"{stages} stages cannot be frozen: the network has {len(numbers)}")
    nodes = zip(network.names, network.network.nodes, strict=True)
    own = [
        f"{room}.{name}" for name, node in nodes if node.layout.stage < stages for room in ("attention", "connections")
    ]
    library = network.network.library
    if library is None:
        return FirstStages((*_of_prepared(network, stages), *own))
    used = _used(library, stages, [node.layout.stage for node in network.network.blocks])
    modules = [str(node.target) for node in used if node.op == "call_module"]
    values = {str(node.target) for node in used if node.op == "get_attr"}
    parameters = [name for name, _ in network.named_parameters() if name in values]
    return FirstStages((*dict.fromkeys(modules), *own), tuple(parameters))


def _of_prepared(network: DCANet, stages: int) -> Iterator[str]:
    """Yield the layers of a prepared backbone's stem and first stages that have parameters or buffers."""
    paths = {id(module): name for name, module in network.named_modules()}
    blocks = [block for block in cast(Backbone, network.backbone).blocks() if isinstance(block, nn.Module)]
    within = {id(module) for block in blocks for module in block.modules()}
    trunk = _names_without_head(network)
    for name, module in network.backbone.named_modules(prefix=_BACKBONE):
        own = chain(module.named_parameters(name, recurse=False), module.named_buffers(name, recurse=False))
        if id(module) not in within and any(key in trunk for key, _ in own):
            yield name  # of the stem: in no block, and not in the head
    for node, block in zip(network.network.blocks, blocks, strict=True):
        if node.layout.stage < stages:
            yield paths[id(block)]


def _names_without_head(network: DCANet) -> Set[str]:
    """Return the names of the backbone's parameters and buffers that other layers than the head have."""
    with torch.device("meta"):
        twin = backbone_of(network.network, network.classes)
    cast(Backbone, twin).drop_head()
    return {f"{_BACKBONE}.{name}" for name in twin.state_dict()}


def _used(library: LibraryBackbone, stages: int, stage_of: Iterable[int]) -> list[fx.Node]:
    """Return what a library's first stages compute, in network order."""
    analysis = analysis_for(library)
    first = analysis.sites[0].block.nodes
    ends = [source for node in first for source in node.all_input_nodes if source not in first]
    ends += [site.block.output for site, stage in zip(analysis.sites, stage_of, strict=True) if stage < stages]
    found: set[fx.Node] = set()
    while ends:
        node = ends.pop()
        if node not in found:
            found.add(node)
            ends += node.all_input_nodes
    return [node for node in analysis.graph.nodes if node in found]
