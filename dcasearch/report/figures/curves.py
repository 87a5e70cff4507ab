"""Learning curves by rung, and the coefficients of the chosen network's connections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from dcasearch.analysis.curves import Alphas, LearningCurve, LearningCurves
from dcasearch.analysis.findings import Findings
from dcasearch.analysis.standing import Standing
from dcasearch.report.figures.canvas import Figure, canvas, finished, in_units, legend, title_of
from dcasearch.report.figures.theme import BLUE, GREEN, GREY, INK, MUTED, ORANGE, PURPLE, YELLOW

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ALPHAS = "α of the connections"
_MOST = 40
"""Trials, or connections, whose curves are drawn one by one; of more, bands."""
_NAMED = 8
"""Connections that have their name beside their line, those with the largest α."""
_EARLY = 0.2
"""Share of the epochs in which curves are still low."""
_LINE = 0.065
"""Height of a name beside a line, as a share of the axes' height."""
_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, YELLOW)
"""Of dimensions."""


def figures(standing: Standing, findings: Findings) -> Iterator[Figure]:
    """Yield the coefficients of the chosen network where they are known, and the learning curves."""
    if findings.alphas.curves:
        yield _alphas(findings.alphas)
    long = [curves for curves in findings.curves if curves.epochs > 1]
    if long:
        yield _curves(long)


def _curves(fidelities: Sequence[LearningCurves]) -> Figure:
    drawn, panels = canvas(3.2, len(fidelities))
    for axes, curves in zip(panels, fidelities, strict=True):
        _rungs(axes, curves)
        (_single if len(curves.trials) <= _MOST else _bands)(axes, curves)
        for curve, colour, label in ((curves.plain, ORANGE, "plain"), (curves.leader, BLUE, "the leader")):
            if curve is not None:
                axes.plot(_epochs(curve), curve.values, color=colour, linewidth=2.2, label=label, zorder=5)
        axes.set_xlim(1, curves.epochs)
        axes.set_xlabel("epoch")
        axes.locator_params(axis="x", integer=True)
        in_units(axes.yaxis, curves.metric)
        title_of(axes, curves.fidelity)
    legend(drawn, 3)
    text = "Each training of a trial by epoch. A trial ends where it was pruned (dots)."
    text += " Dotted lines are the rungs, with the number of trials that each one pruned."
    if any(len(curves.trials) > _MOST for curves in fidelities):
        text += " Bands hold the middle half and the middle 90% of the trials that still train, so they rise at a rung."
    return finished("learning_curves", "Learning curves", text, drawn, "search")


def _rungs(axes: Axes, curves: LearningCurves) -> None:
    for rung in curves.rungs:
        axes.axvline(rung, color=MUTED, linewidth=1, linestyle=":", zorder=1)
        pruned = curves.pruned_after(rung)
        if pruned:
            # Early on the curves are below, later above.
            height, side = (0.98, "top") if rung <= max(1, _EARLY * curves.epochs) else (0.03, "bottom")
            at: Any = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "rotation": 90}
            axes.annotate(f"{pruned} pruned", (rung, height), (2, 0), fontsize=8, color=MUTED, va=side, **at)


def _single(axes: Axes, curves: LearningCurves) -> None:
    for pruned, label in ((False, "a complete trial"), (True, "a pruned trial")):
        some = [curve for curve in curves.trials if curve.pruned is pruned]
        for n, curve in enumerate(some):
            axes.plot(
                _epochs(curve),
                curve.values,
                color=YELLOW if pruned else GREY,
                linewidth=1.1,
                alpha=0.75,
                label=None if n else label,
                zorder=2,
            )
        if pruned and some:
            ends = [(len(curve.values), curve.values[-1]) for curve in some]
            axes.plot(*zip(*ends, strict=True), "o", color=YELLOW, markersize=4, zorder=3)


def _bands(axes: Axes, curves: LearningCurves) -> None:
    columns = [
        [curve.values[epoch] for curve in curves.trials if len(curve.values) > epoch and isfinite(curve.values[epoch])]
        for epoch in range(curves.epochs)
    ]
    known = [np.quantile(column, (0.05, 0.25, 0.5, 0.75, 0.95)) for column in columns if column]
    low, quarter, middle, three, high = np.array(known).T
    epochs = range(1, len(known) + 1)
    axes.fill_between(epochs, low, high, color=GREY, alpha=0.25, linewidth=0, label="90% of the trials", zorder=2)
    axes.fill_between(epochs, quarter, three, color=GREY, alpha=0.4, linewidth=0, label="half of the trials", zorder=2)
    axes.plot(epochs, middle, color=INK, linewidth=1.4, label="their median", zorder=3)


def _epochs(curve: LearningCurve) -> range:
    return range(1, len(curve.values) + 1)


def _ends(axes: Axes, ends: Mapping[str, float], colours: Mapping[str, str]) -> None:
    """Write names to the right of the lines' ends, moved apart where they would cover each other."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    apart = (high - low) * _LINE
    heights: list[float] = []
    ordered = sorted(ends, key=lambda name: ends[name])
    for name in ordered:
        heights.append(max(ends[name], heights[-1] + apart if heights else low))
    for n in reversed(range(len(heights))):  # back from the top, where they went beyond it
        heights[n] = min(heights[n], heights[n + 1] - apart if n + 1 < len(heights) else high)
    for name, height in zip(ordered, heights, strict=True):
        axes.annotate(
            name,
            (1.0, height),
            (4, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=colours[_dimension(name)],
            annotation_clip=False,
        )


def _alphas(alphas: Alphas) -> Figure:
    drawn, [axes] = canvas(3.4)
    dimensions = list(dict.fromkeys(map(_dimension, alphas.curves)))
    colours = {dimension: _COLOURS[n % len(_COLOURS)] for n, dimension in enumerate(dimensions)}
    largest = sorted(alphas.curves, key=lambda name: -abs(alphas.curves[name][-1]))[:_NAMED]
    lines = largest if len(alphas.curves) > _MOST else list(alphas.curves)
    last = alphas.first_epoch + max(map(len, alphas.curves.values())) - 1
    epochs = range(alphas.first_epoch, last + 1)
    for dimension in dimensions:
        mine = [values for name, values in alphas.curves.items() if _dimension(name) == dimension]
        label = f"{dimension} connections"
        if len(alphas.curves) > _MOST:
            low, high = np.quantile(np.array(mine), (0.05, 0.95), axis=0)
            axes.fill_between(
                epochs, low, high, color=colours[dimension], alpha=0.2, linewidth=0, label=f"90% of {label}"
            )
        else:
            axes.plot([], [], color=colours[dimension], linewidth=2, label=label)
    style: Any = {"linewidth": 1.0, "alpha": 0.7} if len(lines) > _NAMED else {"linewidth": 1.7, "alpha": 0.95}
    for name in lines:
        axes.plot(
            epochs, alphas.curves[name], "-" if len(epochs) > 1 else "o", color=colours[_dimension(name)], **style
        )
    axes.axhline(0, color=MUTED, linewidth=1, zorder=1)
    axes.set_xlim(alphas.first_epoch, max(last, alphas.first_epoch + 1))
    axes.set_xlabel("epoch")
    axes.set_ylabel("α")
    axes.locator_params(axis="x", integer=True)
    legend(drawn, 3)
    _ends(axes, {name: alphas.curves[name][-1] for name in largest}, colours)
    return finished("alphas", ALPHAS, _caption(alphas), drawn, "found")


def _dimension(name: str) -> str:
    """Return the dimension of a connection, e.g. `channel` of `channel 1→3`."""
    return name.partition(" ")[0]


def _caption(alphas: Alphas) -> str:
    said = (
        f"The {alphas.where} training of {alphas.name}, seed {alphas.seed}: the coefficient of each connection"
        " after each epoch. Under the functions direct and weighted, a connection whose α is 0 brings nothing; learned"
        " has a weight in its place. Sizes compare within one function."
    )
    if any(" →" in name for name in alphas.curves):
        said += " There are many connections, so receivers are shown, each the mean over its connections."
    if len(alphas.curves) > _NAMED:
        said += f" Of {len(alphas.curves)} the {_NAMED} that end farthest from 0 are named."
    if alphas.first_epoch > 1:
        said += f" An older version trained the epochs before {alphas.first_epoch}, without recording α."
    return said
