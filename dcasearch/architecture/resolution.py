"""From what is written to the network that it means, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TypeAlias

from dcasearch.architecture.backbone import Backbone
from dcasearch.architecture.kinds import KINDS, Dimension, Port, dimensions, obstacle
from dcasearch.architecture.layouts import BackboneLayout
from dcasearch.architecture.network import Edge, Matching, Network, Node, Resize
from dcasearch.architecture.placement import nodes_of, per_block, place_of
from dcasearch.architecture.specification import (
    GATHERED,
    MAX_EDGES,
    Attention,
    Connections,
    Receivers,
    StageAttention,
)
from dcasearch.architecture.topology import TOPOLOGIES
from dcasearch.errors import ArchitectureError, nearest

OWN_IS_NO_MAP = "own has no coupled form: the receiver's G is no gated map, which coupled sends"
_Pair: TypeAlias = tuple[Dimension, int, int]
"""An edge's dimension, source and target, before anything else of it is known."""


def resolve(
    backbone: Backbone,
    attention: Attention,
    connections: Connections | None,
    stage_attention: StageAttention | None = None,
) -> Network:
    """Return the network that a specification means.

    Raises:
        ArchitectureError: unknown names, lists of the wrong length, a dimension that no node has, …
    """
    layout, library = backbone.layout, backbone.library
    nodes = nodes_of(attention, stage_attention, layout)
    edges: tuple[Edge, ...] = ()
    if connections is not None:
        pairs = list(islice(_pairs(connections, nodes, layout), MAX_EDGES + 1))
        if len(pairs) > MAX_EDGES:
            raise ArchitectureError(f"has more than {MAX_EDGES:,} connections", ("connections", "topology"))
        ends = {n for _, *both in pairs for n in both}
        if connections.ge_message not in (None, GATHERED):
            formed = nodes_of(attention, stage_attention, layout, connections.ge_message)
            nodes = tuple(formed[n] if n in ends else node for n, node in enumerate(nodes))
        edges = tuple(_edge(connections, nodes, *pair) for pair in pairs)
    return Network(
        backbone=(backbone.name if library is None else library.network.label, float(backbone.width), backbone.stem),
        nodes=nodes,
        edges=edges,
        alpha_init=1.0 if connections is None else connections.alpha.init,
        library=library,
    )


def started_as_identity(network: Network) -> Network:
    """Return the network whose attention starts as the identity: nodes whose kind is not one by itself get a gain.

    Raises:
        ArchitectureError: the released code's way to draw parameters, or a kind that has no part to put a gain on.
    """
    path = ("attention_init",)
    if network.init != "ours":
        message = f"identity is for init: ours; init: {network.init} is the released code's start, mistakes included"
        raise ArchitectureError(message, path)
    partless = [node.kind for node in network.nodes if not (node.ports or KINDS[node.kind].starts_as_identity)]
    if partless:
        raise ArchitectureError(f"{partless[0]} has no dimension, so nothing of it can start at s = 0", path)
    nodes = (replace(node, gain=not KINDS[node.kind].starts_as_identity) for node in network.nodes)
    return replace(network, nodes=tuple(nodes))


# Connections


def _pairs(connections: Connections, nodes: tuple[Node, ...], layout: BackboneLayout) -> Iterator[_Pair]:
    """Yield who receives from whom, by dimension, target and source."""
    _check_options(connections, nodes)
    existing = {dimension for node in nodes for dimension in node.ports}
    written = {*connections.dimensions.written, *(connections.edges.written if connections.edges else ())}
    for dimension in sorted(existing | written):
        listening = _listening(connections, dimension, nodes, layout)
        for numbered in _lanes(connections, [n for n, node in enumerate(nodes) if dimension in node.ports], nodes):
            receivers = [k for k, target in enumerate(numbered) if target in listening]
            if receivers:
                sources = _sources(connections, dimension, [nodes[n].layout.stage for n in numbered])
                yield from ((dimension, numbered[j], numbered[k]) for k in receivers for j in sources(k))


def _lanes(connections: Connections, having: list[int], nodes: tuple[Node, ...]) -> Iterator[list[int]]:
    """Yield the nodes among which a topology joins: those of one lane; custom edges number all of them."""
    if connections.edges is not None:
        yield having
        return
    for lane in sorted({nodes[n].layout.lane for n in having}):
        yield [n for n in having if nodes[n].layout.lane == lane]


def _check_options(connections: Connections, nodes: tuple[Node, ...]) -> None:
    """Refuse options that would silently do nothing or cannot be done."""
    if connections.coupling == "coupled" and any(node.ports and not KINDS[node.kind].coupled for node in nodes):
        raise ArchitectureError(
            f"coupled exists for {can_be_coupled()} alone: it is the released code's whole gated map (docs/method.md)",
            ("connections", "coupling"),
        )
    if connections.coupling == "coupled" and connections.message == "own":
        raise ArchitectureError(OWN_IS_NO_MAP, ("connections", "message"))
    _check_form(connections.ge_message, nodes)
    if (connections.topology == "custom") != (connections.edges is not None):
        raise ArchitectureError("`edges` belongs to topology: custom, and to it alone", ("connections", "edges"))
    _check_dimensions(connections.dimensions.written, ("connections", "dimensions"))
    if connections.edges is not None:
        _check_dimensions(connections.edges.written, ("connections", "edges"))


def _check_form(form: str | None, nodes: tuple[Node, ...]) -> None:
    """Refuse a form of messages that no kind has, or none of this network's."""
    if form in (None, GATHERED):
        return
    path = ("connections", "ge_message")
    if form not in message_forms():
        raise ArchitectureError(f"'{form}' is not a form of messages; {nearest(form, message_forms())}", path)
    if not any(form in KINDS[node.kind].forms for node in nodes):
        having = ", ".join(sorted(name for name, kind in KINDS.items() if form in kind.forms))
        raise ArchitectureError(f"{form} exists for {having} alone (docs/method.md)", path)


def message_forms() -> tuple[str, ...]:
    """Return the words of `connections.ge_message`: every kind's own form, and those that kinds declare beside it."""
    return (GATHERED, *sorted({form for kind in KINDS.values() for form in kind.forms}))


def _check_dimensions(written: Iterable[Dimension], path: tuple[str, ...]) -> None:
    for dimension in written:
        if dimension not in dimensions():
            raise ArchitectureError(
                f"'{dimension}' is not a dimension; {nearest(dimension, dimensions())}", (*path, dimension)
            )


def can_be_coupled() -> str:
    """Return the names of the kinds for which `coupling: coupled` exists."""
    return ", ".join(sorted(name for name, kind in KINDS.items() if kind.coupled))


def _listening(
    connections: Connections, dimension: Dimension, nodes: tuple[Node, ...], layout: BackboneLayout
) -> set[int]:
    """Return the receiving set S in one dimension, as indices of nodes."""
    path = ("connections", "dimensions", dimension)
    exists = any(dimension in node.ports for node in nodes)
    written: bool | Receivers | None = connections.dimensions.written.get(dimension)
    if written is None:
        return set(range(len(nodes))) if exists else set()
    flags = [written] * len(nodes) if isinstance(written, bool) else _flags(written, nodes, layout, path)
    listening = {n for n, flag in enumerate(flags) if flag}
    if listening and not exists:
        raise ArchitectureError(f"no attention block of this network has the {dimension} dimension", path)
    return listening


def _flags(
    written: Receivers, nodes: tuple[Node, ...], layout: BackboneLayout, path: tuple[str, ...]
) -> Iterator[bool]:
    """Yield for each node whether it listens; one after a stage does as the last block, where nothing else is said."""
    spread = per_block({"stages": written.stages, "blocks": written.blocks}, layout, path)
    if spread is None:
        raise ArchitectureError("needs `stages` or `blocks`", path)
    after = written.after_stages
    if after is not None and written.blocks is None:
        raise ArchitectureError("belongs to `blocks`; `stages` says it already", (*path, "after_stages"))
    if after is not None and len(after) != layout.stages:
        message = f"has {len(after)} entries, but the backbone has {layout.stages} stages"
        raise ArchitectureError(message, (*path, "after_stages"))
    in_blocks, flag = iter(spread), False
    for node in nodes:
        if not node.after_stage:
            flag = bool(next(in_blocks)[0])
        yield after[node.layout.stage] if node.after_stage and after is not None else flag


def _sources(connections: Connections, dimension: Dimension, stages: Sequence[int]) -> Callable[[int], list[int]]:
    """Return what gives the positions (from 0, over the numbered nodes) that the node at a position receives from."""
    if connections.edges is None:
        return partial(TOPOLOGIES[connections.topology], stages)
    found: dict[int, set[int]] = {}
    for edge in connections.edges.written.get(dimension, ()):
        if not 1 <= edge[0] < edge[1] <= len(stages):
            raise ArchitectureError(
                f"edge {list(edge)} is not 1 <= j < k <= {len(stages)} (attention with the {dimension} dimension)",
                ("connections", "edges", dimension),
            )
        found.setdefault(edge[1] - 1, set()).add(edge[0] - 1)
    return lambda k: sorted(found.get(k, ()))


def _edge(connections: Connections, nodes: tuple[Node, ...], dimension: Dimension, source: int, target: int) -> Edge:
    sender, receiver = nodes[source].ports[dimension], nodes[target].ports[dimension]
    if reason := obstacle(sender, receiver):
        ends = " and ".join(f"{nodes[n].kind} ({place_of(nodes, n)})" for n in (source, target))
        raise ArchitectureError(f"{ends} cannot be connected: {reason}", ("connections", "dimensions", dimension))
    coupled = connections.coupling == "coupled"
    function = connections.function
    return Edge(
        dimension=dimension,
        source=source,
        target=target,
        function=function.name,
        form=function.form if function.name == "weighted" else None,
        bias=function.bias if function.name == "learned" and not receiver.planes else None,
        matching=_matching(connections, sender, receiver),
        resize=_resize(connections, sender, receiver),
        alpha=None if function.name == "learned" else connections.alpha.shape,
        coupled=coupled,
        message=connections.message,
    )


def _matching(connections: Connections, sender: Port, receiver: Port) -> Matching | None:
    source, target = sender.channels, receiver.channels
    if receiver.planes or source == target:
        return None
    written = connections.channel_matching
    bias, norm, act, norm_at = written.bias, written.norm, written.act, written.norm_at
    if written.norm_act:
        bias, norm, act, norm_at = True, "ln", "relu", "all"
    if written.name == "fc":
        return Matching(source, target, None, bias, norm, act, "all")
    least = written.min_hidden or (4 if norm != "none" else 1)
    if norm == act == "none":
        norm_at = "all"
    return Matching(source, target, max(target // written.reduction, least), bias, norm, act, norm_at)


def _resize(connections: Connections, sender: Port, receiver: Port) -> Resize | None:
    source, target = sender.scale, receiver.scale
    if source is None or target is None or source == target:
        return None
    if source > target:
        return Resize("nearest", source // target)
    return Resize(connections.spatial_matching, target // source)


def edge_between(connections: Connections, sender: Node, receiver: Node, dimension: Dimension) -> Edge:
    """Return the edge that would join two nodes, as source 0 and target 1, whether or not a network has it.

    Raises:
        ArchitectureError: the two cannot be connected in this dimension.
    """
    return _edge(connections, (sender, receiver), dimension, 0, 1)
