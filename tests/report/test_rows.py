"""The table of a list on the page of its study."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dcasearch.analysis.words import DIFFERENCES_OF_A_TABLE
from dcasearch.report.page import render, write_report
from dcasearch.report.rows import cells_of
from dcasearch.report.section import Extras, Section, section_of
from dcasearch.store import Store
from tests.analysis.test_table import run
from tests.support import make_study


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A list of four rows, trained with three seeds."""
    return run(tmp_path_factory.mktemp("rows"))[1]


@pytest.fixture(scope="module")
def section(store: Store) -> Section:
    """What its page shows."""
    return section_of(store, "tiny", Extras())


def cells(text: str) -> list[list[str]]:
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", line) for line in re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)]


def test_the_page_shows_every_row_in_the_list_s_order_with_its_word(section: Section) -> None:
    text = render([section])
    assert section.standing.table is not None
    shown = cells_of(section.standing.table)
    assert "<h3>The table</h3>" in text
    assert [list(shown.columns), *map(list, shown.rows)] == cells(text.split("<h3>The table</h3>")[1])[:5]
    assert [row[0] for row in shown.rows] == ["plain", "SE", "DCA-SE", "wide"]
    assert DIFFERENCES_OF_A_TABLE in text


def test_the_page_of_a_space_of_choices_has_no_such_table(tmp_path: Path) -> None:
    other = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    other.put_study("tiny", {}, make_study().model_dump_json(exclude={"storage"}))
    text = render([section_of(other, "tiny", Extras())])
    assert "<h3>The table</h3>" not in text
    assert "No network is trained to its end yet." in text


def test_a_report_asks_for_another_accuracy_to_reach(store: Store, tmp_path: Path) -> None:
    page, *_ = write_report(store, {"tiny": Extras()}, tmp_path / "report", reach=79.05)
    rows = cells(page.read_text(encoding="utf-8").split("<h3>How long it took</h3>")[1])
    assert rows[:3] == [
        ["", "goal, top-1 %", "epochs to it"],
        ["plain", "79.05", "not reached"],
        ["SE", "79.05", "2 to 3"],
    ]


def test_the_answers_count_what_is_resolved_and_choose_nothing(section: Section) -> None:
    assert section.story.found.startswith("No network is chosen: 4 are compared.")
    better = "1 of 3 rows: better than the row that each is compared with (SE). The others: 1 not resolved, 1 worse."
    assert section.story.better == better
    assert [drawn.name for drawn in section.drawn] == ["plain", "SE", "DCA-SE", "wide"]
    assert 'class="picture' not in render([section])


def test_a_leader_is_not_compared_where_the_table_compares(section: Section) -> None:
    assert section.comparisons == ()
