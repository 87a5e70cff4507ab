from __future__ import annotations

import pytest

from dcasearch.wording import counted, in_one_line, printable, share


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1200, "1,200 files"), (["a"], "1 file")]
)
def test_a_noun_agrees_with_its_number(number: int | list[str], said: str) -> None:
    assert counted(number, "file") == said


def test_a_verb_and_an_odd_plural_agree_too() -> None:
    assert counted(1, "name is", "names are") == "1 name is"
    assert counted(3, "class", "classes") == "3 classes"


def test_the_verb_of_a_share_agrees_with_its_number() -> None:
    assert share(1, 27, "images") == "1 of 27 images is"
    assert share(["a", "b"], 1027, "images", ("fails", "fail")) == "2 of 1,027 images fail"


def test_a_name_stays_in_its_line_and_moves_no_cursor() -> None:
    name = "a\nb\tc\x1b[2J\x7f\r\udcff"
    assert printable(name) == "a\nb\tc\\x1b[2J\\x7f\\r\\udcff"
    assert in_one_line(name) == "a\\nb\\tc\\x1b[2J\\x7f\\r\\udcff"
