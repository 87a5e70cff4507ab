"""Searches compared on a table."""

from __future__ import annotations

from dcasearch.replay.comparison import compare, cost_of_all, to_aim
from dcasearch.replay.searchers import SEARCHERS
from dcasearch.replay.table import Table


def test_to_the_aim_is_from_where_the_mean_stays_below_it() -> None:
    assert to_aim([[(1, 0.0), (2, 1.0), (3, 0.0)], [(1, 0.0), (4, 0.1)]]) == 3
    assert to_aim([[(1, 0.0)], [(1, 0.3)]]) is None


def test_every_searcher_can_be_replayed(table: Table) -> None:
    found = compare(table, SEARCHERS, 2)
    assert [result.name for result in found.results] == list(SEARCHERS)
    assert found.every == cost_of_all(table) == 4 * len(table.members)
    by_name = {result.name: result for result in found.results}
    assert by_name["most parameters"].regret == 0
    assert by_name["random search"].to_aim is not None
    assert by_name["random pick"].seconds == 0
