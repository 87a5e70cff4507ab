from __future__ import annotations

import io
from xml.etree import ElementTree

import matplotlib
import pytest

from dcasearch.report.figures.canvas import canvas
from dcasearch.report.figures.theme import BLUE, DARK, INK, PAPER, STYLE, themed

SVG = "{http://www.w3.org/2000/svg}"


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.1."""

    def luminance(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.fixture(scope="module")
def drawn() -> str:
    with matplotlib.rc_context(STYLE):
        figure, [axes] = canvas(2.0)
        axes.plot(range(50), range(50), "o", color=BLUE)
        axes.text(3, 7, "0.123456 and α", color=INK)
        svg = io.StringIO()
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
        return svg.getvalue()


def test_text_stays_text_as_it_was_written(drawn: str) -> None:
    root = ElementTree.fromstring(themed(drawn, "some", "A title"))
    assert "0.123456 and α" in [text.text for text in root.iter(f"{SVG}text")]
    assert root[0].tag == f"{SVG}title"
    assert root[0].text == "A title"


def test_it_is_small(drawn: str) -> None:
    assert len(themed(drawn, "some", "")) < 0.6 * len(drawn)
    assert len(drawn) > 10_000


def test_ids_are_those_that_are_used_and_begin_with_the_figures_name(drawn: str) -> None:
    root = ElementTree.fromstring(themed(drawn, "some", ""))
    ids = {element.get("id") for element in root.iter()} - {None}
    values = [value for element in root.iter() for value in element.attrib.values()]
    used = {value.rpartition("#")[2].rstrip(")") for value in values if "#some-" in value}
    assert ids == used
    assert ids
    assert all(str(id).startswith("some-") for id in ids)


def test_every_colour_that_is_drawn_has_a_counterpart_on_dark_pages(drawn: str) -> None:
    text = themed(drawn, "some", "")
    sheet, _, marks = text.partition("</style>")
    assert f"stroke:{DARK[BLUE]}!important" in sheet
    assert f"fill: {BLUE}" in marks
    styles = [e.get("style", "") for e in ElementTree.fromstring(text).iter()]
    colours = {part for style in styles for part in style.replace(";", " ").split() if part.startswith("#")}
    assert colours <= DARK.keys()


@pytest.mark.parametrize("light", sorted(DARK.keys() - {PAPER}))
def test_a_colour_is_as_clear_on_dark_pages_as_on_light_ones(light: str) -> None:
    wanted = min(3.0, contrast(light, PAPER))
    assert contrast(DARK[light], DARK[PAPER]) >= 0.85 * wanted
