from __future__ import annotations

import io

from rich.console import Console

from dcasearch.cli.tables import make_table, print_long

COLUMNS = ["trial", "state", "top1", "architecture", "why"]
ROWS = [["0", "complete", "93.06", "2b46bcf18780b9e2", ""], ["10", "pruned", "", "cf225ededd0b2690", "θ⁻ of [trial 0]"]]


def test_a_long_table_looks_like_any_other() -> None:
    table = make_table(*COLUMNS)
    for row in ROWS:
        table.add_row(*(cell.replace("[", "\\[") for cell in row))
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(table)
    assert shown(COLUMNS, ROWS, 120) == console.export_text().splitlines()


def shown(columns: list[str], rows: list[list[str]], width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), record=True)
    print_long(console, columns, rows)
    return console.export_text().splitlines()


WORDY = ["trial", "network", "id"]
A_SENTENCE = "SE r=16 in all stages; channel chain into stages 2 to 4, direct, fc"


def test_where_a_line_does_not_fit_the_widest_column_is_folded() -> None:
    lines = shown(WORDY, [["7", A_SENTENCE, "0f"]], 60)
    assert [line.rstrip() for line in lines] == [
        "trial  network                                            id",
        "7      SE r=16 in all stages; channel chain into stages   0f",
        "       2 to 4, direct, fc",
    ]


def test_where_little_room_is_left_long_cells_stand_below_their_rows() -> None:
    lines = shown(WORDY, [["7", A_SENTENCE, "0f"]], 40)
    assert [line.rstrip() for line in lines] == [
        "trial  id",
        "7      0f",
        "       SE r=16 in all stages; channel",
        "       chain into stages 2 to 4, direct,",
        "       fc",
    ]


def test_as_many_columns_stand_below_as_do_not_fit() -> None:
    columns, row = ["trial", "network", "id", "why"], ["7", A_SENTENCE, "0f", "the second of three, drawn at random"]
    assert [line.rstrip() for line in shown(columns, [row], 40)] == [
        "trial  id",
        "7      0f",
        "       SE r=16 in all stages; channel",
        "       chain into stages 2 to 4, direct,",
        "       fc · the second of three, drawn",
        "       at random",
    ]
    assert shown(columns, [row], 3)[0] == "trial"
