"""What is replayed on a table."""

from __future__ import annotations

from dcasearch.replay.searchers import StudySearcher
from dcasearch.replay.table import Table


def test_a_study_is_charged_each_parent_once_and_finds_the_best(table: Table) -> None:
    steps = StudySearcher(("warm", "long"), {"name": "grid"}, top=2)(table, 0)
    parents = {member.parent for member in table.members}
    assert steps[-1].seconds == 2 * len(table.members) + 2 * len(parents) + 2 * 4
    assert table.regret(steps[-1].recommended) == 0
