"""Figure 1: accuracy against parameters; a vanilla network and its connected one are joined by an arrow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcasearch.drawing.words import colour_of
from dcasearch.errors import UserError
from dcasearch.paper.points import Form, Panel, Point
from dcasearch.report.figures import GREY, STYLE

if TYPE_CHECKING:  # a second of imports, for those who draw
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

SUFFIXES = (".svg", ".png")
MOST_PANELS = 4
_MOST_LABELLED = 12
"""Connected networks of a panel that all have a label; of more, only the best of each vanilla network."""
_MARKERS: Mapping[Form, str] = {"plain": "s", "vanilla": "o", "connected": "D"}
_INK, _MIXED = "#374151", "#6b7280"
_CLEAR = 6.0
"""Points (1/72 inch) around a marker that stay free of labels."""


def draw(panels: Sequence[Panel], path: Path) -> None:
    """Write the figure, as the file's suffix says.

    Raises:
        UserError: the file has another suffix, there is nothing to draw, or too much for one figure.
    """
    _check(panels, path)
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(0.6 + 5.4 * len(panels), 4.9), layout="constrained")
        FigureCanvasAgg(figure)
        axes = [figure.add_subplot(1, len(panels), n + 1) for n in range(len(panels))]
        for one, panel in zip(axes, panels, strict=True):
            _points(one, panel)
        _legend(figure, panels)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # labels are placed on axes that move no more
        for one, panel in zip(axes, panels, strict=True):
            _Labels(one, panel, figure.dpi / 72).place()
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, dpi=150, metadata=metadata)


def _check(panels: Sequence[Panel], path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise UserError(f"--out {path}: the file ends in {' or '.join(SUFFIXES)}")
    if not panels:
        raise UserError("There is nothing to draw: these studies have no training of that fidelity that ended.")
    if len(panels) > MOST_PANELS:
        titles = "; ".join(panel.title for panel in panels)
        raise UserError(
            f"{len(panels)} different measurements are too many for one figure; choose with --study: {titles}"
        )


def _points(axes: Axes, panel: Panel) -> None:
    """Draw markers and arrows."""
    from matplotlib.ticker import EngFormatter

    known = {point.id: point for point in panel.points}
    for point in panel.points:
        start = known.get(point.vanilla or "")
        if start is not None:
            _arrow(axes, start, point, pale=_many(panel))
    for point in panel.points:
        colour = _colour(point)
        axes.scatter(
            [point.params],
            [point.value],
            s=42 if point.form != "connected" else 36,
            marker=_MARKERS[point.form],
            facecolor="white" if point.form == "vanilla" else colour,
            edgecolor=colour,
            linewidths=1.6,
            zorder=3,
        )
    axes.margins(0.14)
    axes.set_title(panel.title, loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel("parameters")
    axes.set_ylabel(panel.axis)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.locator_params(axis="x", nbins=6)


def _arrow(axes: Axes, start: Point, end: Point, *, pale: bool) -> None:
    style: dict[str, Any] = {"arrowstyle": "-|>", "color": _colour(end), "linewidth": 1.2, "shrinkA": 5, "shrinkB": 5}
    axes.annotate(
        "",
        (end.params, end.value),
        (start.params, start.value),
        arrowprops={**style, "alpha": 0.35 if pale else 0.8},
        zorder=2,
    )


def _legend(figure: Figure, panels: Sequence[Panel]) -> None:
    """Say what a marker means, for the forms that are drawn, and what an arrow does."""
    from matplotlib.lines import Line2D

    drawn = {point.form for panel in panels for point in panel.points}
    words: Mapping[Form, str] = {
        "plain": "without attention",
        "vanilla": "with attention",
        "connected": "with connected attention",
    }
    handles = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker=_MARKERS[form],
            color=_INK,
            markerfacecolor="white" if form == "vanilla" else _INK,
            markersize=6,
            label=words[form],
        )
        for form in _MARKERS
        if form in drawn
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9)


def _colour(point: Point) -> str:
    if point.form == "plain":
        return _INK
    return colour_of(point.kinds[0]) if len(point.kinds) == 1 else _MIXED


def _many(panel: Panel) -> bool:
    return sum(point.form == "connected" for point in panel.points) > _MOST_LABELLED


def labelled(panel: Panel) -> list[Point]:
    """Return the points that get a label, the most telling first."""
    chosen = [point for point in panel.points if point.form != "connected"]
    connected = sorted((p for p in panel.points if p.form == "connected"), key=lambda p: -p.value)
    if not _many(panel):
        return chosen + connected
    best: dict[str | None, Point] = {}
    for point in connected:
        best.setdefault(point.vanilla, point)
    return chosen + list(best.values())


class _Labels:
    """Places labels beside their points, where they cover no marker, no arrow and no other label.

    A label without a free place is left out.
    """

    def __init__(self, axes: Axes, panel: Panel, scale: float) -> None:
        self._axes, self._panel = axes, panel
        self._scale = scale  # pixels of 1/72 inch
        self._taken: list[Bbox] = list(self._markers())
        self._lines = list(self._arrows())

    def place(self) -> None:
        """Place them all."""
        for point in labelled(self._panel):
            self._place(point)

    def _place(self, point: Point) -> None:
        for dx, dy, ha, va in _places():
            text = self._axes.annotate(
                point.label,
                (point.params, point.value),
                (dx, dy),
                textcoords="offset points",
                ha=ha,
                va=va,
                fontsize=9,
                color=_colour(point),
                arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4}
                if max(abs(dx), abs(dy)) > _LED
                else None,
                zorder=4,
            )
            box = self._box(text)
            if self._free(box):
                self._taken.append(box)
                return
            text.remove()

    def _box(self, text: Any) -> Bbox:
        from matplotlib.text import Text

        text.get_window_extent()  # puts the words where they will be drawn
        return Text.get_window_extent(text)  # of the words alone, without the line to the point

    def _free(self, box: Bbox) -> bool:
        frame = self._axes.get_window_extent()
        inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        clear = not any(box.overlaps(other) for other in self._taken)
        return inside and clear and not any(box.contains(x, y) for line in self._lines for x, y in line)

    def _markers(self) -> Iterator[Bbox]:
        from matplotlib.transforms import Bbox

        half = _CLEAR * self._scale
        for point in self._panel.points:
            x, y = self._at(point)
            yield Bbox.from_extents(x - half, y - half, x + half, y + half)

    def _arrows(self) -> Iterator[list[tuple[float, float]]]:
        """Yield points along each arrow."""
        known = {point.id: point for point in self._panel.points}
        for point in self._panel.points:
            if point.vanilla in known:
                (x0, y0), (x1, y1) = self._at(known[point.vanilla]), self._at(point)
                yield [(x0 + (x1 - x0) * n / 40, y0 + (y1 - y0) * n / 40) for n in range(41)]

    def _at(self, point: Point) -> tuple[float, float]:
        x, y = self._axes.transData.transform((point.params, point.value))
        return float(x), float(y)


_LED = 16
"""Points of distance from which a line leads from a label to its point."""


def _places() -> Iterator[tuple[float, float, str, str]]:
    """Yield offsets in points with alignments, the nearest first."""
    for distance in (7.0, 12.0, 20.0, 30.0, 42.0, 56.0):
        slanted = distance * 0.75
        yield distance, 0, "left", "center"
        yield 0, distance, "center", "bottom"
        yield 0, -distance, "center", "top"
        yield -distance, 0, "right", "center"
        yield slanted, slanted, "left", "bottom"
        yield slanted, -slanted, "left", "top"
        yield -slanted, slanted, "right", "bottom"
        yield -slanted, -slanted, "right", "top"
