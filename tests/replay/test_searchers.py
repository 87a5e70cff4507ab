"""What is replayed on a table."""

from __future__ import annotations

from dataclasses import replace

from dcasearch.replay.searchers import TRUTH, StudySearcher
from dcasearch.replay.table import Table


def test_a_study_is_charged_each_parent_once_and_finds_the_best(table: Table) -> None:
    steps = StudySearcher(("warm", "long"), {"name": "grid"}, tops=(2,))(table, 0)
    parents = {member.parent for member in table.members}
    assert steps[-1].seconds == 2 * len(table.members) + 2 * len(parents) + 2 * 4
    assert table.regret(steps[-1].recommended) == 0


def test_a_study_that_is_led_by_the_loss_recommends_the_lowest(table: Table) -> None:
    worst = table.members[0].architecture
    rows = {
        key: row.model_copy(update={"losses": tuple(0.5 for _ in row.losses)}) if key[0] == worst else row
        for key, row in table.rows.items()
    }
    misled = replace(table, rows=rows)
    steps = StudySearcher(("proxy", TRUTH), tops=(1,), metric="loss")(misled, 0)
    assert steps[-1].recommended == worst
    assert StudySearcher(("proxy", TRUTH), tops=(1,))(misled, 0)[-1].recommended != worst
