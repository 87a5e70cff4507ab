"""Searches compared on a table."""

from __future__ import annotations

import pytest

from dcasearch.replay.comparison import compare, cost_of_all, to_aim
from dcasearch.replay.searchers import SEARCHERS
from dcasearch.replay.table import Table


def test_to_the_aim_is_from_where_the_mean_stays_below_it() -> None:
    assert to_aim([[(1, 0.0), (2, 1.0), (3, 0.0)], [(1, 0.0), (4, 0.1)]]) == 3
    assert to_aim([[(1, 0.0)], [(1, 0.3)]]) is None


def test_every_searcher_can_be_replayed(table: Table) -> None:
    found = compare(table, SEARCHERS, 1)
    assert [result.name for result in found.results] == list(SEARCHERS)
    assert found.every == cost_of_all(table) == 4 * len(table.members)
    by_name = {result.name: result for result in found.results}
    assert by_name["most parameters"].regret == 0
    assert by_name["random search"].to_aim is not None
    assert by_name["random pick"].seconds == 0


@pytest.mark.slow
def test_several_processes_find_what_one_finds(table: Table) -> None:
    searchers = {name: SEARCHERS[name] for name in ("random pick", "optuna tpe")}
    assert compare(table, searchers, 2, processes=2) == compare(table, searchers, 2)


def test_the_aim_is_what_the_cost_is_told_for(table: Table) -> None:
    searchers = {"most parameters": SEARCHERS["most parameters"], "random pick": SEARCHERS["random pick"]}
    found = compare(table, searchers, 5, aim=0.0)
    assert (found.aim, found.results[0].to_aim) == (0.0, 0.0)
    assert found.results[1].to_aim is None
