"""What a stranger's text may do to a terminal: nothing."""

from __future__ import annotations

import io

import pytest
from rich.table import Table
from rich.text import Text

from dcasearch.cli.console import make_console

HOSTILE = "a\x1b]0;title\x07b\x1b[2Jc\rd\u202ee\x9b31mf\ud800g"
SHOWN = r"a\x1b]0;title\x07b\x1b[2Jc\rd\u202ee\x9b31mf\ud800g"


def printed(thing: object) -> str:
    console = make_console()
    console.file = io.StringIO()
    console.print(thing)
    return console.file.getvalue()


def table(cell: str | Text) -> Table:
    made = Table("name")
    made.add_row(cell)
    return made


@pytest.mark.parametrize("thing", [HOSTILE, table(HOSTILE)])
def test_control_characters_are_spelled_out_in_lines_and_tables(thing: object) -> None:
    assert SHOWN in printed(thing)


@pytest.mark.parametrize("thing", [Text(HOSTILE), table(Text(HOSTILE, "red"))])
def test_no_control_character_of_a_styled_text_reaches_the_terminal(thing: object) -> None:
    shown = printed(thing)
    assert set(shown.replace("\n", "")) & set("\x1b\x07\r\u202e\x9b\ud800") == set()
    assert r"a\x1b]0;title" in shown


def test_brackets_line_ends_and_other_languages_stay_as_they_are() -> None:
    assert printed("[red]Hündchen[/red]\n小狗 → ±") == "[red]Hündchen[/red]\n小狗 → ±\n"
