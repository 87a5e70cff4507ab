"""The graphs on a study's page, as JSON for plotly.js, which optuna-dashboard brings; plotly's Python is not needed.

The numbers are those of the report's figures (`dcasearch.analysis.findings`).
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeAlias

from dcasearch.analysis.connecting import Connecting, ConnectingAt
from dcasearch.analysis.findings import Findings
from dcasearch.analysis.fronts import Front, FrontPoint
from dcasearch.analysis.importance import AxisImportance, Importance
from dcasearch.analysis.networks import TrainedNetwork, TrainedNetworks
from dcasearch.metrics import METRICS

Graph: TypeAlias = Mapping[str, str]
"""With an `id` and a `graph_object`, as optuna-dashboard's page wants it."""
Named: TypeAlias = Callable[[str], str]
"""From the id of a network to what is shown of it under the pointer."""

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#8a8f98"
"""Colours that colour-blind eyes tell apart (Okabe and Ito, 2008)."""
INK, LINES = "#1f2937", "#e5e7eb"
_WIDTH = 74
"""Characters in a line of a caption."""
_MOST = 20
"""Axes in one graph."""


def graphs_of(findings: Findings, fidelity: str, named: Named) -> Iterator[Graph]:
    """Yield the graphs of one fidelity that there are numbers for.

    Args:
        findings: What the study found.
        fidelity: Its name.
        named: From the id of a network to what is shown of it under the pointer.
    """
    for front in findings.fronts:
        if front.fidelity == fidelity:
            yield _pareto(front, named)
    for trained in findings.networks:
        if trained.fidelity == fidelity:
            yield from _accuracy(trained, named)
    if findings.importance.fidelity == fidelity and not findings.importance.why_not:
        yield _importance(findings.importance)
    for at in findings.connecting:
        if at.fidelity == fidelity:
            yield _connecting(at)


def _pareto(front: Front, named: Named) -> Graph:
    (y, _), (x, _), *_ = front.objectives.items()
    best = front.front
    caption = f"Values are {f'means of {front.seeds} seeds' if front.seeds > 1 else 'of one seed each'}."
    if front.margins is None:
        caption += " No noise is known, so who is on the front may be there by noise."
    else:
        caption += " Networks in the band are not told apart from the front: they may belong to it."
        if not front.seeds_known:
            caption += " The band is by images alone: no network has two seeds."
    traces = _band(front)
    groups = (
        ("other networks", [p for p in front.points if not p.on_front and not p.in_band], GREY),
        ("in the noise band", [p for p in front.points if p.in_band], BLUE),
    )
    for name, points, colour in groups:
        if points:
            traces.append(_points(points, named, name, marker={"size": 7, "color": colour}))
    marker = {"size": 10, "color": GREEN, "symbol": "diamond"}
    traces.append(_points(best, named, "Pareto front", marker=marker))
    return _graph("pareto-front", f"Pareto front of {front.fidelity}", caption, traces, _axis(x), _axis(y))


def _band(front: Front) -> list[dict[str, Any]]:
    """Return the front as a line of steps, and the band of those that are not told apart from it.

    At each value of the second objective the line is at the best first objective that is to be had for it, and the
    band ends at the worst one that is not told apart from a network of the front that costs no more.
    """
    (_, towards), (_, way), *_ = front.objectives.items()
    worse: Callable[[float, float], float] = min if towards == "maximize" else max
    sign = 1.0 if towards == "maximize" else -1.0
    order = 1 if way == "minimize" else -1  # from the network that asks least of the second objective
    best = front.front[::order]
    xs, ys = [point.values[1] for point in best], [point.values[0] for point in best]
    ends = [y - sign * margin for y, margin in zip(ys, (front.margins or [0.0] * len(ys))[::order], strict=True)]
    ends = list(accumulate(ends, worse))
    last = (max if way == "minimize" else min)(point.values[1] for point in front.points)
    xs, ys, ends = [*xs, last], [*ys, ys[-1]], [*ends, ends[-1]]
    line: dict[str, Any] = {"shape": "hv", "color": GREEN, "width": 1.5}
    still = {"mode": "lines", "hoverinfo": "skip"}
    steps = {**_xy(xs, ys, "front"), **still, "line": line, "showlegend": False}
    if front.margins is None:
        return [steps]
    fill = {"fill": "tonexty", "fillcolor": "rgba(0, 158, 115, 0.15)", "line": {**line, "width": 0}}
    return [steps, {**_xy(xs, ends, "noise band"), **still, **fill}]


def _points(points: Sequence[FrontPoint], named: Named, name: str, **look: Any) -> dict[str, Any]:
    x, y = [p.values[1] for p in points], [p.values[0] for p in points]
    shown = {"mode": "markers", "text": [named(p.architecture_id) for p in points]}
    return {**_xy(x, y, name), **shown, **_HOVER, **look}


def _accuracy(trained: TrainedNetworks, named: Named) -> Iterator[Graph]:
    known = [network for network in trained.networks if "params" in network.costs]
    if len(known) < 2:
        return
    groups = (
        ("trials", [n for n in known if not n.chosen and n.baseline is None], GREY, "circle"),
        ("baselines", [n for n in known if not n.chosen and n.baseline is not None], ORANGE, "square"),
        ("chosen", [n for n in known if n.chosen], GREEN, "diamond"),
    )
    traces = [_networks(group, named, name, colour, symbol) for name, group, colour, symbol in groups if group]
    metric = trained.metric
    caption = f"Every network that was trained to the end at fidelity {trained.fidelity}, mean over its seeds."
    x = _axis("params")
    yield _graph("accuracy", f"{_upper(metric.label)} against parameters", caption, traces, x, _axis(metric.name))


def _networks(networks: Sequence[TrainedNetwork], named: Named, name: str, colour: str, symbol: str) -> dict[str, Any]:
    trace = {
        **_xy([n.costs["params"] for n in networks], [n.mean for n in networks], name),
        **_HOVER,
        "mode": "markers",
        "marker": {"size": 7 if name == "trials" else 10, "color": colour, "symbol": symbol},
        "text": [f"{n.name}: {named(n.architecture_id)}" for n in networks],
    }
    if name == "baselines":
        labels = {"mode": "markers+text", "hovertext": trace["text"], "text": [n.name for n in networks]}
        return {**trace, **labels, "hoverinfo": "text", "hovertemplate": None, "textposition": "top center"}
    return trace


def _importance(importance: Importance) -> Graph:
    title = "Importance by stage and dimension" if importance.places else "Importance of the axes"
    id = "importance"
    places = sorted(importance.places, key=lambda place: (place.what, place.stage))
    rows: list[AxisImportance] = list(reversed((places or importance.axes)[:_MOST]))
    names = [row.name for row in rows]
    chance = {
        "x": [row.chance.mean for row in rows],
        "y": names,
        "name": "axes without meaning",
        "mode": "markers",
        "marker": {"color": INK, "symbol": "line-ns-open", "size": 9},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [row.chance.high - row.chance.mean for row in rows],
            "arrayminus": [row.chance.mean - row.chance.low for row in rows],
            "color": INK,
            "thickness": 1.2,
        },
        "hoverinfo": "skip",
    }
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [row.share for row in rows],
        "y": names,
        "marker": {"color": [BLUE if row.above_chance else GREY for row in rows]},
        "name": "importance",
        "showlegend": False,
        "hovertemplate": "%{y}: %{x:.0%}<extra></extra>",
    }
    caption = (
        f"Share of what decides whether a trial is among the best {importance.best} of {importance.trials} "
        f"(PED-ANOVA, {METRICS[importance.metric].label}). Blue: more than 95% of axes without meaning get."
    )
    return _graph(id, title, caption, [bars, chance], {"title": {"text": "share"}, "tickformat": ".0%"}, _ROWS)


def _connecting(at: ConnectingAt) -> Graph:
    places = sorted(at.places, key=lambda place: (place.dimension, place.stage), reverse=True)
    bases: tuple[tuple[str, str], ...] = (("paired", BLUE), ("observational", ORANGE))
    traces = []
    for basis, colour in bases:
        mine = [p for p in places if p.basis == basis]
        groups = ([p for p in mine if p.margin is not None], [p for p in mine if p.margin is None])
        traces += [_differences(group, basis, colour) for group in groups if group]
    metric = METRICS[at.metric]
    caption = "Networks that connect a stage minus those that do not, with 95% intervals."
    if any(p.basis == "paired" for p in places):
        caption += " Paired: twins that differ in nothing else."
    if any(p.basis == "observational" for p in places):
        caption += " Observational: they differ in much else, so this is no proof."
    x = {
        "title": {"text": f"difference in {metric.label}, {metric.unit_of_differences}".rstrip(", ")},
        "zeroline": True,
    }
    order = {**_ROWS, "categoryorder": "array", "categoryarray": [_place(p) for p in places]}
    return _graph("connecting", f"What connecting is worth at {at.fidelity}", caption, traces, x, order)


def _differences(places: Sequence[Connecting], basis: str, colour: str) -> dict[str, Any]:
    """Return differences of one basis: all with intervals, or all of too few networks for one."""
    trace = {
        **_xy([p.value for p in places], [_place(p) for p in places], basis),
        "mode": "markers",
        "marker": {"color": colour, "size": 8, "symbol": "circle" if basis == "paired" else "circle-open"},
        "text": [f"{p.connected} with, {p.unconnected} without" for p in places],
        "hovertemplate": "%{y}: %{x:+.2f} (%{text})<extra></extra>",
    }
    if any(p.margin is None for p in places):
        return {
            **trace,
            "name": f"{basis}, too few for an interval",
            "marker": {"color": colour, "symbol": "x-thin-open"},
        }
    margins = [p.margin for p in places]
    return {**trace, "error_x": {"type": "data", "array": margins, "color": colour, "thickness": 1.4}}


def _place(place: Connecting) -> str:
    return f"{place.dimension}, stage {place.stage}"


_ROWS: Mapping[str, Any] = {"automargin": True, "type": "category"}
_HOVER: Mapping[str, Any] = {"hovertemplate": "%{text}<br>%{y:.2f}, %{x:,.0f}<extra></extra>"}


def _xy(x: Sequence[Any], y: Sequence[Any], name: str) -> dict[str, Any]:
    return {"type": "scatter", "x": list(x), "y": list(y), "name": name}


def _axis(metric: str) -> dict[str, Any]:
    known = METRICS[metric]
    return {"title": {"text": known.axis}, "automargin": True, "exponentformat": "SI"}


def _graph(
    id: str, title: str, caption: str, traces: Sequence[Mapping[str, Any]], x: Mapping[str, Any], y: Mapping[str, Any]
) -> Graph:
    lines = textwrap.wrap(caption, _WIDTH)
    text = f"<b>{title}</b>" + "".join(f'<br><span style="font-size:12px">{line}</span>' for line in lines)
    grid = {"gridcolor": LINES, "zerolinecolor": GREY, "zeroline": False}
    layout = {
        "title": {
            "text": text,
            "font": {"size": 15},
            **{"x": 0.02, "xref": "container", "xanchor": "left"},
            **{"y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 12}},
        },
        "font": {"family": "Roboto, Helvetica, Arial, sans-serif", "color": INK, "size": 12},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "margin": {"l": 60, "r": 40, "t": 44 + 17 * len(lines), "b": 84},
        "legend": {"orientation": "h", "x": 0, "xref": "container", "y": 0, "yref": "container", "yanchor": "bottom"},
        "modebar": {"orientation": "v", "bgcolor": "rgba(0, 0, 0, 0)"},
        "xaxis": {**grid, **x},
        "yaxis": {**grid, **y},
    }
    return {"id": id, "graph_object": json.dumps({"data": traces, "layout": layout})}


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]
