from __future__ import annotations

import io

import pytest
from rich.console import Console

from dcasearch.cli.tables import make_table, print_long

COLUMNS = ["trial", "state", "top1", "architecture", "why"]
ROWS = [["0", "complete", "93.06", "2b46bcf18780b9e2", ""], ["10", "pruned", "", "cf225ededd0b2690", "θ⁻ of [trial 0]"]]


@pytest.mark.parametrize("width", [120, 40])
def test_a_long_table_looks_like_any_other_whether_it_fits_or_not(width: int) -> None:
    def shown(*, long: bool) -> str:
        console = Console(width=width, file=io.StringIO(), record=True)
        if long:
            print_long(console, COLUMNS, ROWS)
        else:
            table = make_table(*COLUMNS)
            for row in ROWS:
                table.add_row(*(cell.replace("[", "\\[") for cell in row) if width == 120 else row)
            console.print(table)
        return console.export_text()

    assert shown(long=True) == shown(long=False)
