"""An executor that looks trainings up in a table."""

from __future__ import annotations

import pytest

from dcasearch.architecture import Architecture
from dcasearch.errors import UserError
from dcasearch.replay.executor import look_up
from dcasearch.replay.table import Table


def test_no_search_sees_the_truth(table: Table) -> None:
    architecture = Architecture.parse(table.members[0].spec)
    assert table.seeds("long") == (0,)
    with pytest.raises(UserError, match="truth"):
        look_up(table, architecture, "long", 100)
