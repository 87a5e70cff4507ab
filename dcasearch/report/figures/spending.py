"""What a study cost: time by fidelity and purpose, and how long single trainings took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dcasearch.analysis.findings import Findings
from dcasearch.analysis.spending import PURPOSES, Purpose, Spending
from dcasearch.analysis.standing import Standing
from dcasearch.report.figures.canvas import Figure, canvas, dots, finished, legend
from dcasearch.report.figures.theme import BLUE, GREEN, GREY, MUTED, ORANGE, PURPLE, SKY, YELLOW

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS: Mapping[Purpose, str] = {
    "complete trials": GREEN,
    "pruned trials": YELLOW,
    "baselines": BLUE,
    "final trainings": PURPLE,
    "parents": SKY,
}
_LOST = "lost to failures, estimated"
_UNITS = ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def figures(standing: Standing, findings: Findings) -> Iterator[Figure]:
    """Yield both figures of a study whose trainings took time."""
    spending = findings.spending
    if spending.seconds <= 0:
        return
    names = [fidelity.name for fidelity in standing.fidelities]
    yield _time(spending, [name for name in names if any(spending.of(name, purpose) for purpose in PURPOSES)])
    yield _each(spending, names)


def unit_of(seconds: float) -> tuple[float, str]:
    """Return in which unit a time is shown, and how many seconds it has."""
    return next((size, name) for size, name in _UNITS if seconds >= 2 * size or size == 1)


def in_words(seconds: float) -> str:
    """Return a time for a sentence, e.g. `3.4 hours`."""
    size, name = unit_of(seconds)
    return f"{seconds / size:.3g} {name}"


def _time(spending: Spending, names: Sequence[str]) -> Figure:
    size, unit = unit_of(max(sum(spending.of(name, purpose) for purpose in PURPOSES) for name in names))
    drawn, [axes] = canvas(1.1 + 0.42 * len(names))
    left = np.zeros(len(names))
    for purpose in PURPOSES:
        widths = np.array([spending.of(name, purpose) / size for name in names])
        if widths.any():
            axes.barh(names, widths, left=left, color=_COLOURS[purpose], label=purpose, height=0.6)
            left += widths
    lost = {one.fidelity: one.seconds or 0.0 for one in spending.lost}
    widths = np.array([lost.get(name, 0.0) / size for name in names])
    if widths.any():
        bars = axes.barh(names, widths, left=left, color="none", edgecolor=ORANGE, label=_LOST, height=0.6)
        for bar in bars:
            bar.set_hatch("////")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"{unit} of one worker")
    legend(drawn, 2)
    return finished("time", "Where the time went", _caption(spending), drawn, "cost")


def _caption(spending: Spending) -> str:
    said = [f"{in_words(spending.seconds)} of one worker in all, {in_words(spending.pruned)} of it for pruned trials."]
    if not spending.pruned:
        said = [f"{in_words(spending.seconds)} of one worker in all; no trial was pruned."]
    if spending.reused:
        said.append(f"{in_words(spending.reused)} were saved, since trainings went on from a smaller budget.")
    failed, epochs = (sum(getattr(one, what) for one in spending.lost) for what in ("trials", "epochs"))
    known = [one.seconds for one in spending.lost if one.seconds]
    if not failed:
        said.append("No trial failed.")
    elif not epochs:
        said.append(f"{failed} trial{'s' * (failed > 1)} failed before the first epoch ended; that time is not known.")
    elif known:
        said.append(
            f"{failed} failed trial{'s' * (failed > 1)} lost about {in_words(sum(known))}, by the epochs they reported."
        )
    return " ".join(said)


def _each(spending: Spending, names: Sequence[str]) -> Figure:
    groups = {
        (name, purpose): times
        for name in names
        for purpose in PURPOSES
        if (times := [t.seconds for t in spending.trainings if (t.fidelity, t.purpose) == (name, purpose)])
    }
    size, unit = unit_of(max(map(max, groups.values())))
    drawn, [axes] = canvas(0.9 + 0.3 * len(groups))
    for row, ((_, purpose), times) in enumerate(groups.items()):
        _box(axes, row, np.array(times) / size, _COLOURS[purpose])
    axes.set_yticks(
        range(len(groups)), [f"{name}: {purpose} ({len(times)})" for (name, purpose), times in groups.items()]
    )
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"{unit} a training")
    text = (
        "How long single trainings took, on the worker that ran them. A bar holds the middle half, a line the middle"
        " 90%, a dark stroke is the median; up to 40 trainings are dots."
    )
    return finished("time_each", "Time of a training", text, drawn, "cost")


def _box(axes: Axes, row: int, times: np.ndarray, colour: str) -> None:
    low, quarter, middle, three, high = np.quantile(times, (0.05, 0.25, 0.5, 0.75, 0.95))
    axes.plot([low, high], [row] * 2, color=GREY, linewidth=1.4, zorder=2)
    axes.barh(row, three - quarter, left=quarter, height=0.5, color=colour, alpha=0.45, zorder=2)
    axes.plot([middle] * 2, [row - 0.3, row + 0.3], color=MUTED, linewidth=2.2, zorder=4)
    if len(times) <= 40:
        dots(axes, times, [row] * len(times), colour, markersize=4, zorder=3)
