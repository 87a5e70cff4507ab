from __future__ import annotations

import pytest

from dcasearch.drawing.links import Arc, Rail, edges_of, levels_of, links_of
from tests.drawing.samples import network


@pytest.mark.parametrize("topology", ["chain", "tree", "dense"])
@pytest.mark.parametrize("backbone", ["resnet18", "resnet152", "mnasnet1_0"])
def test_every_connection_is_on_one_line(backbone: str, topology: str) -> None:
    drawn = network(backbone, topology=topology)
    arcs, rails = links_of(drawn)
    on_lines = arcs + [arc for rail in rails for arc in rail.arcs]
    assert len(on_lines) == len(drawn.edges)
    assert set(on_lines) == set(edges_of(drawn))
    assert sum(rail.count for rail in rails) == len(on_lines) - len(arcs)


def test_a_dense_network_of_50_blocks_is_a_rail_a_stage_and_an_arc_a_border() -> None:
    arcs, rails = links_of(network("resnet152", "se", topology="dense"))
    assert [rail.count for rail in rails] == [3, 28, 630, 3]
    assert [(arc.source, arc.target) for arc in arcs] == [
        ("layer1.2", "layer2.0"),
        ("layer2.7", "layer3.0"),
        ("layer3.35", "layer4.0"),
    ]


def test_few_connections_and_a_tree_stay_arcs() -> None:
    assert links_of(network("mnasnet1_0", "se", topology="dense"))[1] == []
    assert links_of(network("resnet152", "se", topology="tree"))[1] == []


def test_a_rail_names_who_receives_where_not_all_do() -> None:
    edges = [[source, target] for target in (5, 7) for source in range(1, target)]
    [rail] = links_of(network("resnet18", "se", topology="custom", edges={"channel": [*edges, [2, 8]]}))[1]
    assert (rail.nodes[0], rail.nodes[-1], rail.count) == ("layer1.0", "layer4.0", 10)
    assert rail.targets == ("layer3.0", "layer4.0")


def test_a_receiver_that_misses_one_earlier_block_is_on_no_rail() -> None:
    edges = [[source, target] for target in (4, 5, 6) for source in range(1, target)]
    edges.remove([2, 6])
    arcs, rails = links_of(network("resnet50", "se", topology="custom", edges={"channel": edges}))
    assert rails == []
    assert len(arcs) == 11


def test_rails_that_overlap_are_drawn_on_different_levels() -> None:
    order = {name: n for n, name in enumerate("abcdef")}
    rails = [Rail("channel", tuple(nodes), (nodes[-1],)) for nodes in ("abcdef", "abc", "bcd", "ef")]
    rails.append(Rail("spatial", ("a", "b"), ("b",)))
    levels = levels_of(rails, order)
    assert levels == {rails[0]: 2, rails[1]: 0, rails[2]: 1, rails[3]: 0, rails[4]: 0}


def test_a_rail_says_which_connections_it_stands_for() -> None:
    rail = Rail("channel", ("a", "b", "c"), ("c",))
    assert list(rail.arcs) == [Arc("channel", "a", "c"), Arc("channel", "b", "c")]
    assert rail.count == 2
