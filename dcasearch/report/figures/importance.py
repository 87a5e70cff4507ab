"""Which axes of the space matter: each beside what its dummies get, and by stage and dimension."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dcasearch.analysis.findings import Findings
from dcasearch.analysis.importance import AxisImportance, Importance, PlaceImportance
from dcasearch.analysis.standing import Standing
from dcasearch.metrics import METRICS
from dcasearch.report.figures.canvas import Figure, canvas, finished, legend
from dcasearch.report.figures.theme import BLUE, GREY, INK, PALE, PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLE = "Importance of the axes"
_SHOWN = 16
"""Axes of one figure, the most important ones."""


def figures(standing: Standing, findings: Findings) -> Iterator[Figure]:
    """Yield the axes, and the places where axes are chosen by stage or block."""
    found = findings.importance
    if found.axes:
        yield _axes(found)
    if found.places:
        yield _places(found)


def _axes(found: Importance) -> Figure:
    shown = found.axes[:_SHOWN]
    drawn, [axes] = canvas(1.1 + 0.26 * len(shown))
    for place, axis in enumerate(shown):
        axes.plot(
            [100 * axis.chance.low, 100 * axis.chance.high],
            [place] * 2,
            color=PALE,
            linewidth=7,
            solid_capstyle="butt",
            label="a dummy axis: 90% of the draws" if place == 0 else None,
        )
        at = 100 * axis.chance.mean
        axes.plot([at] * 2, [place - 0.2, place + 0.2], color=GREY, linewidth=1.6, label=None if place else "its mean")
    for above, fill, label in ((True, BLUE, "the axis, above chance"), (False, PAPER, "the axis, not above chance")):
        some = [(100 * axis.share, n) for n, axis in enumerate(shown) if axis.above_chance is above]
        if some:
            xs, ys = zip(*some, strict=True)
            axes.plot(xs, ys, "o", color=BLUE, markerfacecolor=fill, markersize=6, label=label, zorder=3, clip_on=False)
    axes.set_yticks(range(len(shown)), [axis.name.removeprefix("connections.") for axis in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("share of the importance of all axes (%)")
    legend(drawn, 2)
    return finished("importance", TITLE, _caption(found, len(found.axes) - len(shown)), drawn, "found")


def _caption(found: Importance, hidden: int) -> str:
    more = f" {hidden} less important axes are left out." if hidden else ""
    return (
        f"PED-ANOVA at fidelity {found.fidelity}: how far the answers of the {found.best} best of {found.trials} trials"
        f" (by {METRICS[found.metric].label}) are from those of all. A dummy has the answers of its axis, shuffled, and"
        " cannot matter: an axis within the grey bar is not told from chance, and one axis in twenty is above it by"
        f" chance.{more}"
    )


def _places(found: Importance) -> Figure:
    whats = list(dict.fromkeys(place.what for place in found.places))
    stages = sorted({place.stage for place in found.places})
    drawn, [axes] = canvas(1.0 + 0.5 * len(whats))
    _cells(axes, found.places, whats, stages)
    axes.set_xticks(range(len(stages)), [str(stage) for stage in stages])
    axes.set_yticks(range(len(whats)), whats)
    axes.set_xlim(-0.5, len(stages) - 0.5)
    axes.set_ylim(len(whats) - 0.5, -0.5)
    axes.set_xlabel("stage")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    text = (
        f"Percent of the importance of all axes, at fidelity {found.fidelity}, of what is chosen in each stage: to"
        " connect it in a dimension, or its attention. Framed: above 95% of the dummies. An empty place has no choice."
    )
    return finished("importance_places", "Importance by stage and dimension", text, drawn, "found")


def _cells(axes: Axes, places: Sequence[PlaceImportance], whats: Sequence[str], stages: Sequence[int]) -> None:
    from matplotlib.patches import Rectangle

    most = max(place.share for place in places) or 1.0
    for place in places:
        x, y = stages.index(place.stage), whats.index(place.what)
        shade = 0.06 + 0.5 * place.share / most
        axes.add_patch(Rectangle((x - 0.46, y - 0.42), 0.92, 0.84, facecolor=BLUE, alpha=shade, linewidth=0))
        if place.above_chance:
            axes.add_patch(Rectangle((x - 0.46, y - 0.42), 0.92, 0.84, facecolor="none", edgecolor=BLUE, linewidth=1.8))
        weight = "bold" if place.above_chance else "normal"
        axes.text(x, y, _percent(place), ha="center", va="center", fontsize=9, fontweight=weight, color=INK)


def _percent(axis: AxisImportance) -> str:
    percent = 100 * axis.share
    return f"{percent:.0f}" if percent >= 1 else "<1"
