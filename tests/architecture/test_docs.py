"""The docs' table of attention blocks says what the declarations say; a failure shows the lines to write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dcasearch.architecture import KINDS, Kind, Option, State, dimensions
from dcasearch.architecture.kinds import Shape
from dcasearch.architecture.kinds.declaration import plain
from dcasearch.architecture.resolution import can_be_coupled

DOCS = Path(__file__).parents[2] / "docs"
METHOD = (DOCS / "method.md").read_text()


def shape(of: Shape, branches: int = 1) -> str:
    return (f"{branches} x " if branches > 1 else "") + f"({', '.join(of)})"


def option(declared: Option) -> str:
    default = declared.unset if declared.default is None else plain(declared.default)
    return f"`{declared.name}` ({default}; {declared.known}): {declared.says}"


def lines(name: str, kind: Kind) -> Iterator[str]:
    """Yield a kind's lines of the table: one a dimension."""
    options = "; ".join(map(option, kind.options))
    for n, (dimension, state) in enumerate(kind.dimensions.items() or [("–", None)]):
        first = [f"`{name}`", kind.title, kind.place if name != "none" else ""] if n == 0 else ["", "", ""]
        yield _row([*first, dimension, *_words(state), options if n == 0 else ""])


def _words(state: State | None) -> list[str]:
    if state is None:
        return ["–", "–", "–"]
    return [
        f"{state.extraction}, {shape(state.g, state.branches)}",
        f"{state.transformation}{'' if state.learnable else ' (nothing learned)'}, {shape(state.t)}",
        state.fusion,
    ]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


@pytest.mark.parametrize("name", KINDS)
def test_the_docs_table_has_the_lines_of_every_declared_kind(name: str) -> None:
    expected = "\n".join(lines(name, KINDS[name]))
    assert f"\n{expected}\n" in METHOD


def test_the_docs_table_has_no_kind_that_is_not_declared() -> None:
    table = METHOD.split("| kind |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE) == sorted(KINDS)


def test_the_docs_name_every_dimension() -> None:
    assert all(f"| {dimension} |" in METHOD for dimension in dimensions())


def test_the_docs_name_the_kinds_that_can_be_coupled() -> None:
    assert f"coupled (kinds that declare it: {can_be_coupled()})" in (DOCS / "yaml.md").read_text()
