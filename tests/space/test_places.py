"""Where chosen kinds stand, and the sites at which a choice about them is made."""

from __future__ import annotations

import pytest

from dcasearch.architecture import BACKBONES, Architecture
from dcasearch.space.places import Place, is_after, places_of, receiving_sites, site_names, spread
from tests.kinds import enter

LAYOUT = BACKBONES["resnet18"](1.0, "imagenet")
NONE = ["none"] * 4


def test_the_ends_of_stages_have_sites_of_their_own_at_the_grain_of_blocks_alone() -> None:
    assert site_names("network", LAYOUT, after_stages=True) == [""]
    assert site_names("stage", LAYOUT, after_stages=True) == [".stage1", ".stage2", ".stage3", ".stage4"]
    blocks = [f".block0{n}" for n in range(1, 9)]
    assert site_names("block", LAYOUT) == blocks
    assert site_names("block", LAYOUT, after_stages=True) == blocks + [f".after_stage{n}" for n in range(1, 5)]


def test_a_choice_is_spread_over_the_blocks_of_its_site() -> None:
    assert spread(["se"], "network", LAYOUT) == ["se"] * 8
    assert spread(["a", "b", "c", "d"], "stage", LAYOUT) == list("aabbccdd")
    assert spread(list("abcdefgh"), "block", LAYOUT) == list("abcdefgh")


def test_places_are_the_nodes_of_the_network_that_is_made_of_the_same_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "after", "between")
    for per_stage, chosen in (
        (["se", "after", "none", "between"], NONE),
        (["se", "none", "cbam", "se"], ["between", "none", "after", "between"]),
    ):
        written = {"attention": {"stages": [{"name": kind} for kind in per_stage]}}
        ends = {"stages": [{"name": kind} for kind in chosen]}
        network = Architecture.parse({"backbone": {"name": "resnet18"}, **written, "stage_attention": ends}).network
        places = places_of(spread(per_stage, "stage", LAYOUT), chosen, LAYOUT)
        assert [(p.kind, p.stage, p.block is None) for p in places] == [
            (node.kind, node.layout.stage, node.after_stage) for node in network.nodes
        ]


def test_a_kind_between_stages_has_no_place_after_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "after", "between")
    assert [is_after("between", stage, LAYOUT) for stage in range(4)] == [True, True, True, False]
    assert is_after("after", 3, LAYOUT)
    assert not is_after("se", 0, LAYOUT)


def test_listening_makes_a_difference_where_a_node_has_a_predecessor(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "between")
    places = [Place("none", 0, 0), Place("se", 0, 1), Place("between", 0, None), Place("se", 1, 2), Place("none", 1, 3)]
    assert receiving_sites("channel", places, "network", LAYOUT) == [0]
    assert receiving_sites("channel", places, "stage", LAYOUT) == [0, 1]
    assert receiving_sites("channel", places, "block", LAYOUT) == [2, 8]
    assert receiving_sites("spatial", places, "block", LAYOUT) == []
    assert receiving_sites("channel", places[:2], "network", LAYOUT) == []
