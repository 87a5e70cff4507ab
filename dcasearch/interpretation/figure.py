"""Lines along the blocks of networks, with the stages as bands; the same to the byte when drawn again."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a second of imports, for those who draw
    from matplotlib.axes import Axes

COLOURS = ("#1d4ed8", "#c2410c", "#15803d", "#7c3aed", "#0e7490", "#b91c1c", "#a16207", "#4b5563")
DASHES = ("-", ":", "--", "-.")
MARKERS = ("o", "s", "^", "D")
_STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e5e7eb",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "dcasearch",
}
_PANEL_WIDTH, _PANEL_HEIGHT, _LEGEND_WIDTH = 5.4, 3.4, 3.2
"""Inches."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line; a point is left out where its value is not known."""

    label: str
    """Lines of one label share an entry of the legend."""
    at: Sequence[int]
    values: Sequence[float]
    bounds: Sequence[tuple[float, float]] = ()
    """Of each value, or nothing."""
    colour: int = 0
    style: int = 0


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    stages: Sequence[int] = ()
    """The stage of each place 1, 2, … along x; nothing: no bands."""
    ticks: Sequence[str] = ()
    """Words at the places 1, 2, … in place of their numbers."""
    level: tuple[float, str] | None = None
    """A level line, and what it stands for."""
    least: float | None = None
    """Where y begins."""


@dataclass(frozen=True)
class Drawn:
    """A figure in both its forms."""

    svg: str
    png: bytes


def draw(rows: Sequence[Sequence[Panel]]) -> Drawn:
    """Return a figure of rows of panels, all rows equally long, with one legend beside them."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = max(map(len, rows))
    with matplotlib.rc_context(_STYLE):
        size = (_PANEL_WIDTH * columns + _LEGEND_WIDTH, _PANEL_HEIGHT * len(rows))
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)  # not pyplot, which keeps every figure and looks for a display
        known: dict[str, Any] = {}
        for row, panels in enumerate(rows):
            for column, panel in enumerate(panels):
                axes = figure.add_subplot(len(rows), columns, row * columns + column + 1)
                for label, handle in _fill(axes, panel):
                    known.setdefault(label, handle)
        figure.legend(list(known.values()), list(known), loc="outside right upper", fontsize=9)
        svg, png = io.StringIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None})
        figure.savefig(png, format="png", dpi=150, metadata={"Software": None})
    return Drawn(svg.getvalue(), png.getvalue())


def _fill(axes: Axes, panel: Panel) -> Iterator[tuple[str, Any]]:
    """Draw a panel; yield the entries of the legend."""
    _bands(axes, panel.stages)
    for line in panel.lines:
        colour = COLOURS[line.colour % len(COLOURS)]
        look: Any = {
            "color": colour,
            "linestyle": DASHES[line.style % len(DASHES)],
            "marker": MARKERS[line.style % len(MARKERS)],
            "markersize": 4,
            "linewidth": 1.5,
        }
        [handle] = axes.plot(line.at, line.values, **look)
        if line.bounds:
            low, high = zip(*line.bounds, strict=True)
            axes.fill_between(line.at, low, high, color=colour, alpha=0.15, linewidth=0)
        yield line.label, handle
    if panel.level is not None:
        value, says = panel.level
        yield says, axes.axhline(value, color="#6b7280", linewidth=1, linestyle=(0, (1, 2)))
    places = panel.ticks or [str(n + 1) for n in range(len(panel.stages))]
    axes.set_xticks(range(1, len(places) + 1), places)
    axes.set_xlim(0.5, len(places) + 0.5)
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.y)
    axes.set_title(panel.title, loc="left", fontsize=10, fontweight="bold", pad=18 if panel.stages else 6)
    if panel.least is not None:
        room = 1.06 * (axes.get_ylim()[1] - panel.least)
        axes.set_ylim(panel.least, panel.least + room)


def _bands(axes: Axes, stages: Sequence[int]) -> None:
    """Mark each stage by a band with its name above; narrow bands have the number alone."""
    start = 0.5
    for stage, places in groupby(stages):
        width = len(list(places))
        axes.axvspan(start, start + width, color="#eef2ff" if stage % 2 else "#ffffff", linewidth=0, zorder=0)
        name = f"stage {stage}" if width / len(stages) > 0.12 else f"{stage}"
        where: Any = axes.get_xaxis_transform()
        axes.text(start + width / 2, 1.02, name, transform=where, ha="center", fontsize=8, color="#6b7280")
        start += width
