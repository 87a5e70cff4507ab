"""Accuracy against parameters and against multiply-adds, as in the paper's Figure 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dcasearch.analysis.findings import Findings
from dcasearch.analysis.networks import CHOSEN, TrainedNetwork, TrainedNetworks
from dcasearch.analysis.standing import Standing
from dcasearch.metrics import METRICS
from dcasearch.report.figures.canvas import MANY, Figure, canvas, dots, finished, in_units, legend, settle, title_of
from dcasearch.report.figures.labels import Label, Labels
from dcasearch.report.figures.theme import BLUE, GREY, INK, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COSTS = ("params", "macs")


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


def _points(axes: Axes, networks: Sequence[TrainedNetwork], cost: str, *, listed: bool) -> None:
    for form, colour, marker, label in (
        ("other", GREY, "o", "a network" if listed else "a trial"),
        ("baseline", ORANGE, "s", "a baseline"),
        ("chosen", BLUE, "D", "the chosen network"),
    ):
        some = [network for network in networks if _form(network, listed=listed) == form]
        if some:
            size = {} if form == "other" and len(some) > MANY else {"markersize": 6.0, "alpha": 0.95}
            dots(axes, *_at(some, cost), colour, label, marker=marker, zorder=2 + len(size), **size)


def _form(network: TrainedNetwork, *, listed: bool) -> str:
    if network.chosen and not listed:
        return CHOSEN
    return "baseline" if network.baseline is not None and not listed else "other"


def _at(networks: Sequence[TrainedNetwork], cost: str) -> tuple[list[float], list[float]]:
    return [float(network.costs[cost]) for network in networks], [network.mean for network in networks]


def _names(axes: Axes, networks: Sequence[TrainedNetwork], cost: str, *, listed: bool) -> None:
    """Write who the chosen network and the baselines are, and of a list all that find a place."""
    named = [n for n in networks if _form(n, listed=listed) != "other" or (listed and len(networks) <= MANY)]
    named.sort(key=lambda network: (not network.chosen, -network.mean))
    colours = {CHOSEN: BLUE, "baseline": ORANGE, "other": INK}
    labels = [Label(n.name, float(n.costs[cost]), n.mean, colours[_form(n, listed=listed)]) for n in named]
    points = named if len(networks) > MANY else networks
    Labels(axes, zip(*_at(points, cost), strict=True), clear=4.0, veiled=True).place(labels)
