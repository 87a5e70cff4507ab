from __future__ import annotations

from typing import Any

import pytest

from dcasearch.architecture import Architecture, Matching, Resize
from dcasearch.errors import ArchitectureError
from tests.architecture.support import SE, make

CBAM = {"name": "cbam"}


def test_a_matching_exists_only_where_channels_differ() -> None:
    matchings = [edge.matching for edge in make(SE, {}).network.edges]
    assert [(m.source, m.target) for m in matchings if m] == [(64, 128), (128, 256), (256, 512)]


def test_the_hidden_width_of_fc2_is_the_target_s_over_r() -> None:
    network = make(SE, {"channel_matching": {"fc2": {"reduction": 8}}}).network
    assert [e.matching.hidden for e in network.edges if e.matching] == [16, 32, 64]


def test_a_hidden_width_under_a_norm_is_at_least_four_unless_said() -> None:
    def least(**options: Any) -> int | None:
        matching = make(SE, {"channel_matching": {"fc2": {"reduction": 512, **options}}}).network.edges[1].matching
        assert matching is not None
        return matching.hidden

    assert (least(), least(norm="ln"), least(norm="ln", min_hidden=1)) == (1, 4, 1)


def test_norm_act_is_bias_norm_and_relu_after_every_layer() -> None:
    matching = make(SE, {"channel_matching": {"fc2": {"norm_act": True}}}).network.edges[1].matching
    assert matching == Matching(64, 128, 8, True, "ln", "relu", "all")


def test_a_map_is_resized_by_the_strides_between_two_blocks() -> None:
    network = make(CBAM, {"topology": "custom", "edges": {"spatial": [[1, 2], [2, 3], [1, 8]]}}).network
    assert [edge.resize for edge in network.edges] == [None, Resize("average", 2), Resize("average", 8)]


def test_a_map_that_is_coarser_than_its_receiver_is_enlarged() -> None:
    kinds = [{"name": "ge_theta", "extent": 8}, {"name": "ge_theta", "extent": 2}] + [{"name": "none"}] * 2
    network = make({"stages": kinds}, {}).network
    assert [edge.resize for edge in network.edges] == [None, Resize("nearest", 2), None]


def test_a_vector_is_never_resized() -> None:
    kinds = [{"name": "ge_theta"}, SE, {"name": "ge_theta"}, {"name": "none"}]
    assert all(e.resize is None for e in make({"stages": kinds}, {}).network.edges if e.source in (1, 3))


def test_incoming_edges_are_in_the_order_of_their_sources() -> None:
    network = make(SE, {"topology": "dense"}, "resnet34").network
    assert [edge.source for edge in network.incoming(6, "channel")] == [3, 4, 5]
    assert network.incoming(0, "channel") == ()


IMPOSSIBLE: dict[str, tuple[dict[str, Any], tuple[str | int, ...], str]] = {
    "backbone": ({"backbone": {"name": "resnet5"}}, ("backbone", "name"), "did you mean 'resnet50'"),
    "width": ({"backbone": {"name": "mnasnet1_0", "width": 0.5}}, ("backbone", "width"), "in its name"),
    "kind": ({"attention": {"name": "sse"}}, ("attention", "name"), "did you mean 'se'"),
    "kind in a list": (
        {"attention": {"stages": [SE, SE, {"name": "cbaam"}, SE]}},
        ("attention", "stages", 2, "name"),
        "did you mean 'cbam'",
    ),
    "option": ({"attention": {"name": "se", "extent": 8}}, ("attention", "extent"), "se has no extent"),
    "extent": ({"attention": {"name": "ge_theta", "extent": 3}}, ("attention", "extent"), "2, 4, 8; got 3"),
    "entries": ({"attention": {"stages": [SE]}}, ("attention", "stages"), "1 entries, but the backbone has 4 stages"),
    "both lists": ({"attention": {"stages": [SE] * 4, "blocks": [SE] * 8}}, ("attention",), "not both"),
    "name and list": ({"attention": {"name": "se", "stages": [SE] * 4}}, ("attention",), "exactly one"),
    "options beside a list": ({"attention": {"reduction": 4, "stages": [SE] * 4}}, ("attention",), "beside each name"),
    "dimension": (
        {"connections": {"dimensions": {"spatial": True}}},
        ("connections", "dimensions", "spatial"),
        "no attention block of this network has the spatial dimension",
    ),
    "receivers": (
        {"connections": {"dimensions": {"channel": {}}}},
        ("connections", "dimensions", "channel"),
        "needs `stages` or `blocks`",
    ),
    "edges without custom": (
        {"connections": {"edges": {"channel": [[1, 2]]}}},
        ("connections", "edges"),
        "belongs to topology: custom",
    ),
    "custom without edges": ({"connections": {"topology": "custom"}}, ("connections", "edges"), "custom"),
    "edge backwards": (
        {"connections": {"topology": "custom", "edges": {"channel": [[3, 2]]}}},
        ("connections", "edges", "channel"),
        "[3, 2] is not 1 <= j < k <= 8",
    ),
    "coupled": ({"connections": {"coupling": "coupled"}}, ("connections", "coupling"), "cbam alone"),
    "own and coupled": (
        {"attention": {"name": "cbam"}, "connections": {"coupling": "coupled", "message": "own"}},
        ("connections", "message"),
        "own has no coupled form",
    ),
}


@pytest.mark.parametrize(("changes", "path", "message"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_an_impossible_architecture_cannot_be_made(
    changes: dict[str, Any], path: tuple[str | int, ...], message: str
) -> None:
    with pytest.raises(ArchitectureError) as error:
        Architecture.parse({"backbone": {"name": "resnet18"}, "attention": SE, **changes})
    assert error.value.path == path
    assert message in str(error.value)


def test_mistakes_of_type_are_told_all_at_once() -> None:
    with pytest.raises(ArchitectureError, match=r"(?s)backbone.*name.*attention.*reduction.*nonsense"):
        Architecture.parse({"backbone": {}, "attention": {"name": "se", "reduction": 0}, "nonsense": 1})


BEYOND: dict[str, tuple[dict[str, Any], str]] = {
    "width": ({"backbone": {"name": "resnet18", "width": 65}}, r"backbone\.width: .*64"),
    "reduction": ({"attention": {"name": "se", "reduction": 2**54}}, r"attention\.reduction: must be an integer"),
    "dilation": ({"attention": {"name": "bam", "dilation": 1025}}, "must be an integer from 1 to 1024"),
    "lambda": ({"attention": {"name": "simam", "e_lambda": 1e300}}, "must be a number"),
    "matching's reduction": (
        {"connections": {"channel_matching": {"fc2": {"reduction": 10**6}}}},
        "reduction: .*65536",
    ),
    "matching's hidden": ({"connections": {"channel_matching": {"fc2": {"min_hidden": 10**6}}}}, "min_hidden: .*65536"),
    "alpha": ({"connections": {"alpha": {"init": -1e7}}}, r"alpha\.init: .*-1000000"),
    "an edge": ({"connections": {"topology": "custom", "edges": {"channel": [[1, 10**9]]}}}, "edges.*5000"),
    "edges": (
        {"connections": {"topology": "custom", "edges": {"channel": [[1, 2]] * 20_001}}},
        "has 20,001 entries, at most 20,000",
    ),
    "attention's list": ({"attention": {"blocks": [{"name": "se"}] * 5001}}, "has 5,001 entries, at most 5,000"),
    "receivers' list": ({"connections": {"dimensions": {"channel": {"blocks": [True] * 5001}}}}, "has 5,001 entries"),
}


@pytest.mark.parametrize(("changes", "message"), BEYOND.values(), ids=BEYOND)
def test_a_number_or_a_list_beyond_any_use_is_refused_at_its_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        Architecture.parse({"backbone": {"name": "resnet18"}, "attention": {"name": "se"}, **changes})


@pytest.mark.parametrize(
    "attention",
    [{"name": "se", "reduction": 2**60}, {"name": "bam", "dilation": 5000}, {"name": "simam", "e_lambda": 1e20}],
)
def test_an_option_of_a_stored_architecture_has_no_upper_limit(attention: dict[str, Any]) -> None:
    written = {"backbone": {"name": "resnet18", "width": 100}, "attention": attention}
    stored = Architecture.parse(written, stored=True)
    assert Architecture.parse(stored.written_out(), stored=True).id == stored.id


def test_an_option_of_a_stored_architecture_keeps_its_type_and_its_lower_limit() -> None:
    for reduction in (0, "16", 1.5):
        with pytest.raises(ArchitectureError, match="must be an integer from 1"):
            Architecture.parse(
                {"backbone": {"name": "resnet18"}, "attention": {"name": "se", "reduction": reduction}}, stored=True
            )


def test_a_network_of_more_connections_than_any_use_is_refused_before_they_are_made() -> None:
    blocks = [[f"a.{n}", 0, 8, 8, 1, 4] for n in range(5000)]
    trace = {"version": "1", "graph": "0" * 32, "blocks": blocks}
    with pytest.raises(ArchitectureError, match="has more than 20,000 connections") as caught:
        Architecture.parse(
            {
                "backbone": {"name": "timm/deep", "trace": trace},
                "attention": {"name": "se"},
                "connections": {"topology": "dense"},
            }
        )
    assert caught.value.path == ("connections", "topology")


def test_custom_edges_that_stand_twice_are_one_connection() -> None:
    edges = {"channel": [[1, 3], [2, 3], [1, 3]]}
    network = make(connections={"topology": "custom", "edges": edges}).network
    assert [(edge.source, edge.target) for edge in network.edges] == [(0, 2), (1, 2)]


def test_edges_of_a_dimension_in_which_nobody_listens_are_not_looked_at() -> None:
    connections = {
        "topology": "custom",
        "edges": {"channel": [[1, 2]], "spatial": [[1, 99]]},
        "dimensions": {"spatial": False},
    }
    assert len(make({"name": "cbam"}, connections).network.edges) == 1
