"""What all drawings of networks share: stages as bands, nodes from left to right, lines above and below them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from dcasearch.architecture import Dimension, Network, Node
from dcasearch.drawing.links import Arc, Rail, levels_of
from dcasearch.drawing.palette import BAND, GREY, INK, LINE, PAPER
from dcasearch.drawing.places import END_WIDTH, MARGIN, STAGE_GAP, Place, places_of
from dcasearch.drawing.signs import Legend, Stroke, arrow, diamond
from dcasearch.drawing.svg import Svg, text_width, wrapped
from dcasearch.drawing.words import Signs

BLOCK_HEIGHT, NARROW_HEIGHT = 44.0, 64.0
"""Of blocks whose names lie, and of those whose names stand upright."""
DOUBLE = 20.0
"""How much higher blocks are that have two names."""
_LEAST_WIDTH = 440.0
"""Of a drawing, so that its text has room."""
_RAIL, _LEVEL = 36.0, 26.0
"""How far the first rail is from the blocks, and each further one from that."""
_FURTHER = 30.0
"""How much further out the arcs of a side's second dimension are than those of its first: room for an α."""


@dataclass(frozen=True)
class Side:
    """Where the connections of one dimension are."""

    above: bool
    number: int
    """Among the dimensions of this side, from 0; the second is drawn further out."""


@dataclass(frozen=True)
class Line:
    """A line of text."""

    text: str
    size: float = 12
    colour: str = GREY
    bold: bool = False


def sides_of(networks: Sequence[Network]) -> dict[Dimension, Side]:
    """Return where each connected dimension is drawn: channels above, planes below, those above first."""
    planes: dict[Dimension, bool] = {}
    for network in networks:
        for edge in network.edges:
            planes.setdefault(edge.dimension, network.nodes[edge.target].ports[edge.dimension].planes)
    above, below = ([d for d in sorted(planes) if planes[d] is side] for side in (False, True))
    return {d: Side(True, n) for n, d in enumerate(above)} | {d: Side(False, n) for n, d in enumerate(below)}


class Frame:
    """A drawing of nodes and lines: who makes one says what each of them looks like."""

    def __init__(
        self,
        nodes: Sequence[Node],
        arcs: Iterable[Arc],
        rails: Iterable[Rail],
        sides: Mapping[Dimension, Side],
        *,
        double: bool = False,
    ) -> None:
        self.svg = Svg()
        self._labels: list[tuple[float, float, str, float]] = []
        self.places = places_of(nodes)
        self.sides = sides
        order = {name: n for n, name in enumerate(self.places)}
        self.levels = levels_of(rails, order)
        # Long arcs lie behind.
        self.arcs = sorted(arcs, key=lambda arc: order[arc.source] - order[arc.target])
        last = list(self.places.values())[-1]
        self.width = max(_LEAST_WIDTH, last.right + STAGE_GAP + END_WIDTH + MARGIN)
        self.narrow = min(place.width for place in self.places.values()) < 30
        self.height = (NARROW_HEIGHT if self.narrow else BLOCK_HEIGHT) + DOUBLE * double
        self.header_height = self.top = self.bottom = self.floor = 0.0

    def header(self, lines: Iterable[Line]) -> None:
        """Write the lines at the top, each wrapped to the width, and set where everything below begins."""
        y = MARGIN - 12
        for line in lines:
            for part in wrapped(line.text, self.width - 2 * MARGIN, line.size, bold=line.bold):
                y += line.size * 1.3
                self.svg.text(MARGIN, y, part, size=line.size, fill=line.colour, **_weight(line.bold))
            y += 3
        self.header_height = y + 10
        self.top = self.header_height + self._reach(above=True)
        self.bottom = self.top + self.height
        self.floor = self.bottom + self._reach(above=False)

    def stages(self, captions: Mapping[int, Sequence[str]]) -> float:
        """Draw the bands with their captions, the line through the blocks, stem and head; return where all ends."""
        blocks = [place for place in self.places.values() if not place.node.after_stage]
        for stage, drawn in groupby(blocks, key=lambda place: place.node.layout.stage):
            self._band(list(drawn), captions[stage])
        middle, end = (self.top + self.bottom) / 2, list(self.places.values())[-1].right + STAGE_GAP
        self.svg.add("line", x1=MARGIN + END_WIDTH, y1=middle, x2=end, y2=middle, stroke=LINE, stroke_width=2)
        for x, name in ((MARGIN, "stem"), (end, "head")):
            self.svg.add(
                "rect", x=x, y=middle - 22, width=END_WIDTH, height=44, rx=5, fill=PAPER, stroke=LINE, class_="end"
            )
            self.svg.text(x + END_WIDTH / 2, middle + 4, name, fill=GREY, text_anchor="middle")
        for dimension, side in self.sides.items():
            y = self.top - 10 - 15 * side.number if side.above else self.bottom + 18 + 15 * side.number
            self.svg.text(MARGIN, y, dimension, size=11, fill=INK, font_weight="600")
        return self.floor + 16 + 15 * max(len(lines) for lines in captions.values())

    def arc(self, arc: Arc, stroke: Stroke, title: str, *, shown: Signs | None = None, label: str = "") -> None:
        """Draw one connection.

        Args:
            arc: Where it is.
            stroke: What it looks like.
            title: What is under the pointer.
            shown: Signs of how it matches sizes.
            label: A short text at its middle.
        """
        line, towards = self._line(self.sides[arc.dimension])
        start, end = self.ends(arc)
        rise, foot, sweep = self._rise(arc), line + towards * 4, int(towards < 0)
        path = f"M{start:.1f} {line:.1f} V{foot:.1f} A{(end - start) / 2:.1f} {rise - 4:.1f} 0 0 {sweep}"
        path += f" {end:.1f} {foot:.1f}"
        with self.svg.group(title, class_=f"{arc.dimension} edge"):
            self._path(path, stroke)
            arrow(self.svg, end, line, towards, stroke, small=self.narrow)
            middle, apex = (start + end) / 2, line + towards * rise
            if shown is not None:
                diamond(self.svg, middle, apex, stroke.colour, shown)
            if label:
                self._labels.append((middle, apex - 8 if towards < 0 else apex + 16, label, 10))

    def ends(self, arc: Arc) -> tuple[float, float]:
        """Return where a connection leaves and where it arrives."""
        number = self.sides[arc.dimension].number
        return self.places[arc.source].sends(number), self.places[arc.target].receives(number)

    def rail(
        self, rail: Rail, stroke: Stroke, title: str, into: Mapping[str, str], widths: Mapping[str, float]
    ) -> None:
        """Draw many connections as one rail.

        Args:
            rail: What it joins.
            stroke: What the rail looks like.
            title: What is under the pointer on the rail.
            into: What is under the pointer where a target receives.
            widths: How thick the line into a target is, else as thick as the others.
        """
        line, towards = self._line(self.sides[rail.dimension])
        y, curve = line + towards * self._rail_height(rail), 4.0 if self.narrow else 7.0
        number, ends = self.sides[rail.dimension].number, Arc(rail.dimension, rail.nodes[0], rail.nodes[-1])
        first, last = self.ends(ends)
        with self.svg.group(title, class_=f"{rail.dimension} edge rail"):
            for name in rail.nodes[:-1]:
                x = self.places[name].sends(number)
                bend = towards * curve
                up = f"M{x:.1f} {line:.1f} V{y - bend:.1f} q0 {bend:.1f} {curve:.1f} {bend:.1f}"
                self.svg.add(
                    "path", d=up, class_="line sender", **replace(stroke, width=min(1.2, stroke.width)).attributes
                )
            self._path(f"M{first + curve:.1f} {y:.1f} H{last - curve:.1f}", replace(stroke, width=stroke.width + 2.2))
            self._count(rail, first, last, y - 9 if towards < 0 else y + 19)
        for name in rail.targets:
            x = self.places[name].receives(number)
            down = (
                f"M{x - curve:.1f} {y:.1f} q{curve:.1f} 0 {curve:.1f} {-towards * curve:.1f} V{line + towards * 4:.1f}"
            )
            with self.svg.group(into[name], class_=f"{rail.dimension} edge receiver"):
                into_stroke = replace(stroke, width=widths.get(name, stroke.width))
                self._path(down, into_stroke)
                arrow(self.svg, x, line, towards, into_stroke, small=self.narrow)

    def _path(self, path: str, stroke: Stroke) -> None:
        """Draw a line, with room around it that the pointer finds."""
        self.svg.add("path", d=path, fill="none", stroke="transparent", stroke_width=9 if not self.narrow else 4)
        self.svg.add("path", d=path, class_="line", **stroke.attributes)

    def _count(self, rail: Rail, first: float, last: float, y: float) -> None:
        forms = (f"each from every earlier one: {rail.count} connections", f"{rail.count} connections", str(rail.count))
        text = next((form for form in forms if text_width(form, 11) < last - first), forms[-1])
        self._labels.append(((first + last) / 2, y, text, 11))

    def labels(self) -> None:
        """Write what stands beside lines. It comes after all lines, so that none crosses it."""
        for x, y, text, size in self._labels:
            self.svg.text(x, y, text, size=size, text_anchor="middle", pointer_events="none", **_halo())

    def _line(self, side: Side) -> tuple[float, int]:
        """Return the height at which lines of a side begin, and the direction that leads away from the blocks."""
        return (self.top - 1, -1) if side.above else (self.bottom + 1, 1)

    def _rise(self, arc: Arc) -> float:
        """Return how far a connection goes from the blocks; the longer, the further."""
        start, end = self.ends(arc)
        span = end - start
        return min(14 + 0.4 * span, 30 + 0.2 * span) + _FURTHER * self.sides[arc.dimension].number

    def _rail_height(self, rail: Rail) -> float:
        return _RAIL + _LEVEL * (self.levels[rail] + 2 * self.sides[rail.dimension].number)

    def _reach(self, above: bool) -> float:
        """Return how much room the lines of one side need."""
        side = {dimension: side for dimension, side in self.sides.items() if side.above == above}
        arcs = [self._rise(arc) + 8 for arc in self.arcs if arc.dimension in side]
        rails = [self._rail_height(rail) + 14 for rail in self.levels if rail.dimension in side]
        return max([*arcs, *rails, 14.0 + 15 * len(side)]) + 14

    def _band(self, stage: Sequence[Place], captions: Sequence[str]) -> None:
        left, right = stage[0].x - STAGE_GAP / 2 + 2, stage[-1].right + STAGE_GAP / 2 - 2
        height = self.floor + 10 + 15 * len(captions) - self.header_height
        self.svg.add(
            "rect", x=left, y=self.header_height, width=right - left, height=height, rx=8, fill=BAND, class_="stage"
        )
        for number, caption in enumerate(captions):
            paint = {"fill": GREY} if number else {"fill": INK, "font_weight": "600"}
            size = 11 if text_width(caption, 11) < right - left + STAGE_GAP - 6 else 9
            y = self.floor + 14 + 15 * number
            self.svg.text((left + right) / 2, y, caption, size=size, text_anchor="middle", **paint)

    def legend(self, y: float) -> Legend:
        """Begin what explains the signs, from y down."""
        return Legend(self.svg, MARGIN, self.width - MARGIN, y)


def _weight(bold: bool) -> dict[str, str]:
    return {"font_weight": "600"} if bold else {}


def _halo() -> dict[str, str]:
    """Return what keeps a text readable on lines."""
    return {"stroke": BAND, "stroke_width": "4", "stroke_linejoin": "round", "paint_order": "stroke", "fill": INK}
