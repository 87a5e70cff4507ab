"""Figure 1 as it is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from dcasearch.errors import UserError
from dcasearch.paper.figure1 import draw, labelled
from dcasearch.paper.points import Panel, Point, printed_panels


def point(number: int, value: float, form: Any = "connected") -> Point:
    vanilla = "v" if form == "connected" else None
    kinds = () if form == "plain" else ("se",)
    id = "v" if form == "vanilla" else f"{form}{number}"
    label = f"SE number {number}"
    return Point(
        id=id, form=form, kinds=kinds, label=label, params=10_000 + number, value=value, seeds=1, vanilla=vanilla
    )


CROWD = Panel("crowd", "top-1 (%)", [point(0, 70, "vanilla"), *(point(n, 70 + n % 7) for n in range(1, 31))])


def labels(monkeypatch: pytest.MonkeyPatch, panels: list[Panel], path: Path) -> Iterator[list[tuple[str, Any]]]:
    """Draw, and yield for each panel the words with their boxes."""
    kept: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (kept.append(self), save(self, *a, **k))[1])
    draw(panels, path)
    (figure,) = kept
    renderer: Any = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    for axes in figure.axes:
        yield [
            (text.get_text(), Text.get_window_extent(text, renderer))
            for text in axes.texts
            if isinstance(text, Annotation) and text.get_text()
        ]


def test_labels_overlap_neither_each_other_nor_a_marker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    panels = printed_panels()
    for panel, found in zip(panels, labels(monkeypatch, panels, tmp_path / "figure.png"), strict=True):
        assert {text for text, _ in found} == {one.label for one in panel.points}
        assert not [(a, b) for (a, box), (b, other) in combinations(found, 2) if box.overlaps(other)]


def test_of_many_connected_networks_the_best_of_each_vanilla_one_has_a_label() -> None:
    assert [(one.form, one.value) for one in labelled(CROWD)] == [("vanilla", 70), ("connected", 76)]


def test_a_crowd_is_drawn_whole(tmp_path: Path) -> None:
    draw([CROWD], tmp_path / "figure.svg")
    drawn = ElementTree.parse(tmp_path / "figure.svg").getroot()
    groups = [group for group in drawn.iter() if str(group.get("id", "")).startswith("PathCollection")]
    assert len(groups) == len(CROWD.points)


def test_a_figure_is_the_same_to_the_byte_when_it_is_drawn_again(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw([CROWD], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize(
    ("panels", "name", "words"),
    [
        ([], "figure.svg", "There is nothing to draw"),
        ([CROWD], "figure.pdf", "the file ends in .svg or .png"),
        ([CROWD] * 5, "figure.svg", "5 different measurements are too many for one figure"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_sentence(panels: list[Panel], name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        draw(panels, tmp_path / name)
    assert not (tmp_path / name).exists()
