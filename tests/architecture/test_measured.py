"""The table of networks of libraries that were tried."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from dcasearch.architecture.measured import CHECKS, NO, NOT_TRIED, YES, Measured, append, measured, read


def test_the_table_has_each_network_once() -> None:
    names = [row.name for row in measured()]
    assert len(set(names)) == len(names) > 40
    assert names == sorted(names)


def test_the_docs_say_what_the_table_says() -> None:
    works = [
        sum(row.works for row in measured() if row.name.startswith(library)) for library in ("timm", "torchvision")
    ]
    text = (Path(__file__).parents[2] / "docs" / "any_cnn.md").read_text(encoding="utf-8")
    assert f"All {works[0]} of timm and {works[1]} of torchvision pass every check" in text


@pytest.mark.parametrize("row", measured(), ids=lambda row: row.name)
def test_a_row_says_what_was_found_or_why_nothing_was(row: Measured) -> None:
    assert {getattr(row, check) for check in CHECKS} <= {YES, NO, NOT_TRIED}
    if row.works:
        assert 0 <= row.on_branch <= row.blocks >= row.stages >= 1
    else:
        assert row.note


def test_a_table_goes_on_where_it_stopped(tmp_path: Path) -> None:
    rows = [Measured(name=f"timm/{n}", family="f", version="1", parameters=n, note='a, b; "c"') for n in range(2)]
    for row in rows:
        append(tmp_path / "table.csv", row)
    assert read((tmp_path / "table.csv").read_text().splitlines()) == tuple(rows)
    assert asdict(rows[0])["built"] == NO
