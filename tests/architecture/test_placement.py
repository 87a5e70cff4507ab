"""Which kind stands in which block and after which stage, and how the edges number them."""

from __future__ import annotations

from typing import Any

import pytest

from dcasearch.architecture import Architecture, Network, vanilla_of
from dcasearch.errors import ArchitectureError
from tests.architecture.support import SE, edges, make
from tests.kinds import enter

NONE = {"name": "none"}
AFTER, BETWEEN = {"name": "after"}, {"name": "between"}


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "after", "between", "tall")


def both(stage_attention: Any, attention: Any = SE, connections: Any = None) -> Architecture:
    """A ResNet-18 with attention in its blocks and after its stages."""
    written = {"backbone": {"name": "resnet18"}, "attention": attention, "stage_attention": stage_attention}
    return Architecture.parse(written if connections is None else {**written, "connections": connections})


def standing(network: Network) -> list[tuple[str, str]]:
    return [(node.name, node.kind) for node in network.nodes if node.kind != "none"]


def test_a_kind_after_stages_stands_there_and_leaves_the_blocks_without_attention() -> None:
    network = make(AFTER).network
    assert standing(network) == [(f"stage{n}", "after") for n in range(1, 5)]
    assert [node.name for node in network.nodes[:4]] == ["layer1.0", "layer1.1", "stage1", "layer2.0"]
    assert [block.kind for block in network.blocks] == ["none"] * 8
    assert standing(make(BETWEEN).network) == [(f"stage{n}", "between") for n in range(1, 4)]


def test_a_stages_node_has_the_layout_of_the_stages_last_block() -> None:
    network = make(AFTER).network
    ends = [node for node in network.nodes if node.after_stage]
    assert [node.layout for node in ends] == [network.blocks[n].layout for n in (1, 3, 5, 7)]
    assert [node.ports["energy"].scale for node in ends] == [4, 8, 16, 32]


def test_attention_in_blocks_and_after_stages_is_in_one_network() -> None:
    network = both(BETWEEN).network
    assert [node.name for node in network.nodes] == [
        "layer1.0", "layer1.1", "stage1", "layer2.0", "layer2.1", "stage2", "layer3.0", "layer3.1", "stage3",
        "layer4.0", "layer4.1",
    ]  # fmt: skip
    assert [node.kind for node in network.nodes] == ["se", "se", "between"] * 3 + ["se", "se"]


def test_each_stage_may_have_its_own_kind_or_none_after_it() -> None:
    network = both({"stages": [AFTER, NONE, BETWEEN, BETWEEN]}, {"name": "none"}).network
    assert standing(network) == [("stage1", "after"), ("stage3", "between")]


def test_a_list_of_stages_may_mix_kinds_in_blocks_and_after_stages() -> None:
    network = make({"stages": [AFTER, SE, NONE, BETWEEN]}).network
    assert standing(network) == [("stage1", "after"), ("layer2.0", "se"), ("layer2.1", "se")]


FIRST = {"stages": [AFTER, NONE, NONE, NONE]}
EQUAL: dict[str, tuple[Any, Any]] = {
    "one name": ((AFTER, None), (NONE, AFTER)),
    "a list": (({"stages": [AFTER, SE, NONE, NONE]}, None), ({"stages": [NONE, SE, NONE, NONE]}, FIRST)),
    "blocks": (({"blocks": [NONE, AFTER, *[NONE] * 6]}, None), (NONE, FIRST)),
    "none after stages": ((SE, NONE), (SE, None)),
    "nothing said after stages": ((SE, {}), (SE, None)),
}


@pytest.mark.parametrize(("one", "other"), EQUAL.values(), ids=EQUAL)
@pytest.mark.parametrize("connections", [None, {}, {"topology": "dense"}], ids=["vanilla", "chain", "dense"])
def test_one_network_written_in_two_ways_has_one_id(one: Any, other: Any, connections: Any) -> None:
    first, second = (both(after, attention, connections) for attention, after in (one, other))
    assert first.network == second.network
    assert first.id == second.id


def test_other_attention_after_stages_is_another_network() -> None:
    made = [
        both(NONE), both(AFTER), both(BETWEEN), both({"stages": [AFTER, NONE, NONE, NONE]}),
        both({"stages": [NONE, AFTER, NONE, NONE]}), both(AFTER, NONE), both(AFTER, connections={}),
    ]  # fmt: skip
    assert len({architecture.id for architecture in made}) == len(made)


def test_what_is_written_comes_back() -> None:
    receivers = {"blocks": [True] * 8, "after_stages": [True, False, True, False]}
    architecture = both({"stages": [AFTER, NONE, BETWEEN, NONE]}, connections={"dimensions": {"channel": receivers}})
    assert Architecture.parse(architecture.to_dict()) == architecture
    assert Architecture.parse(architecture.written_out()).id == architecture.id
    assert "stage_attention" not in make(SE).written_out()


def test_the_vanilla_network_keeps_its_attention_after_stages() -> None:
    assert vanilla_of(both(AFTER, connections={})).id == both(AFTER).id


# Edges


def test_messages_go_from_stage_to_stage() -> None:
    assert edges(make(AFTER, {})) == edges(make(AFTER, {}), "energy") == [(3, 6), (6, 9), (9, 12)]
    assert edges(make(BETWEEN, {})) == [(3, 6), (6, 9)]


def test_a_chain_goes_through_blocks_and_ends_of_stages() -> None:
    assert edges(both(BETWEEN, connections={})) == [(n, n + 1) for n in range(1, 11)]


def test_dense_and_tree_number_the_end_of_a_stage_as_its_last_node() -> None:
    dense, tree = (edges(both(BETWEEN, connections={"topology": t})) for t in ("dense", "tree"))
    assert dense == [
        (1, 2), (1, 3), (2, 3), (3, 4), (4, 5), (4, 6), (5, 6), (6, 7), (7, 8), (7, 9), (8, 9), (9, 10), (10, 11)
    ]  # fmt: skip
    assert tree == [(n, n + 1) for n in range(1, 11)]
    blocks = [SE, SE, SE, *[NONE] * 13]
    deep = {"backbone": {"name": "resnet34"}, "attention": {"blocks": blocks}, "stage_attention": BETWEEN}
    numbered = edges(Architecture.parse({**deep, "connections": {"topology": "tree"}}))
    assert [edge for edge in numbered if edge[1] == 4] == [(2, 4), (3, 4)]


def test_custom_edges_count_blocks_and_ends_of_stages_that_have_the_dimension() -> None:
    custom = {"topology": "custom", "edges": {"channel": [[1, 3], [3, 11]], "energy": [[1, 4]]}}
    made = both(AFTER, connections=custom)
    assert edges(made) == [(1, 3), (3, 11)]
    assert edges(made, "energy") == [(3, 12)]
    with pytest.raises(ArchitectureError, match=r"\[1, 12\] is not 1 <= j < k <= 11"):
        both(BETWEEN, connections={"topology": "custom", "edges": {"channel": [[1, 12]]}})


RECEIVERS: dict[str, tuple[Any, list[int]]] = {
    "all": (True, list(range(2, 12))),
    "nobody": (False, []),
    "stages": ({"stages": [False, True, False, False]}, [4, 5, 6]),
    "blocks, ends as the last block": ({"blocks": [n in (1, 5) for n in range(8)]}, [2, 3, 8, 9]),
    "ends alone": ({"blocks": [False] * 8, "after_stages": [True, False, True, True]}, [3, 9]),
    "blocks alone": ({"blocks": [True] * 8, "after_stages": [False] * 4}, [2, 4, 5, 7, 8, 10, 11]),
}


@pytest.mark.parametrize(("channel", "targets"), RECEIVERS.values(), ids=RECEIVERS)
def test_who_listens_is_said_for_blocks_and_ends_of_stages(channel: Any, targets: list[int]) -> None:
    made = both(BETWEEN, connections={"dimensions": {"channel": channel}})
    assert [target for _, target in edges(made)] == targets


# Mistakes

IMPOSSIBLE: dict[str, tuple[dict[str, Any], tuple[str | int, ...], str]] = {
    "a kind of blocks": ({"stage_attention": SE}, ("stage_attention", "name"), "se stands in a block; write it under"),
    "a kind of blocks in a list": (
        {"stage_attention": {"stages": [NONE, SE, NONE, NONE]}},
        ("stage_attention", "stages", 1, "name"),
        "Known after a stage: after, ",
    ),
    "a name": ({"stage_attention": {"name": "aftr"}}, ("stage_attention", "name"), "did you mean 'after'"),
    "an option": ({"stage_attention": {**AFTER, "extent": 2}}, ("stage_attention", "extent"), "after has no extent"),
    "a list per block": ({"stage_attention": {**AFTER, "blocks": []}}, ("stage_attention", "blocks"), "has no blocks"),
    "entries": ({"stage_attention": {"stages": [NONE]}}, ("stage_attention", "stages"), "1 entries"),
    "name and list": (
        {"stage_attention": {**AFTER, "stages": [NONE] * 4}},
        ("stage_attention",),
        "exactly one of `name`, `stages`",
    ),
    "two after one stage": (
        {"attention": AFTER, "stage_attention": BETWEEN},
        ("stage_attention",),
        "after of `attention` and between both stand after stage 1",
    ),
    "a block within a stage": (
        {"attention": {"blocks": [NONE, NONE, AFTER, *[NONE] * 5]}},
        ("attention", "blocks", 2, "name"),
        "after stands after a stage, which block 3 does not end",
    ),
    "the last stage": (
        {"attention": {"blocks": [*[NONE] * 7, BETWEEN]}},
        ("attention", "blocks", 7, "name"),
        "between stands between two stages, which block 8 does not end",
    ),
    "ends beside stages": (
        {"connections": {"dimensions": {"channel": {"stages": [True] * 4, "after_stages": [True] * 4}}}},
        ("connections", "dimensions", "channel", "after_stages"),
        "belongs to `blocks`",
    ),
    "too few ends": (
        {"connections": {"dimensions": {"channel": {"blocks": [True] * 8, "after_stages": [True]}}}},
        ("connections", "dimensions", "channel", "after_stages"),
        "1 entries, but the backbone has 4 stages",
    ),
    "coupled": (
        {"attention": {"name": "cbam"}, "stage_attention": AFTER, "connections": {"coupling": "coupled"}},
        ("connections", "coupling"),
        "coupled exists for",
    ),
}


@pytest.mark.parametrize(("changes", "path", "message"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_an_impossible_placement_is_told_at_its_place(
    changes: dict[str, Any], path: tuple[str | int, ...], message: str
) -> None:
    with pytest.raises(ArchitectureError) as error:
        Architecture.parse({"backbone": {"name": "resnet18"}, "attention": SE, **changes})
    assert error.value.path == path
    assert message in str(error.value)


def test_ends_that_cannot_meet_are_named_by_where_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "below")
    written = both({"name": "below"}, {"name": "tall"})
    assert written.network.edges == ()
    with pytest.raises(ArchitectureError, match=r"tall \(block 2\) and below \(after stage 1\) cannot be connected"):
        both({"name": "below"}, {"name": "tall"}, {})
