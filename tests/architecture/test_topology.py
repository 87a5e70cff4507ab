from __future__ import annotations

from itertools import groupby

import pytest

from dcasearch.architecture.topology import TOPOLOGIES
from tests.architecture.support import SE, edges, make


def all_edges(topology: str, stages: list[int]) -> list[tuple[int, int]]:
    return [(j + 1, k + 1) for k in range(len(stages)) for j in TOPOLOGIES[topology](stages, k)]


def test_chain_connects_each_block_with_the_one_before_it() -> None:
    assert all_edges("chain", [0, 0, 1, 1]) == [(1, 2), (2, 3), (3, 4)]


def test_dense_connects_all_pairs_of_a_stage_and_one_edge_across_each_border() -> None:
    assert all_edges("dense", [0, 0, 0, 1, 1, 1]) == [(1, 2), (1, 3), (2, 3), (3, 4), (4, 5), (4, 6), (5, 6)]


def test_tree_connects_index_k_with_k_minus_every_power_of_two_that_divides_it() -> None:
    eight = all_edges("tree", [0] * 8)
    assert [j for j, k in eight if k == 6] == [4, 5]
    assert [j for j, k in eight if k == 7] == [6]
    assert [j for j, k in eight if k == 8] == [4, 6, 7]
    assert eight[:5] == [(1, 2), (2, 3), (2, 4), (3, 4), (4, 5)]


def test_tree_counts_from_the_start_of_each_stage() -> None:
    """Blocks 3 to 6 are the second stage's 1 to 4: the last of them hears its 2 and its 3."""
    assert all_edges("tree", [0, 0, 1, 1, 1, 1]) == [(1, 2), (2, 3), (3, 4), (4, 5), (4, 6), (5, 6)]


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_the_first_block_receives_nothing_and_the_first_of_a_stage_the_last_before_it(topology: str) -> None:
    stages = [0, 1, 1, 1, 1, 4, 4, 5]
    found = all_edges(topology, stages)
    assert not [j for j, k in found if k == 1]
    for _, group in groupby(range(1, len(stages)), key=lambda n: stages[n]):
        first = next(group) + 1
        assert [j for j, k in found if k == first] == [first - 1]


def test_blocks_without_attention_are_not_numbered() -> None:
    kinds = [SE, {"name": "none"}, SE, {"name": "none"}]
    by_stage = make({"stages": kinds}, {})
    assert edges(by_stage) == [(1, 2), (2, 5), (5, 6)]


def test_each_dimension_is_numbered_by_itself() -> None:
    blocks = [{"name": "cbam"}, SE, {"name": "cbam"}, SE, SE, {"name": "cbam"}, SE, SE]
    mixed = make({"blocks": blocks}, {"topology": "chain"})
    assert edges(mixed, "channel") == [(n, n + 1) for n in range(1, 8)]
    assert edges(mixed, "spatial") == [(1, 3), (3, 6)]


def test_the_receiving_set_says_who_listens_and_never_who_sends() -> None:
    flags = [False, False, True, False, False, False, False, True]
    listening = make(SE, {"dimensions": {"channel": {"blocks": flags}}})
    assert edges(listening) == [(2, 3), (7, 8)]


def test_custom_edges_are_those_that_are_written() -> None:
    custom = make(SE, {"topology": "custom", "edges": {"channel": [[1, 3], [2, 3], [1, 8], [1, 3]]}})
    assert edges(custom) == [(1, 3), (2, 3), (1, 8)]


def test_custom_edges_are_numbered_over_the_blocks_that_have_the_dimension() -> None:
    kinds = [{"name": "none"}, SE, {"name": "none"}, SE]
    custom = make({"stages": kinds}, {"topology": "custom", "edges": {"channel": [[2, 3]]}})
    assert edges(custom) == [(4, 7)]
