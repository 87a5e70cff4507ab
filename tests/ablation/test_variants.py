"""The networks that differ from a chosen one in one part."""

from __future__ import annotations

from typing import Any

import pytest

from dcasearch.ablation import variants_of
from dcasearch.ablation.variants import CHOSEN, _with_edges
from dcasearch.architecture import Architecture

SMALL = {"name": "resnet18", "width": 0.25, "stem": "small"}
CBAM: dict[str, Any] = {
    "backbone": SMALL,
    "attention": {"name": "cbam"},
    "connections": {"function": "learned", "channel_matching": {"fc": {"norm_act": True}}},
}
DENSE: dict[str, Any] = {
    "backbone": {"name": "resnet50"},
    "attention": {"name": "se"},
    "connections": {"topology": "dense", "dimensions": {"channel": {"stages": [False, True, True, False]}}},
}
AFTER_STAGES: dict[str, Any] = {
    "backbone": {"name": "mnasnet1_0"},
    "attention": {"stages": [{"name": name} for name in ("bam", "se", "bam", "se", "se", "none")]},
    "connections": {},
}


def architecture(written: dict[str, Any]) -> Architecture:
    return Architecture.parse(written)


@pytest.mark.parametrize("written", [CBAM, DENSE, AFTER_STAGES])
def test_a_network_with_all_of_its_edges_written_out_is_the_network(written: dict[str, Any]) -> None:
    chosen = architecture(written)
    assert architecture(_with_edges(chosen, lambda place: True)).id == chosen.id


@pytest.mark.parametrize("written", [CBAM, DENSE, AFTER_STAGES])
def test_each_connection_is_left_out_once_and_nothing_else_changes(written: dict[str, Any]) -> None:
    chosen = architecture(written)
    found = [v.architecture.network for v in variants_of(chosen, ("connections",))[1:]]
    assert [set(chosen.network.edges) - set(network.edges) for network in found] == [{e} for e in chosen.network.edges]
    assert all(set(network.edges) < set(chosen.network.edges) for network in found)
    assert all(network.nodes == chosen.network.nodes for network in found)


def test_each_dimension_and_all_connections_are_left_out() -> None:
    found = {v.label: v.architecture.network for v in variants_of(architecture(CBAM), ("dimensions",))}
    assert set(found) == {
        CHOSEN,
        "without connections (vanilla)",
        "without channel connections",
        "without spatial connections",
    }
    assert found["without connections (vanilla)"].edges == ()
    assert found["without channel connections"].dimensions == ("spatial",)
    assert found["without spatial connections"].dimensions == ("channel",)


def test_each_axis_takes_each_other_choice() -> None:
    labels = {v.label for v in variants_of(architecture(CBAM), ("function", "spatial_matching", "channel_matching"))}
    assert labels == {
        CHOSEN,
        *(f"function {name}" for name in ("direct", "weighted", "softmax", "concat")),
        *(f"spatial matching {name}" for name in ("max", "conv")),
        "channel matching fc2",
        "channel matching without norm",
    }
    dense = {v.label for v in variants_of(architecture(DENSE), ("topology", "alpha"))}
    assert dense == {CHOSEN, "topology chain", "topology tree", "alpha channel"}


@pytest.mark.parametrize("written", [CBAM, DENSE, AFTER_STAGES])
def test_variants_are_distinct_networks_with_distinct_labels(written: dict[str, Any]) -> None:
    found = variants_of(architecture(written))
    assert len({v.architecture.id for v in found}) == len({v.label for v in found}) == len(found)
    assert found[0].architecture.id == architecture(written).id


def test_of_one_connection_its_absence_is_the_vanilla_network_and_stands_once() -> None:
    one = {
        **CBAM,
        "connections": {"topology": "custom", "edges": {"channel": [[1, 2]]}, "dimensions": {"spatial": False}},
    }
    found = [v for v in variants_of(architecture(one), ("connections", "dimensions")) if v.label != CHOSEN]
    assert [v.architecture.network.edges for v in found] == [()]


def test_a_vanilla_network_can_lose_its_attention_alone() -> None:
    found = variants_of(architecture({"backbone": SMALL, "attention": {"name": "se"}}))
    assert [v.label for v in found] == [CHOSEN, "without attention (plain)"]
    assert [v.label for v in variants_of(architecture({"backbone": SMALL}))] == [CHOSEN]
