"""Accuracy against parameters and against multiply-adds, as in the paper's Figure 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from dcasearch.analysis.findings import Findings
from dcasearch.analysis.networks import TrainedNetwork, TrainedNetworks
from dcasearch.analysis.standing import Standing
from dcasearch.metrics import METRICS
from dcasearch.report.figures.canvas import (
    MANY,
    Figure,
    canvas,
    dots,
    finished,
    in_units,
    legend,
    settle,
    short,
    title_of,
)
from dcasearch.report.figures.labels import Label, Labels
from dcasearch.report.figures.theme import BLUE, GREY, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COSTS = ("params", "macs")
_LONG = 22
"""Characters of a name beside a point."""


def figures(standing: Standing, findings: Findings) -> Iterator[Figure]:
    """Yield one figure a cost, with a panel for each fidelity that trained two networks of known cost."""
    for cost in COSTS:
        panels = [(at, known) for at in findings.networks if len(known := _known(at, cost)) >= 2]
        if panels:
            yield _figure(cost, panels, listed=standing.table is not None)


def _known(at: TrainedNetworks, cost: str) -> list[TrainedNetwork]:
    return [network for network in at.networks if cost in network.costs]


def _figure(cost: str, panels: Sequence[tuple[TrainedNetworks, list[TrainedNetwork]]], *, listed: bool) -> Figure:
    drawn, every = canvas(3.3, len(panels))
    for axes, (at, networks) in zip(every, panels, strict=True):
        _points(axes, networks, cost, listed=listed)
        in_units(axes.xaxis, cost)
        in_units(axes.yaxis, at.metric.name)
        axes.margins(0.1)
        axes.locator_params(axis="x", nbins=5)
        title_of(axes, f"{at.fidelity}, {len(networks)} networks")
    legend(drawn, 3)
    settle(drawn)
    for axes, (_, networks) in zip(every, panels, strict=True):
        _names(axes, networks, cost, listed=listed)
    label = METRICS[cost].label
    text = (
        f"Each dot is a network: its mean over seeds, and its {label} at the last fidelity's image size. Up and to the"
        " left is better. Differences of single seeds may be noise; the tables say which count."
    )
    return finished(f"accuracy_{cost}", f"Accuracy against {label}", text, drawn, "found")


_FORMS: Mapping[str, tuple[str, str, str]] = {
    "trial": (GREY, "o", "a trial"),
    "baseline": (ORANGE, "s", "a baseline"),
    "chosen": (BLUE, "D", "the chosen network"),
    "apart": (ORANGE, "s", "without connections"),
    "connected": (BLUE, "o", "with connections"),
}
"""Colour, marker and words; the last two are of lists, where nobody is chosen."""


def _points(axes: Axes, networks: Sequence[TrainedNetwork], cost: str, *, listed: bool) -> None:
    for form, (colour, marker, label) in _FORMS.items():
        some = [network for network in networks if _form(network, listed=listed) == form]
        if some:
            size = {} if form == "trial" and len(some) > MANY else {"markersize": 6.0, "alpha": 0.95}
            dots(axes, *_at(some, cost), colour, label, marker=marker, zorder=2 + len(size), **size)


def _form(network: TrainedNetwork, *, listed: bool) -> str:
    if listed:
        return "connected" if network.network.edges else "apart"
    if network.chosen:
        return "chosen"
    return "trial" if network.baseline is None else "baseline"


def _at(networks: Sequence[TrainedNetwork], cost: str) -> tuple[list[float], list[float]]:
    return [float(network.costs[cost]) for network in networks], [network.mean for network in networks]


def _names(axes: Axes, networks: Sequence[TrainedNetwork], cost: str, *, listed: bool) -> None:
    """Write who the chosen network and the baselines are, and of a list all that find a place."""
    forms = [(network, _form(network, listed=listed)) for network in networks]
    told = [pair for pair in forms if pair[1] != "trial" and (not listed or len(networks) <= MANY)]
    told.sort(key=lambda pair: (not pair[0].chosen, -pair[0].mean))
    named = [network for network, _ in told]
    labels = [Label(short(n.name, _LONG), float(n.costs[cost]), n.mean, _FORMS[form][0]) for n, form in told]
    points = named if len(networks) > MANY else networks
    Labels(axes, zip(*_at(points, cost), strict=True), clear=4.0, veiled=True).place(labels)
