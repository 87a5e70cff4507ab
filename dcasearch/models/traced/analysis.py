"""All that is known of a library's network: its graph, its places of attention, its trace. Made once in a process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import fx, nn

from dcasearch.architecture.backbone import LibraryBackbone, LibraryNetwork, Trace
from dcasearch.errors import ArchitectureError
from dcasearch.models.traced.blocks import Found, Rule, Sight, find_blocks
from dcasearch.models.traced.fingerprint import fingerprint_of
from dcasearch.models.traced.libraries import build, version_of
from dcasearch.models.traced.own_attention import without_own_attention
from dcasearch.models.traced.placement import Site, site_of
from dcasearch.models.traced.residuals import is_spatial
from dcasearch.models.traced.shapes import Maps, shapes_of
from dcasearch.models.traced.tracing import ROOT, Root, trace

_CLASSES = 1000
"""Of the classifier of a network that is looked at; neither its blocks nor its hash depend on an architecture's."""


Sides: TypeAlias = Mapping[fx.Node, int]
"""Pixels of a side of each map of a graph."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Analysis:
    """A library's network, looked at. Nothing in it is changed afterwards."""

    root: Root
    """On the meta device."""
    graph: fx.Graph
    rule: Rule
    sites: tuple[Site, ...]
    """Of each block, in network order."""
    axes: Mapping[fx.Node, int]
    """The channel axis of each map."""
    trace: Trace

    def sides(self, resolution: int) -> Sides:
        """Return the height, which is the width, of each map for square images of `resolution` pixels."""
        shapes = shapes_of(self.root, self.graph, resolution)
        return {node: shapes[node][2 if axis == 1 else 1] for node, axis in self.axes.items()}


def library_network(network: LibraryNetwork, classes: int) -> nn.Module:
    """Return a library's network, without its own attention where the architecture says so.

    Its initial values are the library's, from the global random state; what is taken out is drawn before.

    Args:
        network: which one.
        classes: width of the classifier.

    Raises:
        ArchitectureError: see `libraries.build`; or its own attention cannot be taken out.
    """
    module = build(network.library, network.model, dict(network.arguments), classes)
    if network.own_attention != "keep":
        without_own_attention(module)
    return module


@cache
def analysis_of(network: LibraryNetwork, *, before_layer_scale: bool = False) -> Analysis:
    """Return what is known of a library's network.

    Args:
        network: which one.
        before_layer_scale: attention stands before the layer scale of a branch, as traces of before have it.

    Raises:
        ArchitectureError: it cannot be built or traced, or has no blocks for attention.
    """
    with torch.device("meta"):
        module = build(network.library, network.model, dict(network.arguments), _CLASSES)
    own = [] if network.own_attention == "keep" else [f"{ROOT}.{path}" for path in without_own_attention(module)]
    root, graph = Root(module), trace(module, library=network.library)
    sight = Sight(root, graph, Maps(root, graph))
    found = find_blocks(sight)
    replaced = own if network.own_attention == "replace" else []
    sites, unscaled = (
        tuple(site_of(sight, found, block, replaced, before_layer_scale=before) for block in found.blocks)
        for before in (before_layer_scale, True)
    )
    _check_order(sight, sites)
    scaled = any(one.value is not other.value for one, other in zip(sites, unscaled, strict=True))
    return Analysis(
        root=root,
        graph=graph,
        rule=found.rule,
        sites=sites,
        axes=sight.maps.axes,
        trace=_trace(network, sight, found, sites, scaled=scaled),
    )


def trace_of(network: LibraryNetwork) -> Trace:
    """Return the trace of a library's network."""
    return analysis_of(network).trace


@cache
def analysis_for(backbone: LibraryBackbone) -> Analysis:
    """Return what is known of the network that an architecture stands on.

    Raises:
        ArchitectureError: the installed library builds another network than the one that was traced.
    """
    was = backbone.trace
    analysis = analysis_of(backbone.network)
    if analysis.trace.gated != was.gated:
        analysis = analysis_of(backbone.network, before_layer_scale=was.gated is None)
    now = analysis.trace
    if not now.is_of_same_network(was):
        name, library = backbone.network.name, backbone.network.library
        differs = "other blocks" if now.graph == was.graph else "another computation or other parameters"
        raise ArchitectureError(
            f"{name} of the installed {library} {now.version} is another network than the one of {library} "
            f"{was.version} that this architecture stands on: it has {differs}; pip install {library}=={was.version}",
            ("backbone", "trace"),
        )
    return analysis


def _check_order(sight: Sight, sites: tuple[Site, ...]) -> None:
    """Refuse networks whose blocks do not follow each other in the graph: a message would come too late."""
    order = sight.ancestors.order
    for one, other in pairwise(sites):
        if not order[one.value] <= order[one.block.output] < order[other.value]:
            raise ArchitectureError(
                f"the blocks {one.name} and {other.name} do not follow each other", ("backbone", "name")
            )
    names = [site.name.replace(".", "_") for site in sites]
    if len(set(names)) != len(names):
        raise ArchitectureError("two blocks would have one name among the parameters", ("backbone", "name"))


def _trace(network: LibraryNetwork, sight: Sight, found: Found, sites: tuple[Site, ...], *, scaled: bool) -> Trace:
    maps = sight.maps
    rows = [
        (site.name, stage, maps.channels(site.value), _width(sight, site), site.block.stride, maps.scale(site.value))
        for site, stage in zip(sites, found.stages, strict=True)
    ]
    outputs = [(maps.channels(site.block.output), maps.scale(site.block.output)) for site in sites]
    alike = all(output == (row[2], row[5]) for output, row in zip(outputs, rows, strict=True))
    return Trace(
        version=version_of(network.library),
        graph=fingerprint_of(sight.root, sight.graph),
        blocks=tuple(rows),
        outputs=None if alike else tuple(outputs),
        lanes=_lanes(sight, sites, outputs),
        gated="scaled" if scaled else None,
    )


def _width(sight: Sight, site: Site) -> int:
    """Return the channels of the block's last k x k convolution; 0 where there is none that could be replaced."""
    if not site.convolution:
        return 0
    convolution = sight.modules[str(site.convolution[0].target)]
    assert isinstance(convolution, nn.Conv2d)
    assert is_spatial(convolution)
    return convolution.out_channels


def _lanes(sight: Sight, sites: tuple[Site, ...], outputs: list[tuple[int, int]]) -> tuple[int, ...] | None:
    """Return the parallel branch of each block, None where there are none.

    Where two blocks are computed side by side, a branch is told by its channels and its scale, as in HRNet.
    """
    nodes = [site.block.output for site in sites]
    side_by_side = any(not sight.ancestors.leads_to(one, other) for n, other in enumerate(nodes) for one in nodes[:n])
    if not side_by_side:
        return None
    branches = list(dict.fromkeys(outputs))
    return tuple(branches.index(output) for output in outputs)
