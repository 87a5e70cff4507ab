"""A connected network as a picture: blocks in order, connections of channels above them, those of planes below.

Attention after a stage stands between two stages, or between the last one and the head.

What is drawn is the resolved network, so that equal ids give equal pictures, whatever was written.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from dcasearch.architecture import Dimension, Edge, Network, Node
from dcasearch.architecture.kinds.declaration import NO_ATTENTION
from dcasearch.architecture.words import label_of
from dcasearch.report.svg import Svg, text_width
from dcasearch.report.words import Signs, colour_of, count, functions, signs, sizes

MARGIN = 24.0
HEADER = 68.0
BLOCK_HEIGHT = 44.0
STAGE_GAP = 16.0
END_WIDTH = 44.0
"""Of the stem and of the head."""
STAGE_END_PITCH = 46.0
"""Least room for what stands after a stage."""
_ABOVE, _BELOW = ("#1d4ed8", "#0e7490", "#6d28d9", "#065f46"), ("#c2410c", "#a16207", "#9f1239", "#713f12")
"""Colours of dimensions whose messages are channels, and of those whose messages are planes, in their order."""
INK, GREY, BAND = "#111827", "#6b7280", "#f3f4f6"


def draw(network: Network, title: str = "", *, resolution: int | None = None) -> str:
    """Return a self-contained SVG of a network.

    Args:
        network: What to draw.
        title: First line; by default the backbone's name.
        resolution: Pixels per side of the input. Stages then show theirs, else only the factor to the input's.
    """
    return _Picture(network, resolution).render(title or network.backbone[0])


@dataclass(frozen=True)
class _Place:
    """Where a node stands; `x` is its left side. Connections leave on its right and arrive on its left."""

    node: Node
    x: float
    width: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def sends(self) -> float:
        return self.x + 0.72 * self.width

    @property
    def receives(self) -> float:
        return self.x + 0.28 * self.width


@dataclass(frozen=True)
class _Line:
    """How the connections of one dimension are drawn."""

    above: bool
    colour: str
    apart: float
    """How much further out than those of the first dimension on this side."""


def _lines(network: Network) -> dict[Dimension, _Line]:
    """Return how each connected dimension is drawn: channels above, planes below, those above first."""
    planes = {edge.dimension: network.nodes[edge.target].ports[edge.dimension].planes for edge in network.edges}
    above, below = ([d for d in network.dimensions if planes[d] is side] for side in (False, True))
    return {d: _Line(True, _ABOVE[n % len(_ABOVE)], 6.0 * n) for n, d in enumerate(above)} | {
        d: _Line(False, _BELOW[n % len(_BELOW)], 6.0 * n) for n, d in enumerate(below)
    }


class _Picture:
    def __init__(self, network: Network, resolution: int | None) -> None:
        self.network, self.resolution = network, resolution
        self.svg = Svg()
        self.places = _places(network.nodes)
        self.lines = _lines(network)
        self.stroke = 1.8 if len(network.edges) < 60 else 1.1 if len(network.edges) < 200 else 0.6
        self.width = self.places[-1].right + STAGE_GAP + END_WIDTH + MARGIN
        self.top = HEADER + self._reach(above=True)
        self.bottom = self.top + BLOCK_HEIGHT
        self.floor = self.bottom + self._reach(above=False)

    def render(self, title: str) -> str:
        self._header(title)
        blocks = [place for place in self.places if not place.node.after_stage]
        for _, stage in groupby(blocks, key=lambda place: place.node.layout.stage):
            self._stage(list(stage))
        self._flow()
        for edge in sorted(self.network.edges, key=lambda e: e.source - e.target):  # long ones lie behind
            self._edge(edge)
        number = 0
        for place in self.places:
            number += not place.node.after_stage
            self._node(number, place)
        height = self._legend(self.floor + 84)
        return self.svg.render(self.width, height, title)

    def _rise(self, edge: Edge) -> float:
        """Return how far a connection goes from the blocks; the longer, the further."""
        span = self.places[edge.target].receives - self.places[edge.source].sends
        return min(14 + 0.4 * span, 30 + 0.2 * span) + self.lines[edge.dimension].apart

    def _reach(self, above: bool) -> float:
        drawn = [edge for edge in self.network.edges if self.lines[edge.dimension].above == above]
        return max(map(self._rise, drawn), default=0.0) + 14

    def _header(self, title: str) -> None:
        network = self.network
        name, width, stem = network.backbone
        backbone = name + (f" × {width:g}" if width != 1 else "") + (", small-image stem" if stem == "small" else "")
        per_dimension = [count(network, dimension) for dimension in self.lines]
        connections = " and ".join(words for words in per_dimension if words) or "no connections"
        self.svg.text(MARGIN, 32, title, size=18, font_weight="600")
        after = len(network.nodes) - len(network.blocks)
        attention = f"attention after {after} stage{'s' * (after > 1)} · " if after else ""
        details = [f"{backbone} · {len(network.blocks)} blocks · {attention}".removesuffix(" · "), connections]
        lines = [" · ".join((*details, f"id {network.id}"))]
        if text_width(lines[0]) > self.width - 2 * MARGIN and len(per_dimension) > 1:
            lines = [f"{details[0]} · id {network.id}", connections.replace(" and ", ", ")]
        for number, line in enumerate(lines):
            self.svg.text(MARGIN, 53 - 5 * (len(lines) - 1) + 15 * number, line, fill=GREY)

    def _stage(self, stage: list[_Place]) -> None:
        first, last = stage[0], stage[-1]
        left, right = first.x - STAGE_GAP / 2 + 2, last.right + STAGE_GAP / 2 - 2
        bottom = self.floor + 58
        self.svg.add(
            "rect", x=left, y=HEADER, width=right - left, height=bottom - HEADER, rx=8, fill=BAND, stroke="none"
        )
        layout = last.node.layout
        side = f"1/{layout.scale}" if self.resolution is None else "{0}×{0}".format(-(-self.resolution // layout.scale))
        centre = (left + right) / 2
        self.svg.text(
            centre, bottom - 40, f"stage {layout.stage + 1}", size=11, font_weight="600", text_anchor="middle"
        )
        self.svg.text(centre, bottom - 25, f"{layout.channels} ch", size=11, fill=GREY, text_anchor="middle")
        self.svg.text(centre, bottom - 11, side, size=11, fill=GREY, text_anchor="middle")

    def _flow(self) -> None:
        """Draw the backbone: stem, the line through the blocks, head."""
        middle = (self.top + self.bottom) / 2
        end = self.width - MARGIN - END_WIDTH
        self.svg.add("line", x1=MARGIN + END_WIDTH, y1=middle, x2=end, y2=middle, stroke="#9ca3af", stroke_width=2)
        for x, name in ((MARGIN, "stem"), (end, "head")):
            self._box(x, END_WIDTH, fill="#ffffff", stroke="#9ca3af")
            self.svg.text(x + END_WIDTH / 2, middle + 4, name, fill=GREY, text_anchor="middle")

    def _box(self, x: float, width: float, **paint: str) -> None:
        self.svg.add("rect", x=x, y=self.top, width=width, height=BLOCK_HEIGHT, rx=5, **paint)

    def _node(self, number: int, place: _Place) -> None:
        """Draw a block with its number, or the attention after a stage."""
        kind, after_stage = place.node.kind, place.node.after_stage
        plain = kind == NO_ATTENTION
        stroke = "#9ca3af" if plain else colour_of(kind)
        classes = f"{kind} {'stage-end' if after_stage else 'block'}"
        self._box(place.x, place.width, fill=colour_of(kind), stroke=stroke, class_=classes)
        ink = GREY if plain else "#ffffff"
        centre, label = place.x + place.width / 2, label_of(kind)
        if text_width(label, 11) <= place.width - 2:
            middle = self.top + BLOCK_HEIGHT / 2
            lift = -4 if after_stage else 1
            self.svg.text(centre, middle - lift, label, size=11, fill=ink, font_weight="600", text_anchor="middle")
            if not after_stage:
                self.svg.text(centre, middle + 13, str(number), size=10, fill=ink, text_anchor="middle")
        elif not after_stage and (number % 5 == 0 or number == 1 or text_width(str(number), 9) <= place.width / 3):
            self.svg.text(centre, self.top + BLOCK_HEIGHT / 2 + 3, str(number), size=9, fill=ink, text_anchor="middle")

    def _edge(self, edge: Edge) -> None:
        above, colour = self.lines[edge.dimension].above, self.lines[edge.dimension].colour
        line, towards = (self.top - 1, -1) if above else (self.bottom + 1, 1)
        start, end, rise = self.places[edge.source].sends, self.places[edge.target].receives, self._rise(edge)
        self.svg.add(
            "path",
            d=f"M{start:.1f} {line:.1f} A{(end - start) / 2:.1f} {rise:.1f} 0 0 {int(above)} {end:.1f} {line:.1f}",
            fill="none",
            stroke=colour,
            stroke_width=self.stroke,
            stroke_opacity=0.85 if self.stroke > 1.5 else 0.5,
            class_=f"{edge.dimension} edge",
        )
        self._arrow(end, line, towards, colour)
        if signs(edge).any:
            self._diamond((start + end) / 2, line + towards * rise, colour, signs(edge))

    def _arrow(self, x: float, tip: float, towards: int, colour: str) -> None:
        self.svg.add("path", d=f"M{x:.1f} {tip:.1f} l-3.5 {7 * towards} h7 z", fill=colour)

    def _diamond(self, x: float, y: float, colour: str, shown: Signs) -> None:
        """Draw sizes being matched: a hollow diamond for layers, a small full one for resizing, or both."""
        if shown.layers:
            self.svg.add("path", d=f"M{x:.1f} {y - 6:.1f} l6 6 l-6 6 l-6 -6 z", fill="#ffffff", stroke=colour)
        if shown.resize:
            self.svg.add("path", d=f"M{x:.1f} {y - 3.5:.1f} l3.5 3.5 l-3.5 3.5 l-3.5 -3.5 z", fill=colour)

    def _legend(self, y: float) -> float:
        """Draw what the signs mean, from y down, and return the picture's height."""
        row = _Row(self.svg, MARGIN, self.width - MARGIN, y)
        for kind in dict.fromkeys(node.kind for node in self.network.nodes):
            x = row.take("attention " + label_of(kind) if kind != NO_ATTENTION else "no attention", 18)
            stroke = "#9ca3af" if kind == NO_ATTENTION else "none"
            self.svg.add("rect", x=x, y=row.y - 10, width=12, height=12, rx=3, fill=colour_of(kind), stroke=stroke)
        for dimension, line in self.lines.items():
            for function in functions(self.network, dimension):
                x = row.take(f"{dimension} connection: {function}", 32)
                self.svg.add(
                    "path",
                    d=f"M{x:.1f} {row.y:.1f} a11 9 0 0 1 22 0",
                    fill="none",
                    stroke=line.colour,
                    stroke_width=1.8,
                )
                self._arrow(x + 22, row.y + 2, -1, line.colour)
        for (dimension, shown), way in sizes(self.network).items():
            x = row.take(f"{dimension} sizes matched: {way}", 18)
            self._diamond(x + 6, row.y - 4, self.lines[dimension].colour, shown)
        return row.y + MARGIN


class _Row:
    """Entries of a legend, from left to right and then in a new line."""

    def __init__(self, svg: Svg, left: float, right: float, y: float) -> None:
        self.svg, self.left, self.right, self.x, self.y = svg, left, right, left, y

    def take(self, text: str, sign: float) -> float:
        """Write an entry and return where its sign, that many pixels wide, begins."""
        width = sign + text_width(text) + 22
        if self.x + width > self.right and self.x > self.left:
            self.x, self.y = self.left, self.y + 24
        x = self.x
        self.svg.text(x + sign, self.y, text)
        self.x += width
        return x


def _places(nodes: tuple[Node, ...]) -> list[_Place]:
    """Stand the nodes side by side, in a width of about a thousand pixels; a gap tells the stages apart.

    What stands after a stage has a gap on both sides, and is never too narrow for its name.
    """
    pitch = min(58.0, max(19.0, 980.0 / len(nodes)))
    x, places = MARGIN + END_WIDTH + STAGE_GAP, list[_Place]()
    for node in nodes:
        if places and (node.after_stage or node.layout.stage != places[-1].node.layout.stage):
            x += STAGE_GAP
        room = max(pitch, STAGE_END_PITCH) if node.after_stage else pitch
        places.append(_Place(node, x, room * 0.72))
        x += room
    return places
