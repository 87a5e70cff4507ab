"""Figure 1: accuracy against parameters; a vanilla network and its connected one are joined by an arrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcasearch.drawing.words import colour_of
from dcasearch.errors import UserError
from dcasearch.paper.points import Form, Panel, Point
from dcasearch.report.figures.labels import Label, Labels
from dcasearch.report.figures.theme import STYLE

if TYPE_CHECKING:  # a second of imports, for those who draw
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png")
MOST_PANELS = 4
_MOST_LABELLED = 12
"""Connected networks of a panel that all have a label; of more, only the best of each vanilla network."""
_MARKERS: Mapping[Form, str] = {"plain": "s", "vanilla": "o", "connected": "D"}
_INK, _MIXED = "#374151", "#6b7280"


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
            _name(one, panel)
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, dpi=150, metadata=metadata)


def _name(axes: Axes, panel: Panel) -> None:
    """Write the names of networks beside their points."""
    at = {point.id: (float(point.params), point.value) for point in panel.points}
    arrows = [(at[point.vanilla], at[point.id]) for point in panel.points if point.vanilla in at]
    labels = [Label(point.label, *at[point.id], _colour(point)) for point in labelled(panel)]
    Labels(axes, at.values(), arrows).place(labels)


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
