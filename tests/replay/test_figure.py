"""The figure of a comparison."""

from __future__ import annotations

from pathlib import Path

from dcasearch.replay.comparison import compare
from dcasearch.replay.figure import draw
from dcasearch.replay.searchers import SEARCHERS
from dcasearch.replay.table import Table


def test_the_figure_names_every_searcher_and_the_aim(table: Table, tmp_path: Path) -> None:
    names = ("optuna tpe", "random pick", "most parameters")
    draw(compare(table, {name: SEARCHERS[name] for name in names}, 2, aim=0.2), tmp_path / "f.svg")
    svg = (tmp_path / "f.svg").read_text()
    assert all(f"<!-- {said} -->" in svg for said in (*names, "table small: 6 architectures, aim 0.2"))
