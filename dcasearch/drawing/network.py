"""A network as a picture: blocks in order, connections of channels above them, those of planes below.

Attention after a stage stands between two stages, or between the last one and the head.

What is drawn is the resolved network, so that equal ids give equal pictures, whatever was written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dcasearch.architecture import Dimension, Network
from dcasearch.architecture.kinds.declaration import NO_ATTENTION
from dcasearch.architecture.words import aspects_of, function_of, grouped, label_of, sentence_of, size_of
from dcasearch.drawing.frame import Frame, Line, sides_of
from dcasearch.drawing.links import Arc, Rail, edges_of, links_of
from dcasearch.drawing.nodes import draw_node
from dcasearch.drawing.palette import ABOVE, BELOW, DASHES, GREY, INK, LINE
from dcasearch.drawing.signs import Stroke, arc_sign, diamond, rail_sign
from dcasearch.drawing.svg import Svg
from dcasearch.drawing.words import Names, colour_of, count, functions, kind_of, signs, sizes

_MOST_LABELLED = 24
"""Arcs of a dimension that still have their α beside them."""
_LEAST_LABELLED = 30.0
"""Pixels between the ends of an arc whose α is beside it."""
_THIN, _THICK = 0.8, 4.4
"""Widths of lines whose α is 0, and the greatest of the network."""


def draw(
    network: Network, title: str = "", *, resolution: int | None = None, alphas: Mapping[str, float] | None = None
) -> str:
    """Return a self-contained SVG of a network.

    Args:
        network: What to draw.
        title: First line; by default the backbone's name.
        resolution: Pixels per side of the input. Stages then show theirs, else only the factor to the input's.
        alphas: Coefficient of each connection by its name (`dcasearch.architecture.words.connection_name`). Lines then
            are as thick as their coefficients are large; without them all lines are equal.
    """
    picture = picture_of(network, title, resolution=resolution, alphas=alphas)
    return picture.svg.render(picture.width, picture.height, title or backbone_of(network), sentence_of(network))


def picture_of(
    network: Network, title: str, *, resolution: int | None = None, alphas: Mapping[str, float] | None = None
) -> Picture:
    """Return a network as a drawing that can be part of another one."""
    return Picture(network, title, resolution, alphas)


def backbone_of(network: Network) -> str:
    """Return a network's backbone in words."""
    return aspects_of(network)["backbone"]


def captions_of(network: Network, resolution: int | None) -> dict[int, list[str]]:
    """Return what stands below each stage: its number, its channels and its resolution."""
    captions: dict[int, list[str]] = {}
    for stage in network.stages:
        factor = f"1/{stage.scale}" if stage.scale > 1 else "full size"
        side = factor if resolution is None else "{0}×{0}".format(-(-resolution // stage.scale))
        captions[len(captions)] = [f"stage {len(captions) + 1}", f"{stage.channels} ch", side]
    return captions


class Picture:
    """The drawing of one network; `svg`, `width` and `height` are its result."""

    def __init__(
        self, network: Network, title: str, resolution: int | None, alphas: Mapping[str, float] | None
    ) -> None:
        self.network, self.alphas = network, alphas
        self.edges = edges_of(network)
        arcs, rails = links_of(network)
        self.frame = Frame(network.nodes, arcs, rails, sides_of([network]))
        self.names = Names(network.nodes)
        self.plain = 1.8 if len(arcs) < 60 else 1.2 if len(arcs) < 200 else 0.7
        known = () if alphas is None else (self.names.alpha(arc, alphas) for arc in self.edges)
        self.magnitudes = sorted(abs(value) for value in known if value is not None)
        self.frame.header(self._header(title))
        below = self.frame.stages(captions_of(network, resolution))
        for arc in self.frame.arcs:
            self._arc(arc)
        for rail in rails:
            self._rail(rail)
        self.frame.labels()
        for place in self.frame.places.values():
            where, node = self.names.long(place.node.name), place.node
            name = "" if node.after_stage else f" ({node.layout.name})"
            draw_node(self.frame, place, f"{where}{name}: {kind_of(node)}; {node.layout.channels} channels")
        self.svg: Svg = self.frame.svg
        self.width: float = self.frame.width
        self.height: float = self._legend(below + 22)

    def _header(self, title: str) -> Iterator[Line]:
        network = self.network
        yield Line(title or backbone_of(network), 18, INK, bold=True)
        yield Line(sentence_of(network, backbone=bool(title)), 13, INK)
        after = len(network.nodes) - len(network.blocks)
        parts = [f"{len(network.blocks)} blocks"]
        parts += [f"attention after {after} stage{'s' * (after > 1)}"] if after else []
        parts += [count(network, dimension) for dimension in self.frame.sides] or ["no connections"]
        yield Line(" · ".join([*parts, f"id {network.id}"]))

    def _stroke(self, dimension: Dimension, alpha: float | None = None) -> Stroke:
        side = self.frame.sides[dimension]
        colours = ABOVE if side.above else BELOW
        width = self.plain
        if alpha is not None and self.magnitudes:
            width = _THIN + (_THICK - _THIN) * abs(alpha) / (self.magnitudes[-1] or 1.0)
        number = side.number % len(colours)
        return Stroke(colours[number], width, DASHES[number], 0.9 if self.plain > 1.5 else 0.6)

    def _alpha(self, arc: Arc) -> float | None:
        return None if self.alphas is None else self.names.alpha(arc, self.alphas)

    def _arc(self, arc: Arc) -> None:
        edge, alpha = self.edges[arc], self._alpha(arc)
        label = ""
        siblings = sum(other.dimension == arc.dimension for other in self.frame.arcs)
        start, end = self.frame.ends(arc)
        if alpha is not None and siblings <= _MOST_LABELLED and end - start >= _LEAST_LABELLED:
            label = f"{round(alpha, 2) + 0:.2f}".replace("-", "−")
        stroke, title = self._stroke(arc.dimension, alpha), self.names.connection([arc], edge, self.alphas)
        self.frame.arc(arc, stroke, title, shown=signs(edge) if signs(edge).any else None, label=label)

    def _rail(self, rail: Rail) -> None:
        into, widths = {}, {}
        for target in rail.targets:
            arcs = rail.into(target)
            alike = grouped(arcs, lambda arc: (function_of(self.edges[arc]), size_of(self.edges[arc])))
            said = (self.names.connection(group, self.edges[group[0]], self.alphas) for group in alike.values())
            into[target] = "\n".join(said)
            known = [abs(alpha) for arc in arcs if (alpha := self._alpha(arc)) is not None]
            if known:
                widths[target] = self._stroke(rail.dimension, max(known)).width
        self.frame.rail(rail, self._stroke(rail.dimension), self.names.rail(rail), into, widths)

    def _legend(self, y: float) -> float:
        """Draw what the signs mean, from y down, and return the picture's height."""
        legend, svg = self.frame.legend(y), self.frame.svg
        for kind in dict.fromkeys(node.kind for node in self.network.nodes):
            x, line = legend.take("attention " + label_of(kind) if kind != NO_ATTENTION else "no attention", 18)
            stroke = LINE if kind == NO_ATTENTION else "none"
            svg.add("rect", x=x, y=line - 10, width=12, height=12, rx=3, fill=colour_of(kind), stroke=stroke)
        for dimension in self.frame.sides:
            stroke_of = self._stroke(dimension)
            for function in functions(self.network, dimension):
                arc_sign(svg, *legend.take(f"{dimension} connection: {function}", 32), stroke_of)
        for (dimension, shown), way in sizes(self.network).items():
            if all(edge.dimension != dimension for arc, edge in self.edges.items() if arc in self.frame.arcs):
                continue
            x, line = legend.take(f"{dimension} sizes matched: {way}", 18)
            diamond(svg, x + 6, line - 4, self._stroke(dimension).colour, shown)
        for number, dimension in enumerate(dict.fromkeys(rail.dimension for rail in self.frame.levels)):
            if not number:
                words = "rail: each block receives from every earlier block on it; the number counts connections"
                rail_sign(svg, *legend.take(words, 36), self._stroke(dimension))
        if self.magnitudes:
            low, high = self.magnitudes[0], self.magnitudes[-1]
            words = f"thickness: |α|, from {low:.2g} to {high:.2g}"
            x, line = legend.take(words + (", into a block from a rail the largest" if self.frame.levels else ""), 32)
            svg.add("line", x1=x, y1=line - 7, x2=x + 24, y2=line - 7, stroke=GREY, stroke_width=_THIN)
            svg.add("line", x1=x, y1=line - 1, x2=x + 24, y2=line - 1, stroke=GREY, stroke_width=_THICK)
        return legend.end()
