"""The confusion matrix of a classifier as one figure, readable from a few classes to a hundred."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from dcasearch.export.answers import Answers
from dcasearch.interpretation.figure import Drawn
from dcasearch.report.figures.canvas import short
from dcasearch.report.figures.theme import INK, PAPER, STYLE

_NUMBERED = 12
"""Classes up to which each cell has its number."""
_NAMED = 100
"""Classes up to which each row and column has its name."""
_LONGEST = 20
"""Characters of a name."""
_LEAST_SIDE, _MOST_SIDE = 3.6, 14.0
"""Inches of the matrix."""


def confusion_figure(answers: Answers) -> Drawn:
    """Return the confusion matrix: rows are true classes, each cell is its share of the row's images, in percent.

    A row without images is empty. Above 12 classes the cells have colours alone, above 100 the classes have no names.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counts = answers.confusion
    images, classes = counts.sum(1, keepdims=True), len(counts)
    shares = np.divide(100 * counts, images, out=np.full(counts.shape, np.nan), where=images > 0)
    side = float(np.clip(classes * (0.55 if classes <= _NUMBERED else 0.15), _LEAST_SIDE, _MOST_SIDE))
    style: Any = {**STYLE, "axes.grid": False, "axes.spines.top": True, "axes.spines.right": True}
    with rc_context(style):
        figure = Figure(figsize=(side + 2.4, side + 1.6), layout="compressed", facecolor=PAPER)
        FigureCanvasAgg(figure)  # not pyplot, which keeps every figure and looks for a display
        axes = figure.add_subplot()
        picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        bar = figure.colorbar(picture, ax=axes, shrink=0.7, aspect=24)
        bar.set_label("share of the true class's images (%)")
        axes.set_xlabel("said")
        axes.set_ylabel("true class")
        if classes <= _NAMED:
            names = [short(name, _LONGEST) for name in answers.class_names]
            size = 10 if classes <= _NUMBERED else 7
            upright = 90 if classes > _NUMBERED else 45
            end: Any = {"ha": "center"} if upright == 90 else {"ha": "right", "rotation_mode": "anchor"}
            axes.set_xticks(range(classes), names, rotation=upright, fontsize=size, **end)
            axes.set_yticks(range(classes), names, fontsize=size)
        if classes <= _NUMBERED:
            for (row, column), share in np.ndenumerate(shares):
                if np.isfinite(share):
                    colour = PAPER if share > 55 else INK
                    axes.text(column, row, f"{share:.0f}", ha="center", va="center", color=colour, fontsize=9)
        svg, png = io.StringIO(), io.BytesIO()
        figure.savefig(svg, format="svg", bbox_inches="tight", metadata={"Date": None})
        figure.savefig(png, format="png", dpi=150, bbox_inches="tight", metadata={"Software": None})
    return Drawn(svg.getvalue(), png.getvalue())
