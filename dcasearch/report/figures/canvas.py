"""What every figure is made of: its two forms, an empty canvas, and axes in the units of metrics."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from dcasearch.metrics import METRICS
from dcasearch.report.figures.theme import themed

if TYPE_CHECKING:  # a second of imports, for those who draw
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure as Canvas

Part: TypeAlias = Literal["found", "search", "trust", "cost"]
"""Where a page puts a figure: what was found, how the search went, how far numbers can be trusted, what it cost."""
WIDTH = 5.0
"""Inches of every figure, so that two stand side by side on a desktop and one is readable on a phone."""
MANY = 60
"""Marks beyond which a single one is drawn small."""

_VERY_MANY = 3000
"""Marks beyond which they are smaller as pixels than as SVG."""


@dataclass(frozen=True)
class Figure:
    """One figure in both its forms."""

    name: str
    """Of its files."""
    title: str
    caption: str
    """What is seen, and how it is to be read."""
    svg: str
    """To be put into a page as it is: it follows the page's light or dark colours, and its ids begin with its name."""
    png: bytes
    """For light pages."""
    part: Part = "found"


def canvas(height: float, panels: int = 1) -> tuple[Canvas, list[Axes]]:
    """Return an empty figure and its panels, one below the other, each this many inches high."""
    # Not pyplot, which keeps every figure and looks for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(WIDTH, height * panels), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(panels, 1, n + 1) for n in range(panels)]


def finished(name: str, title: str, caption: str, drawn: Canvas, part: Part) -> Figure:
    """Return a figure in both its forms, equal to the byte when it is drawn again."""
    svg, png = io.StringIO(), io.BytesIO()
    settle(drawn)
    drawn.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
    drawn.savefig(png, format="png", dpi=150, metadata={"Software": None})
    return Figure(name, title, caption, themed(svg.getvalue(), name, title), png.getvalue(), part)


def settle(drawn: Canvas) -> None:
    """Give the axes their final size: the layout is computed once, and labels can be placed by it."""
    if drawn.get_layout_engine() is not None:
        drawn.draw_without_rendering()
        drawn.set_layout_engine(None)


def title_of(axes: Axes, words: str) -> None:
    """Write what a panel shows above it."""
    axes.set_title(words, loc="left", fontsize=10, fontweight="bold")


def legend(figure: Canvas, columns: int = 2) -> None:
    """Put one legend for all panels below them, where it covers nothing; what has one name stands in it once."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        figure.legend(
            list(found.values()),
            list(found),
            loc="outside lower center",
            ncols=min(columns, len(found)),
            fontsize=9,
            handletextpad=0.5,
            columnspacing=1.2,
        )


def in_units(axis: Axis, metric: str) -> None:
    """Label an axis with a metric and its unit; costs are written as 1.2M."""
    axis.set_label_text(METRICS[metric].axis)
    if METRICS[metric].is_cost:
        from matplotlib.ticker import EngFormatter

        axis.set_major_formatter(EngFormatter(sep=""))


def shown(metric: str, value: float) -> str:
    """Return a value with its label, for a caption; costs are written as 1.2M."""
    if not METRICS[metric].is_cost:
        return METRICS[metric].shown(value)
    from matplotlib.ticker import EngFormatter

    return f"{METRICS[metric].label} {EngFormatter(sep='', places=2).format_eng(value)}"


def short(name: str, most: int) -> str:
    """Return a name, or its beginning where it has more characters than fit."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def dots(axes: Axes, xs: Any, ys: Any, colour: str, label: str | None = None, **changes: Any) -> None:
    """Draw dots; a hundred are small and let each other through, thousands are one picture within the SVG."""
    many = len(xs) > MANY
    style = {"markersize": 3.0 if many else 5.0, "alpha": 0.6 if many else 0.9, "markeredgewidth": 0, **changes}
    marker, picture = style.pop("marker", "o"), len(xs) > _VERY_MANY
    axes.plot(xs, ys, linestyle="none", marker=marker, color=colour, label=label, rasterized=picture, **style)
