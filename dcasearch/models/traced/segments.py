"""A traced forward pass in segments, for gradient checkpointing: one generated function for each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from dcasearch.models.recomputation import Recomputing


@dataclass(frozen=True, eq=False, kw_only=True)
class Segment:
    """A part of a graph as a function of (the module that holds the graph's modules, what goes in)."""

    function: Callable[..., Any]
    given: tuple[str, ...]
    """Names of the values that go in."""
    made: tuple[str, ...]
    """Names of the values that come out, which later segments need."""


def segments_of(
    graph: fx.Graph, ends: Collection[fx.Node], function_of: Callable[[fx.Graph], Callable[..., Any]]
) -> tuple[Segment, ...]:
    """Return a graph cut after some of its nodes; the last segment returns what the graph returns.

    Args:
        graph: is not changed.
        ends: each is the last node of a segment.
        function_of: makes a function of a segment's graph.
    """
    order = {node: n for n, node in enumerate(graph.nodes)}
    parts = list(_parts(graph, ends))
    last_use = {node: max((order[user] for user in node.users), default=-1) for node in graph.nodes}
    segments = []
    for n, part in enumerate(parts):
        inside = set(part)
        given = list(dict.fromkeys(v for node in part for v in node.all_input_nodes if v not in inside))
        made = [node for node in part if last_use[node] > order[part[-1]]]
        final = n == len(parts) - 1
        segments.append(
            Segment(
                function=function_of(_subgraph(part, given, None if final else made)),
                given=tuple(node.name for node in given),
                made=() if final else tuple(node.name for node in made),
            )
        )
    return tuple(segments)


def run_segments(segments: tuple[Segment, ...], root: nn.Module, images: Any, recomputing: Recomputing) -> Any:
    """Return what the graph returns; all segments but the last are computed again in the backward pass."""
    *others, last = segments
    values: dict[str, Any] = {}
    for segment in others:
        made = recomputing(segment.function, root, *(values.get(name, images) for name in segment.given))
        values |= zip(segment.made, made, strict=True)
    return last.function(root, *(values[name] for name in last.given))


def _parts(graph: fx.Graph, ends: Collection[fx.Node]) -> Iterator[list[fx.Node]]:
    """Yield the nodes of each segment; the placeholder is in none."""
    part: list[fx.Node] = []
    for node in graph.nodes:
        if node.op == "placeholder":
            continue
        part.append(node)
        if node in ends:
            yield part
            part = []
    yield part


def _subgraph(part: list[fx.Node], given: list[fx.Node], made: list[fx.Node] | None) -> fx.Graph:
    """Return a part as a graph of its own; without `made` the part holds the output."""
    graph = fx.Graph()
    copies = {node: graph.placeholder(node.name) for node in given}
    for node in part:
        copies[node] = graph.node_copy(node, lambda source: copies[source])
    if made is not None:
        graph.output(tuple(copies[node] for node in made))
    return graph
