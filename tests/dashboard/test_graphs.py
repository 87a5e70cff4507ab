from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from dcasearch.analysis.connecting import Connecting, ConnectingAt
from dcasearch.analysis.findings import Findings, findings_of
from dcasearch.analysis.fronts import Front, FrontPoint
from dcasearch.analysis.importance import Chance, Importance, PlaceImportance
from dcasearch.analysis.standing import standing_of
from dcasearch.dashboard.graphs import BLUE, GREY, graphs_of
from dcasearch.metrics import Direction
from dcasearch.store import Store


def at(x: float, y: float, *, on_front: bool = False, in_band: bool = False) -> FrontPoint:
    return FrontPoint(architecture_id=f"{x:g}/{y:g}", values=(y, x), on_front=on_front, in_band=in_band)


def front(way: Direction, *points: FrontPoint, margins: tuple[float, ...] | None) -> Front:
    return Front(
        fidelity="proxy",
        objectives={"top1": "maximize", "macs": way},
        seeds=3,
        points=points,
        margins=margins,
        seeds_known=margins is not None,
    )


def findings(store: Store, **changes: Any) -> Findings:
    return replace(findings_of(store, standing_of(store, "tiny")), **changes)


def drawn(found: Findings, fidelity: str = "proxy") -> dict[str, Any]:
    graphs = list(graphs_of(found, fidelity, lambda id: f"network {id}"))
    assert len({graph["id"] for graph in graphs}) == len(graphs)
    return {graph["id"]: json.loads(graph["graph_object"]) for graph in graphs}


def traces(graph: dict[str, Any]) -> dict[str, Any]:
    return {trace["name"]: trace for trace in graph["data"]}


def test_the_front_has_a_band_that_holds_what_is_not_told_apart_from_it(ended: Store) -> None:
    points = (at(10, 80, on_front=True), at(20, 90, on_front=True), at(30, 86, in_band=True), at(40, 50))
    graph = drawn(findings(ended, fronts=(front("minimize", *points, margins=(6.0, 20.0)),)))["pareto-front"]
    shown = traces(graph)
    assert (shown["Pareto front"]["x"], shown["Pareto front"]["y"]) == ([10, 20], [80, 90])
    assert shown["Pareto front"]["text"] == ["network 10/80", "network 20/90"]
    assert shown["in the noise band"]["x"] == [30]
    assert shown["other networks"]["x"] == [40]
    assert (shown["front"]["x"], shown["front"]["y"]) == ([10, 20, 40], [80, 90, 90])
    assert shown["noise band"]["y"] == [74, 70, 70]
    assert graph["layout"]["xaxis"]["title"]["text"] == "multiply-adds"
    assert graph["layout"]["yaxis"]["title"]["text"] == "top-1 (%)"
    assert "means of 3 seeds" in graph["layout"]["title"]["text"]


def test_the_band_ends_at_the_worst_of_all_that_cost_no_more(ended: Store) -> None:
    points = (at(10, 80, on_front=True), at(20, 90, on_front=True), at(40, 50))
    graph = drawn(findings(ended, fronts=(front("minimize", *points, margins=(6.0, 2.0)),)))["pareto-front"]
    assert traces(graph)["noise band"]["y"] == [74, 74, 74]


def test_the_front_of_two_objectives_that_are_maximized_goes_the_other_way(ended: Store) -> None:
    points = (at(10, 90, on_front=True), at(20, 80, on_front=True), at(5, 50))
    graph = drawn(findings(ended, fronts=(front("maximize", *points, margins=(5.0, 2.0)),)))["pareto-front"]
    shown = traces(graph)
    assert (shown["front"]["x"], shown["front"]["y"]) == ([20, 10, 5], [80, 90, 90])
    assert shown["noise band"]["y"] == [78, 78, 78]


def test_without_known_noise_there_is_no_band_and_the_caption_says_so(ended: Store) -> None:
    points = (at(10, 80, on_front=True), at(20, 70))
    graph = drawn(findings(ended, fronts=(front("minimize", *points, margins=None),)))["pareto-front"]
    assert "noise band" not in traces(graph)
    assert "No noise is known" in graph["layout"]["title"]["text"]


def test_accuracy_against_parameters_names_the_baselines_and_the_chosen_network(ended: Store) -> None:
    found = findings(ended)
    [trained] = [networks for networks in found.networks if networks.fidelity == "proxy"]
    shown = traces(drawn(found)["accuracy"])
    assert sum(len(trace["x"]) for trace in shown.values()) == len(trained.networks)
    assert "plain" in shown["baselines"]["text"]
    [chosen] = shown["chosen"]["text"]
    assert chosen.startswith("chosen: network ")


def importance(**changes: Any) -> Importance:
    places = (
        PlaceImportance(name="channel, stage 2", share=0.6, chance=Chance(0.1, 0.0, 0.3), what="channel", stage=2),
        PlaceImportance(name="channel, stage 1", share=0.1, chance=Chance(0.1, 0.0, 0.3), what="channel", stage=1),
    )
    known: dict[str, Any] = {"fidelity": "proxy", "metric": "top1", "trials": 100, "best": 10, "places": places}
    return Importance(**{**known, **changes})


def test_importance_stands_by_dimension_and_stage_and_only_what_is_above_chance_is_coloured(ended: Store) -> None:
    graph = drawn(findings(ended, importance=importance()))["importance"]
    bars = traces(graph)["importance"]
    assert bars["y"] == ["channel, stage 2", "channel, stage 1"]  # plotly draws the first one at the bottom
    assert bars["marker"]["color"] == [BLUE, GREY]
    assert traces(graph)["axes without meaning"]["error_x"]["array"] == [0.3 - 0.1] * 2


def test_importance_that_is_not_told_or_of_another_fidelity_has_no_graph(ended: Store) -> None:
    assert "importance" not in drawn(findings(ended, importance=importance(why_not="Too few trials.")))
    assert "importance" not in drawn(findings(ended, importance=importance()), "full")


def test_what_connecting_is_worth_has_intervals_where_there_are_enough_networks(ended: Store) -> None:
    known = Connecting(
        dimension="channel", stage=1, basis="paired", pairs=3, connected=3, unconnected=3, value=1.0, margin=0.5
    )
    few = replace(known, stage=2, basis="observational", margin=None)
    graph = drawn(findings(ended, connecting=(ConnectingAt("proxy", "top1", (known, few)),)))["connecting"]
    shown = traces(graph)
    assert shown["paired"]["error_x"]["array"] == [0.5]
    assert "error_x" not in shown["observational, too few for an interval"]
    assert graph["layout"]["yaxis"]["categoryarray"] == ["channel, stage 2", "channel, stage 1"]
    assert "no proof" in graph["layout"]["title"]["text"]


def test_lines_of_captions_are_short_enough_for_half_a_page(ended: Store) -> None:
    for graph in drawn(findings(ended, importance=importance())).values():
        title, *caption = graph["layout"]["title"]["text"].split("<br>")
        assert title.startswith("<b>")
        assert all(len(line) <= len('<span style="font-size:12px"></span>') + 74 for line in caption)
