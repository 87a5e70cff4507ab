"""A space reads the kinds' declarations when it is read: names, options, dimensions and places."""

from __future__ import annotations

import random
from typing import Any

import jsonschema
import pytest

from dcasearch.architecture import KINDS, Kind, State
from dcasearch.space import count_distinct, parents_of, read_space, size, space_schema
from tests.kinds import enter
from tests.space.test_reading import RESNET, attentive, mistakes


def of(connections: Any = None, **attention: Any) -> dict[str, Any]:
    written = {"backbone": RESNET, "attention": attention}
    return written | ({} if connections is None else {"connections": connections})


def test_a_kind_registered_later_is_in_the_grammar_and_in_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    written = of({"dimensions": {"row": [True, False]}}, name="tall", strength=[0.5, 2.0], pool="max")
    assert mistakes(written)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(written, space_schema())
    enter(monkeypatch, "tall")
    jsonschema.validate(written, space_schema())
    space = read_space(written)
    assert space.parameters().keys() == {"attention.strength", "connections.row"}
    assert size(space) == count_distinct(space).value == 4
    point = space.random(random.Random(0)).architecture.network
    assert {edge.dimension for edge in point.edges} <= {"row"}


def test_a_schema_holds_the_bounds_of_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "tall")
    for option in ({"strength": -1}, {"pool": "median"}, {"steps": 4}, {"sharp": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(of(name="tall", **option), space_schema())


WRONG: dict[str, tuple[dict[str, Any], tuple[str | int, ...], str]] = {
    "word": (of(name="tall", pool=["mean", "medain"]), ("attention", "pool", 1), "'medain' is not a value of pool"),
    "number": (of(name="tall", strength=-1), ("attention", "strength"), "got -1, expected a number from 0"),
    "integer": (of(name="tall", steps=4), ("attention", "steps"), "got 4, expected a positive integer to 3"),
    "not searched": (of(name="tall", steps=[1, 2]), ("attention", "steps", 1), "steps is not searched; give one value"),
    "twice after stages": (
        {**of(name=["se", "after"]), "stage_attention": {"name": ["none", "between"]}},
        ("attention", "name", 1),
        "after stands after a stage; write it under stage_attention",
    ),
    "a kind of blocks after stages": (
        {**of(name="se"), "stage_attention": {"name": ["none", "se"]}},
        ("stage_attention", "name", 1),
        "'se' is not an attention block that stands after a stage",
    ),
    "stages block by block": (
        {**of(name="se"), "stage_attention": {"name": "after", "granularity": "block"}},
        ("stage_attention", "granularity"),
        "'block' is not a granularity",
    ),
    "an option after stages": (
        {**of(name="se"), "stage_attention": {"name": "after", "pool": "max"}},
        ("stage_attention", "pool"),
        "'pool' is not a key of stage_attention",
    ),
    "ends in blocks and after stages": (
        {**of({}, name="tall"), "stage_attention": {"name": "below"}},
        ("connections", "dimensions", "row"),
        "tall and below cannot be connected in the row dimension",
    ),
    "custom edges with and without attention after stages": (
        {
            **of({"topology": "custom", "edges": {"channel": [[1, 2]]}}, name="se"),
            "stage_attention": {"name": ["none", "after"]},
        },
        ("connections", "edges"),
        "custom edges need the same dimensions in every block",
    ),
    "custom edges beyond the last": (
        {
            **of({"topology": "custom", "edges": {"channel": [[1, 11], [1, 12]]}}, name="se"),
            "stage_attention": {"name": "between"},
        },
        ("connections", "edges", "channel", 1),
        "[1, 12] is not 1 <= j < k <= 11",
    ),
    "not the kind's": (attentive(name="se", pool="max"), ("attention", "pool"), "se has no pool"),
    "place": (
        of(name=["none", "after"], granularity="block"),
        ("attention", "name", 1),
        "after stands after a stage; attention.granularity must be network or stage",
    ),
    "ends": (
        of({}, name=["tall", "flat"], granularity="stage"),
        ("connections", "dimensions", "row"),
        "tall and flat cannot be connected in the row dimension: the sender gives H, the receiver takes W",
    ),
    "custom edges": (
        of({"topology": "custom", "edges": {"channel": [[1, 2]]}}, name=["after", "se"], granularity="stage"),
        ("connections", "edges"),
        "custom edges need the same dimensions in every block",
    ),
}


@pytest.mark.parametrize(("written", "path", "message"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_told_at_its_place(
    written: dict[str, Any], path: tuple[str | int, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, "tall", "flat", "after", "between", "below")
    [(at, said)] = mistakes(written)
    assert at == path
    assert message in said


def test_ends_that_cannot_match_are_no_mistake_where_they_are_never_in_one_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enter(monkeypatch, "tall", "flat")
    assert size(read_space(of({}, name=["tall", "flat"]))) == 2
    assert not mistakes(of({"dimensions": {"row": False}}, name=["tall", "flat"], granularity="stage"))


@pytest.mark.parametrize("grain", ["network", "stage", "block"])
@pytest.mark.parametrize("granularity", ["network", "stage"])
def test_a_space_with_kinds_after_stages_has_as_many_points_as_it_says(
    granularity: str, grain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, "after", "between")
    connections = {"granularity": grain, "dimensions": {"channel": [True, False]}}
    names = ["se", "after", "none", "between"] if granularity == "network" else ["none", "after"]
    space = read_space(of(connections, name=names, granularity=granularity))
    points = list(space.enumerate())
    assert len(points) == size(space)
    assert any(block.kind == "after" for point in points for block in point.architecture.network.nodes)


def test_a_start_as_the_identity_of_a_kind_without_dimensions_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "alone")
    written = {"backbone": {"name": "resnet18"}, "attention": {"name": ["se", "alone"]}}
    assert mistakes({**written, "attention_init": ["usual", "identity"]}) == [
        (("attention_init", 1), "alone has no dimension, so nothing of it can start at s = 0")
    ]
    assert not mistakes({**written, "attention_init": "usual"})


def test_connections_of_kinds_without_dimensions_are_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "alone")
    [(at, said)] = mistakes(of({}, name=["none", "alone"]))
    assert (at, said) == (("connections",), "there is no attention to connect, only none or alone; give attention.name")


def test_a_kind_without_dimensions_stands_beside_connected_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "alone")
    space = read_space(of({"topology": ["chain", "dense"]}, name=["se", "alone"]))
    assert size(space) == len(list(space.enumerate())) == 3
    assert [b.name for b in space.baselines()] == ["plain", "vanilla se", "dca se", "vanilla alone"]


def test_baselines_of_a_kind_after_a_stage_are_plain_vanilla_and_chained(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "after")
    baselines = read_space(of({}, name="after")).baselines()
    assert [baseline.name for baseline in baselines] == ["plain", "vanilla after", "dca after"]


def test_a_dimension_cannot_be_called_as_another_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    state = State(g=("B", "C"), t=("B", "C"))
    monkeypatch.setitem(KINDS._entries, "odd", Kind(title="odd", dimensions={"topology": state}))
    with pytest.raises(ValueError, match=r"connections\.topology: a dimension needs another name"):
        read_space(of(name="se"))


@pytest.mark.parametrize("listening", ["network", "stage", "block"])
@pytest.mark.parametrize("after", ["network", "stage"])
@pytest.mark.parametrize("granularity", ["network", "stage"])
def test_a_space_with_attention_in_blocks_and_after_stages_has_as_many_points_as_it_says(
    granularity: str, after: str, listening: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, "after", "between")
    both = [True, False]
    few = (granularity, after) == ("network", "network")
    connections = {
        "granularity": listening,
        "dimensions": {
            "channel": both if listening == "network" or (listening == "stage" and few) else True,
            "energy": both if listening == "network" or (listening == "block" and few) else False,
        },
        "spatial_matching": "average" if listening == "block" else ["average", "max"],
    }
    names = {"name": ["se", "none"], "granularity": granularity, "reduction": [4, 8]}
    ends = {"name": ["none", "after"] if after == "stage" else ["none", "after", "between"], "granularity": after}
    space = read_space({**of(connections, **names), "stage_attention": ends})
    points = list(space.enumerate())
    assert len(points) == size(space)
    nodes = [point.architecture.network.nodes for point in points]
    assert any({"se", "after"} <= {node.kind for node in network} for network in nodes)
    for point in points[:: len(points) // 20 + 1]:
        assert space.point(point.params).architecture.id == point.architecture.id
        assert point.params.keys() <= space.parameters().keys()


def test_who_listens_is_chosen_for_the_ends_of_stages_apart_from_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "between")
    connections = {"granularity": "block", "dimensions": {"channel": [True, False]}}
    space = read_space({**of(connections, name="se"), "stage_attention": {"name": "between"}})
    names = [f"connections.channel.block{n:02}" for n in range(2, 9)]
    names += [f"connections.channel.after_stage{n}" for n in (1, 2, 3)]
    assert set(names) <= space.parameters().keys()
    assert size(space) == 2 ** len(names)
    point = space.point({name: name.endswith(("stage2", "block04")) for name in names})
    nodes = point.architecture.network.nodes
    assert [nodes[edge.target].name for edge in point.architecture.network.edges] == ["layer2.1", "stage2"]


def test_an_option_may_depend_on_the_attention_after_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "after")
    reduction = {"when": {"stage_attention.name": "after"}, "choose": [4, 8], "else": 16}
    space = read_space({**of(name="se", reduction=reduction), "stage_attention": {"name": ["none", "after"]}})
    assert size(space) == len(list(space.enumerate())) == 3
    assert space.parameters().keys() == {"stage_attention.name", "attention.reduction"}


def test_the_schema_takes_attention_after_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "after")
    written = {**of({}, name="se"), "stage_attention": {"name": ["none", "after"], "granularity": "stage"}}
    jsonschema.validate(written, space_schema())
    for wrong in ({"granularity": "block"}, {"name": "se"}, {"pool": "max"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**written, "stage_attention": {**written["stage_attention"], **wrong}}, space_schema())


def test_baselines_have_each_attention_in_blocks_with_each_after_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "after")
    space = read_space({**of({}, name=["none", "se"]), "stage_attention": {"name": ["none", "after"]}})
    names = ["plain", "vanilla after", "dca after", "vanilla se", "dca se", "vanilla se + after", "dca se + after"]
    baselines = {baseline.name: baseline.architecture.network for baseline in space.baselines()}
    assert list(baselines) == names
    assert [node.kind for node in baselines["vanilla se + after"].nodes[:3]] == ["se", "se", "after"]
    assert len(baselines["dca se + after"].edges) == 11 + 3


def test_a_vanilla_parent_keeps_its_attention_after_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "between")
    space = read_space({**of({}, name=["none", "se"]), "stage_attention": {"name": ["none", "between"]}})
    parents = parents_of(space, 10)
    assert parents is not None
    assert len(parents) == 4
    assert any(node.after_stage for parent in parents for node in parent.network.nodes)
