"""What connecting a stage in a dimension is worth."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dcasearch.analysis.connecting import Basis, Connecting, ConnectingAt
from dcasearch.analysis.findings import Findings
from dcasearch.analysis.standing import Standing
from dcasearch.metrics import METRICS
from dcasearch.report.figures.canvas import Figure, canvas, finished, legend
from dcasearch.report.figures.theme import BLUE, GREY, MUTED, PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABELS: dict[Basis, str] = {"paired": "paired: twins that differ in this alone", "observational": "observational"}


def figures(standing: Standing, findings: Findings) -> Iterator[Figure]:
    """Yield the fidelity that compares the most networks."""
    if findings.connecting:
        yield _figure(max(findings.connecting, key=lambda at: sum(p.connected + p.unconnected for p in at.places)))


def _figure(at: ConnectingAt) -> Figure:
    drawn, [axes] = canvas(1.2 + 0.25 * len(at.places))
    reach = _reach(at.places)
    axes.axvline(0, color=MUTED, linewidth=1.2, zorder=1)
    for basis, label in _LABELS.items():
        some = [(n, place) for n, place in enumerate(at.places) if place.basis == basis]
        for n, place in some:
            _interval(axes, n, place, reach)
        if some:
            fill = BLUE if basis == "paired" else PAPER
            values = [max(-reach, min(reach, place.value)) for _, place in some]
            rows = [n for n, _ in some]
            axes.plot(values, rows, "o", color=BLUE, markerfacecolor=fill, markersize=6, label=label, zorder=4)
    axes.set_yticks(range(len(at.places)), [_name(place) for place in at.places])
    axes.set_ylim(len(at.places) - 0.5, -0.5)
    axes.set_xlim(-1.06 * reach, 1.06 * reach)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    metric = METRICS[at.metric]
    axes.set_xlabel(f"connected minus not, {metric.label} ({metric.unit_of_differences})".replace(" ()", ""))
    legend(drawn, 2)
    return finished("connecting", "What connecting a stage is worth", _caption(at), drawn, "found")


def _caption(at: ConnectingAt) -> str:
    return (
        f"Fidelity {at.fidelity}: networks whose blocks of a stage receive in a dimension, minus networks in which they"
        " do not. Lines are 95% intervals, each for itself; an arrow says that one goes on; no line: too few to say."
        " Filled dots compare twins, equal but for this. Hollow dots are observational, where fewer than three pairs"
        " were trained: these networks differ in other ways too, and pruned ones are missing, so a difference need not"
        " come from the connection."
    )


def _name(place: Connecting) -> str:
    count = (
        f"{place.pairs} pair{'s' * (place.pairs > 1)}"
        if place.basis == "paired"
        else (f"{place.connected} against {place.unconnected}")
    )
    return f"{place.dimension}, stage {place.stage} ({count})"


def _reach(places: Sequence[Connecting]) -> float:
    """Return how far the axis goes to both sides: to every value, and to the ends of most intervals."""
    ends = [abs(place.value) + place.margin for place in places if place.margin is not None]
    values = max(abs(place.value) for place in places)
    return 1.05 * max(values, statistics.median(ends) if ends else 0.0) or 1.0


def _interval(axes: Axes, row: int, place: Connecting, reach: float) -> None:
    if place.margin is None:
        return
    low, high = place.value - place.margin, place.value + place.margin
    colour = BLUE if place.clear else GREY
    axes.plot([max(low, -reach), min(high, reach)], [row] * 2, color=colour, linewidth=2.2, zorder=2)
    for beyond, marker, edge in ((low < -reach, "<", -reach), (high > reach, ">", reach)):
        if beyond:
            axes.plot([edge], [row], marker, color=colour, markersize=6, zorder=3)
