"""Lines and signs of a drawing, and the legend that explains them."""

from __future__ import annotations

from dataclasses import dataclass

from dcasearch.drawing.palette import PAPER
from dcasearch.drawing.places import MARGIN
from dcasearch.drawing.svg import Svg, text_width, wrapped
from dcasearch.drawing.words import Signs


@dataclass(frozen=True)
class Stroke:
    """How a line is drawn."""

    colour: str
    width: float
    dash: str = ""
    opacity: float = 1.0

    @property
    def attributes(self) -> dict[str, str | float]:
        """As attributes of an element."""
        drawn: dict[str, str | float] = {"fill": "none", "stroke": self.colour, "stroke_width": self.width}
        if self.dash:
            drawn["stroke_dasharray"] = self.dash
        if self.opacity != 1:
            drawn["stroke_opacity"] = f"{self.opacity:g}"
        return drawn


def arrow(svg: Svg, x: float, tip: float, towards: int, stroke: Stroke, *, small: bool = False) -> None:
    """Draw the arrowhead of a line at (x, tip); `towards` is where the line comes from, -1 from above."""
    half, length = (2.5, 5.0) if small else (2.6 + 0.5 * stroke.width, 5.6 + 0.8 * stroke.width)
    svg.add("path", d=f"M{x:.1f} {tip:.1f} l{-half:.1f} {length * towards:.1f} h{2 * half:.1f} z", fill=stroke.colour)


def diamond(svg: Svg, x: float, y: float, colour: str, shown: Signs) -> None:
    """Draw sizes being matched: a hollow diamond for layers, a small full one for resizing, or both."""
    if shown.layers:
        svg.add("path", d=f"M{x:.1f} {y - 6:.1f} l6 6 l-6 6 l-6 -6 z", fill=PAPER, stroke=colour)
    if shown.resize:
        svg.add("path", d=f"M{x:.1f} {y - 3.5:.1f} l3.5 3.5 l-3.5 3.5 l-3.5 -3.5 z", fill=colour)


def arc_sign(svg: Svg, x: float, y: float, stroke: Stroke) -> None:
    """Draw a small connection for a legend, its left end and baseline at (x, y)."""
    svg.add("path", d=f"M{x:.1f} {y:.1f} a11 9 0 0 1 22 0", **stroke.attributes)
    arrow(svg, x + 22, y + 2, -1, stroke)


def rail_sign(svg: Svg, x: float, y: float, stroke: Stroke) -> None:
    """Draw a small rail for a legend, its left end and baseline at (x, y)."""
    svg.add("path", d=f"M{x:.1f} {y - 9:.1f} h28", **Stroke(stroke.colour, stroke.width + 2.2, stroke.dash).attributes)
    for left in (x + 2, x + 14):
        svg.add("path", d=f"M{left:.1f} {y + 2:.1f} v-11", **Stroke(stroke.colour, 1.2).attributes)
    for right in (x + 10, x + 26):
        svg.add("path", d=f"M{right:.1f} {y - 9:.1f} v8", **Stroke(stroke.colour, 1.2).attributes)
        arrow(svg, right, y + 2, -1, stroke, small=True)


class Legend:
    """Entries from left to right and then in a new line."""

    def __init__(self, svg: Svg, left: float, right: float, y: float) -> None:
        self.svg, self.left, self.right, self.x, self.y = svg, left, right, left, y
        self._below = 0.0

    def take(self, text: str, sign: float) -> tuple[float, float]:
        """Write an entry, and return where its sign, that many pixels wide, has its left end and its baseline."""
        lines = wrapped(text, self.right - self.left - sign)
        width = sign + max(map(text_width, lines)) + 22
        if self.x + width - 22 > self.right and self.x > self.left:
            self._next()
        x = self.x
        for number, line in enumerate(lines):
            self.svg.text(x + sign, self.y + 16 * number, line)
        self._below = max(self._below, 16.0 * (len(lines) - 1))
        self.x += width
        return x, self.y

    def _next(self) -> None:
        self.x, self.y, self._below = self.left, self.y + 24 + self._below, 0.0

    def end(self) -> float:
        """Return the height of a drawing that ends here."""
        return self.y + self._below + MARGIN - 6
