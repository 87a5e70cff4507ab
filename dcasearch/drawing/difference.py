"""What two networks differ in, as one picture: common parts grey, what only one of them has in its colour and dash.

Networks whose blocks are not the same stand one below the other instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dcasearch.architecture import Edge, Network, Node
from dcasearch.architecture.kinds.declaration import NO_ATTENTION, plain
from dcasearch.architecture.words import difference_of, function_of, grouped, label_of, sentence_of, size_of
from dcasearch.drawing.frame import Frame, Line, sides_of
from dcasearch.drawing.links import Arc, Rail, edges_of, links_of
from dcasearch.drawing.network import captions_of, picture_of
from dcasearch.drawing.nodes import box, lies, write_in, write_label, write_number
from dcasearch.drawing.palette import FIRST, FIRST_DASH, GREY, INK, LINE, PALE, PAPER, SECOND, SECOND_DASH
from dcasearch.drawing.places import MARGIN, Place
from dcasearch.drawing.signs import Stroke, arc_sign, rail_sign
from dcasearch.drawing.svg import Svg, wrapped
from dcasearch.drawing.words import Names, kind_of

Status = Literal["common", "changed", "first", "second"]
"""Of a node or a connection: in both and equal, in both but built differently, or in one of the two networks alone."""
_STROKES: Mapping[Status, Stroke] = {
    "common": Stroke(LINE, 1.4),
    "changed": Stroke(INK, 2.4),
    "first": Stroke(FIRST, 2.0, FIRST_DASH),
    "second": Stroke(SECOND, 2.0, SECOND_DASH),
}


def draw_difference(first: Network, second: Network, names: tuple[str, str], *, resolution: int | None = None) -> str:
    """Return a self-contained SVG of what two networks differ in.

    Args:
        first: What the other is compared with.
        second: The other.
        names: What the two are called.
        resolution: Pixels per side of the input, as in `draw`.
    """
    return draw_comparison([first, second], names, resolution=resolution)


def draw_comparison(networks: Sequence[Network], names: Sequence[str], *, resolution: int | None = None) -> str:
    """Return a self-contained SVG of what two or more networks differ in, each against the first, one below the other.

    Raises:
        ValueError: fewer than two networks, or as many names as there are networks are missing.
    """
    if len(networks) < 2 or len(networks) != len(names):
        raise ValueError(f"{len(networks)} networks with {len(names)} names; needs two or more, each with a name")
    first, *others = networks
    parts: list[tuple[Svg, float, float]] = []
    for other, name in zip(others, names[1:], strict=True):
        parts += _parts(first, other, (names[0], name), resolution)
    whole, y = Svg(), 0.0
    for svg, _, height in parts:
        whole.include(svg, y)
        y += height
    said = "; ".join(_sentence(first, other, (names[0], name)) for other, name in zip(others, names[1:], strict=True))
    return whole.render(
        max(width for _, width, _ in parts), y, " against ".join([", ".join(names[1:]), names[0]]), said
    )


def _parts(
    first: Network, second: Network, names: tuple[str, str], resolution: int | None
) -> Iterator[tuple[Svg, float, float]]:
    """Yield the drawings of one pair, each with its width and height: one, or a heading and two networks."""
    if [_skeleton(node) for node in first.blocks] == [_skeleton(node) for node in second.blocks]:
        both = _Difference(first, second, names, resolution)
        yield both.frame.svg, both.frame.width, both.height
        return
    pictures = [
        picture_of(network, name, resolution=resolution) for network, name in zip((first, second), names, strict=True)
    ]
    width = max(picture.width for picture in pictures)
    lines = wrapped(_sentence(first, second, names), width - 2 * MARGIN, 13)
    heading = Svg()
    heading.text(MARGIN, 36, f"{names[1]} against {names[0]}", size=18, font_weight="600")
    for number, line in enumerate([*lines, "Their blocks are not the same, so each has its own drawing."]):
        heading.text(MARGIN, 58 + 17 * number, line, size=13)
    yield heading, width, 58 + 17 * len(lines) + 10
    for picture in pictures:
        yield picture.svg, picture.width, picture.height


def _skeleton(node: Node) -> tuple[str, int]:
    """Return what must be equal for two networks to share one drawing."""
    return node.layout.name, node.layout.stage


def _sentence(first: Network, second: Network, names: tuple[str, str]) -> str:
    if first.id == second.id:
        return f"{names[1]} is the same network as {names[0]}"
    return f"{names[1]}: {difference_of(second, first) or sentence_of(second)}"


@dataclass(frozen=True)
class _Pair:
    """One node or connection in both networks; None where a network lacks it."""

    status: Status
    first: str | None
    second: str | None

    def title(self, where: str, names: tuple[str, str]) -> str:
        """Return what is under the pointer."""
        if self.status == "common":
            return f"{where}, in both: {self.first}"
        said = [f"{name}: {has or 'not there'}" for name, has in zip(names, (self.first, self.second), strict=True)]
        return "\n".join([where, *said])


class _Difference:
    """The drawing of two networks with the same blocks."""

    def __init__(self, first: Network, second: Network, names: tuple[str, str], resolution: int | None) -> None:
        self.networks, self.names = (first, second), names
        self.nodes = ({node.name: node for node in first.nodes}, {node.name: node for node in second.nodes})
        self.edges = (edges_of(first), edges_of(second))
        (arcs, rails), (other_arcs, other_rails) = links_of(first), links_of(second)
        self.rails = {rail: self._rail_status(rail, rails, other_rails) for rail in dict.fromkeys(rails + other_rails)}
        nodes = _merged(first, second)
        self.statuses = {node.name: _status(*self._attentions(node.name)) for node in nodes}
        both, double = dict.fromkeys(arcs + other_arcs), "changed" in self.statuses.values()
        self.frame = Frame(nodes, both, self.rails, sides_of([first, second]), double=double)
        self.words = Names(nodes)
        self.pairs = {arc: self._pair(arc) for arc in self.frame.arcs}
        self.frame.header(self._header())
        captions = [captions_of(network, resolution) for network in self.networks]
        below = self.frame.stages({stage: _both(lines, captions[1][stage]) for stage, lines in captions[0].items()})
        order: tuple[Status, ...] = ("common", "first", "second", "changed")
        for arc in sorted(self.frame.arcs, key=lambda arc: order.index(self.pairs[arc].status)):
            self.frame.arc(
                arc, self._stroke(self.pairs[arc].status), self.pairs[arc].title(self.words.arcs([arc]), names)
            )
        for rail, status in self.rails.items():
            self._rail(rail, status)
        self.frame.labels()
        for place in self.frame.places.values():
            self._node(place)
        self.height = self._legend(below + 22)

    def _header(self) -> Iterator[Line]:
        first, second = self.networks
        yield Line(f"{self.names[1]} against {self.names[0]}", 18, INK, bold=True)
        yield Line(_sentence(first, second, self.names), 13, INK)
        yield Line(f"{self.names[0]}: {sentence_of(first)}")

    def _stroke(self, status: Status) -> Stroke:
        stroke = _STROKES[status]
        return replace(stroke, width=stroke.width * (0.6 if self.frame.narrow else 1))

    def _pair(self, arc: Arc) -> _Pair:
        ours, theirs = (edges.get(arc) for edges in self.edges)
        return _Pair(_status(_alike(ours), _alike(theirs)), _built(ours), _built(theirs))

    def _rail_status(self, rail: Rail, ours: Sequence[Rail], theirs: Sequence[Rail]) -> Status:
        if rail not in ours or rail not in theirs:
            return "first" if rail in ours else "second"
        equal = all(_alike(self.edges[0][arc]) == _alike(self.edges[1][arc]) for arc in rail.arcs)
        return "common" if equal else "changed"

    def _rail(self, rail: Rail, status: Status) -> None:
        where = {"common": "in both", "changed": "in both, built differently"}.get(status)
        owner = where or f"only in {self.names[status == 'second']}"
        into = {}
        for target in rail.targets:
            alike = grouped(rail.into(target), self._pair)
            into[target] = "\n".join(pair.title(self.words.arcs(arcs), self.names) for pair, arcs in alike.items())
        self.frame.rail(rail, self._stroke(status), f"{self.words.rail(rail)}; {owner}", into, {})

    def _node(self, place: Place) -> None:
        ours, theirs = (nodes.get(place.node.name) for nodes in self.nodes)
        status = self.statuses[place.node.name]
        pair = _Pair(status, *(None if node is None else kind_of(node) for node in (ours, theirs)))
        frame, where = self.frame, self.words.long(place.node.name)
        with frame.svg.group(pair.title(where, self.names), class_=f"node {pair.status}"):
            if pair.status == "changed" and ours is not None and theirs is not None:
                self._halves(place, ours, theirs)
                return
            stroke = _STROKES[pair.status]
            empty = place.node.kind == NO_ATTENTION
            paint = {**stroke.attributes, "fill": PALE if pair.status == "common" and not empty else PAPER}
            box(frame, place, frame.top, frame.bottom, paint)
            write_in(frame, place, label_of(place.node.kind), GREY if empty else INK)

    def _halves(self, place: Place, ours: Node, theirs: Node) -> None:
        """Draw a node that differs: the first network's attention above, the second's below."""
        frame, half = self.frame, (self.frame.height - 16) / 2
        middle = (frame.top + frame.bottom) / 2
        for node, stroke, top in ((ours, _STROKES["first"], frame.top), (theirs, _STROKES["second"], middle + 8)):
            box(frame, place, top, top + half, {**stroke.attributes, "fill": PAPER})
            said = _differing(node, theirs if node is ours else ours)
            option = next((words for words in said if lies(words, place.width, bold=False)), None)
            label, bold = (label_of(node.kind), True) if option is None else (option, False)
            write_label(frame, place, label, stroke.colour, top + half / 2, half - 4, bold=bold)
        if not place.node.after_stage:
            write_number(frame, place, INK, middle + 4)

    def _legend(self, y: float) -> float:
        """Draw what the signs mean, from y down, and return the picture's height."""
        legend = self.frame.legend(y)
        drawn = {pair.status for pair in self.pairs.values()} | set(self.rails.values())
        alone = (("first", self.names[0]), ("second", self.names[1]))
        words: dict[Status, str] = {status: f"only in {name}" for status, name in alone}  # type: ignore[misc]
        for status, text in {**words, "common": "in both", "changed": "in both, built differently"}.items():
            if status in drawn:
                arc_sign(self.frame.svg, *legend.take(text, 32), _STROKES[status])
        for number, name in enumerate(self.names if "changed" in self.statuses.values() else ()):
            x, line = legend.take(f"attention of {name}", 18)
            stroke = _STROKES["second" if number else "first"]
            self.frame.svg.add(
                "rect", x=x, y=line - 9, width=13, height=10, rx=2, **{**stroke.attributes, "fill": PAPER}
            )
        if self.rails:
            rule = "rail: each block receives from every earlier block on it; the number counts connections"
            rule += ", and those in both are arcs too" if {"first", "second"} & set(self.rails.values()) else ""
            rail_sign(self.frame.svg, *legend.take(rule, 36), Stroke(GREY, 1.4))
        for text in self._changes():
            legend.take(text, 0)
        return legend.end()

    def _attentions(self, name: str) -> tuple[object, object]:
        """Return the attention of a node in both networks, None where a network lacks the node."""
        ours, theirs = (_attention(nodes.get(name)) for nodes in self.nodes)
        return ours, theirs

    def _changes(self) -> Iterator[str]:
        """Yield how connections that both have are built, where that differs."""
        said: dict[str, None] = {}
        for arc in self.edges[0]:
            if arc in self.edges[1]:
                ours, theirs = (edges[arc] for edges in self.edges)
                for what, of in (("function", function_of), ("sizes matched", size_of)):
                    if of(ours) != of(theirs):
                        said[
                            f"{arc.dimension} {what}: {of(ours)} in {self.names[0]}, {of(theirs)} in {self.names[1]}"
                        ] = None
        yield from said


def _merged(first: Network, second: Network) -> list[Node]:
    """Return the nodes of both in network order: the blocks, and after a stage what either has there."""
    ends = {node.layout.stage: node for network in (second, first) for node in network.nodes if node.after_stage}
    nodes: list[Node] = []
    for block, following in zip(first.blocks, (*first.blocks[1:], None), strict=True):
        nodes.append(block)
        stage = block.layout.stage
        if (following is None or following.layout.stage != stage) and stage in ends:
            nodes.append(ends[stage])
    return nodes


def _status(first: object, second: object) -> Status:
    """Return the status of what is None in a network that lacks it."""
    if first is None or second is None:
        return "second" if first is None else "first"
    return "common" if first == second else "changed"


def _attention(node: Node | None) -> object:
    return None if node is None else (node.kind, dict(node.options), node.form)


def _differing(node: Node, other: Node) -> Iterator[str]:
    """Yield the options that differ between two nodes of one kind, as they are built, e.g. `hidden 4`."""
    if node.kind == other.kind:
        for name, value in node.options.items():
            if other.options.get(name) != value:
                yield f"{name} {plain(value)}"


def _alike(edge: Edge | None) -> object:
    """Return what two connections between the same nodes may differ in."""
    return None if edge is None else replace(edge, source=0, target=0)


def _built(edge: Edge | None) -> str | None:
    return None if edge is None else ", ".join(filter(None, [function_of(edge), size_of(edge)]))


def _both(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Return captions of a stage that hold for both networks."""
    return [a if a == b else f"{a.removesuffix(' ch')} | {b}" for a, b in zip(ours, theirs, strict=True)]
