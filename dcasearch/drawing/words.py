"""How attention blocks and connections are named in a drawing: in its legend, and under the pointer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dcasearch.architecture import KINDS, Dimension, Edge, Network, Node
from dcasearch.architecture.kinds.declaration import NO_ATTENTION, plain
from dcasearch.architecture.words import function_of, label_of, size_of
from dcasearch.drawing.links import Arc, Rail


def colour_of(kind: str) -> str:
    """Return the colour of an attention block; white text is readable on it."""
    return KINDS[kind].colour


def count(network: Network, dimension: Dimension) -> str:
    """Return e.g. `15 channel connections`, or nothing where there are none."""
    number = sum(edge.dimension == dimension for edge in network.edges)
    return f"{number} {dimension} connection{'s' * (number > 1)}" if number else ""


def functions(network: Network, dimension: Dimension) -> list[str]:
    """Return how the connections of one dimension join what they bring, e.g. `direct`, `weighted (as printed)`."""
    return sorted({function_of(edge) for edge in network.edges if edge.dimension == dimension})


@dataclass(frozen=True)
class Signs:
    """What a connection does to match sizes."""

    layers: bool
    resize: bool

    @property
    def any(self) -> bool:
        """Whether the sizes differ at all."""
        return self.layers or self.resize


def signs(edge: Edge) -> Signs:
    """Return what a connection does to match sizes."""
    return Signs(edge.matching is not None, edge.resize is not None)


def sizes(network: Network) -> dict[tuple[Dimension, Signs], str]:
    """Return the ways in which connections match sizes, by dimension and sign, e.g. `fc + ln + relu`."""
    ways: dict[tuple[Dimension, Signs], set[str]] = {}
    for edge in network.edges:
        if signs(edge).any:
            ways.setdefault((edge.dimension, signs(edge)), set()).add(size_of(edge))
    return {key: " or ".join(sorted(words)) for key, words in ways.items()}


def kind_of(node: Node) -> str:
    """Return a node's attention with what is built of its options, e.g. `SE (hidden 4)`."""
    if node.kind == NO_ATTENTION:
        return "no attention"
    options = [f"{name} {plain(value)}" for name, value in node.options.items() if value is not None]
    said = options + ([] if node.form is None else [f"{node.form} message"])
    said += ["starts as the identity"] if node.gain else []
    return label_of(node.kind) + (f" ({', '.join(said)})" if said else "")


class Names:
    """What nodes and connections of one or two networks are called under the pointer."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._number: dict[str, str] = {}
        blocks = 0
        for node in nodes:
            blocks += not node.after_stage
            self._number[node.name] = f"end of stage {node.layout.stage + 1}" if node.after_stage else str(blocks)

    def short(self, name: str) -> str:
        """Return a node as connections are named by it: `3`, or `end of stage 2`."""
        return self._number[name]

    def long(self, name: str) -> str:
        """Return e.g. `block 3`, or `end of stage 2`."""
        return f"block {number}" if (number := self._number[name]).isdigit() else number

    def arcs(self, arcs: Sequence[Arc]) -> str:
        """Return where the connections into one node are, e.g. `channel: block 1 to block 3`."""
        [(dimension, target)] = {(arc.dimension, arc.target) for arc in arcs}
        first, last = self.long(arcs[0].source), self.long(arcs[-1].source)
        if len(arcs) == 1:
            return f"{dimension}: {first} to {self.long(target)}"
        between = " and " if len(arcs) == 2 else " … "
        return f"{dimension}: {len(arcs)} connections, from {first}{between}{last}, to {self.long(target)}"

    def connection(self, arcs: Sequence[Arc], edge: Edge, alphas: Mapping[str, float] | None) -> str:
        """Return all about connections into one node that are built alike, α only where coefficients are given."""
        matching = size_of(edge)
        said = [self.arcs(arcs), f"function {function_of(edge)}"]
        said.append(f"sizes matched by {matching}" if matching else "equal sizes, no matching")
        if alphas is not None:
            values = [self.alpha(arc, alphas) for arc in arcs]
            shown = ["?" if value is None else f"{value:.3g}".replace("-", "−") for value in values]
            said.append(f"α {', '.join(shown)}" if any(value is not None for value in values) else "α not recorded")
        return "; ".join(said)

    def rail(self, rail: Rail) -> str:
        """Return the rule that a rail stands for."""
        first, last = self.long(rail.nodes[0]), self.long(rail.nodes[-1])
        each = "each block" if len(rail.targets) == len(rail.nodes) - 1 else f"each of {len(rail.targets)} blocks"
        rule = f"from {first} to {last}, {each} receives from every earlier one"
        return f"{rail.dimension}: {rule}; {rail.count} connections"

    def alpha(self, arc: Arc, alphas: Mapping[str, float]) -> float | None:
        """Return α of a connection, or the mean of its receiver where only that was recorded."""
        target = self.short(arc.target)
        return alphas.get(
            f"{arc.dimension} {self.short(arc.source)}→{target}", alphas.get(f"{arc.dimension} →{target}")
        )
