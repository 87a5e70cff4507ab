"""An attention block as a picture, made from its declaration: extraction, transformation, fusion (paper, Figures 2, 3).

One lane a dimension. A message comes in from above, before the transformation; the own one goes out below, after it.
The picture of a connection function is its inputs and its steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from dcasearch.architecture import KINDS, Kind, State
from dcasearch.architecture.kinds import Shape
from dcasearch.drawing.palette import ABOVE, GREY, INK, PALE, PAPER
from dcasearch.drawing.svg import Svg

MESSAGE = ABOVE[0]
"""Colour of what a connection adds."""
MARGIN, LANE, BOX, HEIGHT, HEADER = 24.0, 180.0, 218.0, 74.0, 64.0
_CHARACTERS = 28
"""Of a line in a box."""
_X, _G, _F, _T, _JOIN, _OUT = 40.0, 108.0, 378.0, 430.0, 712.0, 808.0
"""Where each part of a lane begins, from the left."""
_WIDTH = 872.0


def draw_kind(name: str) -> str:
    """Return a self-contained SVG of one kind of attention block."""
    kind = KINDS[name]
    svg = Svg()
    svg.text(MARGIN, 30, f"{kind.label or name.upper()}: {kind.title}", size=16, font_weight="600")
    svg.text(MARGIN, 50, _place(kind), fill=GREY)
    lanes = list(kind.dimensions.items())
    for number, (dimension, state) in enumerate(lanes):
        fuses = not kind.joint or number == len(lanes) - 1
        reads, gives = _map(number, kind), _map(number + 1, kind) if fuses else None
        _lane(svg, kind, HEADER + number * LANE, dimension, state, reads, gives)
    return svg.render(_WIDTH, HEADER + max(1, len(lanes)) * LANE, kind.title)


def _place(kind: Kind) -> str:
    places = {
        "block": "in a block, on the residual branch's output",
        "stage": "after each stage, outside the residual",
        "between stages": "after each stage but the last, outside the residual",
    }
    order = ""
    if len(kind.dimensions) > 1:
        order = (
            "; all dimensions read one map and gate it together" if kind.joint else "; one dimension after the other"
        )
    return (kind.where or places[kind.place]) + order


def _map(number: int, kind: Kind) -> str:
    """Return the name of the map that lane `number` reads."""
    last = len(kind.dimensions)
    if kind.joint:
        return "X" if number < last else "X′"
    return "X" if number == 0 else "X′" if number == last else f"X{'₁₂₃₄'[number - 1]}"


def _lane(svg: Svg, kind: Kind, top: float, dimension: str, state: State, reads: str, gives: str | None) -> None:
    """Draw one dimension; `gives` names the map that it fuses, None where a later lane fuses for it."""
    middle = top + 98
    svg.add("line", x1=MARGIN, y1=top, x2=_WIDTH - MARGIN, y2=top, stroke=PALE)
    svg.text(MARGIN, top + 18, dimension, font_weight="600", fill=kind.colour)
    _arrow(svg, _X + 26, middle, _G, middle)
    _arrow(svg, _G + BOX, middle, _F, middle)
    _arrow(svg, _F + 26, middle, _T, middle)
    svg.text(_X, middle + 4, reads, size=14, font_style="italic")
    _box(svg, _G, middle, kind.colour, "extraction", state.extraction, _shape("G", state.g, state.branches))
    _box(svg, _T, middle, kind.colour, "transformation", state.transformation, _shape("T", state.t))
    _circle(svg, _F + 13, middle, "f", MESSAGE)
    if gives is None:
        down = f"M{_T + BOX:.1f} {middle:.1f} H{_JOIN + 13:.1f} V{middle + LANE - 15:.1f}"
        svg.add("path", d=down, fill="none", stroke=INK, stroke_width=1.2)
        svg.add("path", d=f"M{_JOIN + 13:.1f} {middle + LANE - 13:.1f} l-3.5 -7 h7 z", fill=INK)
    else:
        _fusion(svg, middle, state, gives)
        _shortcut(svg, middle)
    _messages(svg, top, middle, state)


def _fusion(svg: Svg, middle: float, state: State, gives: str) -> None:
    _arrow(svg, _T + BOX, middle, _JOIN, middle)
    _arrow(svg, _JOIN + 26, middle, _OUT, middle)
    _circle(svg, _JOIN + 13, middle, "+" if state.fusion.startswith("add") else "×", INK)
    svg.text(_OUT + 6, middle + 4, gives, size=14, font_style="italic")
    lines = wrap(state.fusion, 20)
    for number, words in enumerate(lines):
        y = middle - 18 - 14 * (len(lines) - 1 - number)
        svg.text(_JOIN + 24, y, words, size=11, fill=GREY)


def _shortcut(svg: Svg, middle: float) -> None:
    """Draw the map's own way to the fusion."""
    below = middle + HEIGHT / 2 + 10
    path = f"M{_X + 34:.1f} {middle:.1f} V{below:.1f} H{_JOIN + 13:.1f} V{middle + 15:.1f}"
    svg.add("path", d=path, fill="none", stroke=GREY, stroke_width=1.2)
    svg.add("path", d=f"M{_JOIN + 13:.1f} {middle + 13:.1f} l-3.5 7 h7 z", fill=GREY)


def _messages(svg: Svg, top: float, middle: float, state: State) -> None:
    """Draw what comes in from an earlier block, and what goes out to a later one."""
    x = _F + 13
    svg.add("path", d=f"M{x:.1f} {top + 30:.1f} V{middle - 15:.1f}", stroke=MESSAGE, stroke_width=1.6, fill="none")
    svg.add("path", d=f"M{x:.1f} {middle - 13:.1f} l-3.5 -7 h7 z", fill=MESSAGE)
    svg.text(x, top + 24, "αP of earlier blocks", size=11, fill=MESSAGE, text_anchor="middle")
    out, floor = _T + BOX + 22, middle + HEIGHT / 2 + 26
    svg.add("path", d=f"M{out:.1f} {middle:.1f} V{floor:.1f}", stroke=MESSAGE, stroke_width=1.6, fill="none")
    svg.add("path", d=f"M{out:.1f} {floor + 2:.1f} l-3.5 -7 h7 z", fill=MESSAGE)
    words = f"message {_shape('', state.g, state.branches)} to later blocks"
    svg.text(out - 8, floor + 1, words, size=11, fill=MESSAGE, text_anchor="end")


def _shape(name: str, shape: Shape, branches: int = 1) -> str:
    several = f"{branches} × " if branches > 1 else ""
    return f"{name} {several}({', '.join(shape)})".strip()


def _box(svg: Svg, x: float, middle: float, colour: str, title: str, words: str, shape: str) -> None:
    svg.add(
        "rect",
        x=x,
        y=middle - HEIGHT / 2,
        width=BOX,
        height=HEIGHT,
        rx=6,
        fill=PAPER,
        stroke=colour,
        stroke_width=1.4,
    )
    svg.text(x, middle - HEIGHT / 2 - 6, title, size=11, fill=GREY)
    svg.text(x + BOX, middle - HEIGHT / 2 - 6, shape, size=11, fill=INK, text_anchor="end")
    lines = wrap(words or "nothing", _CHARACTERS)
    for number, line in enumerate(lines):
        y = middle + 4 + 15 * (number - (len(lines) - 1) / 2)
        svg.text(x + BOX / 2, y, line, text_anchor="middle")


def _circle(svg: Svg, x: float, y: float, sign: str, colour: str) -> None:
    svg.add("circle", cx=x, cy=y, r=13, fill=PAPER, stroke=colour, stroke_width=1.4)
    svg.text(
        x, y + 5, sign, size=15, fill=colour, text_anchor="middle", font_style="italic" if sign == "f" else "normal"
    )


def _arrow(svg: Svg, x1: float, y1: float, x2: float, y2: float) -> None:
    svg.add("line", x1=x1, y1=y1, x2=x2 - 2, y2=y2, stroke=INK, stroke_width=1.2)
    svg.add("path", d=f"M{x2:.1f} {y2:.1f} l-7 -3.5 v7 z", fill=INK)


def draw_steps(title: str, steps: Sequence[str]) -> str:
    """Return a self-contained SVG of a connection function: G and the messages, its steps, and what is transformed."""
    svg, middle, width = Svg(), 92.0, 208.0
    svg.text(MARGIN, 30, title, size=16, font_weight="600")
    svg.text(MARGIN, middle - 14, "G", size=14, font_style="italic")
    svg.text(MARGIN, middle + 26, "αP", size=14, font_style="italic", fill=MESSAGE)
    x = MARGIN + 64
    for y in (middle - 18, middle + 22):
        _arrow(svg, MARGIN + 26, y, x, y)
    for number, step in enumerate(steps):
        if number:
            _arrow(svg, x - 30, middle, x, middle)
        svg.add("rect", x=x, y=middle - 34, width=width, height=68, rx=6, fill=PAPER, stroke=MESSAGE, stroke_width=1.4)
        lines = wrap(step, 29)
        for line, words in enumerate(lines):
            svg.text(x + width / 2, middle + 4 + 15 * (line - (len(lines) - 1) / 2), words, text_anchor="middle")
        x += width + 30
    _arrow(svg, x - 30, middle, x + 4, middle)
    svg.text(x + 10, middle + 4, "t( f(G, αP) )", size=14, font_style="italic")
    return svg.render(x + 120, 152, title)
