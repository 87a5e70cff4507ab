"""Figures as Chromium draws them, as an image and as a part of a page, on light and dark pages."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dcasearch.report.figures.canvas import Figure, canvas, finished
from dcasearch.report.figures.theme import BLUE, DARK, INK, PAPER, STYLE
from tests.browser import browser

pytestmark = pytest.mark.slow
EMULATE = "Emulation.setEmulatedMedia"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def hollow() -> Figure:
    """A line, text, and large marks that have an edge and no ground of their own."""
    with matplotlib.rc_context(STYLE):
        drawn, [axes] = canvas(2.0)
        axes.grid(visible=False)  # its light colour is that of dark text
        mark: dict[str, Any] = {"color": BLUE, "markerfacecolor": PAPER, "markersize": 40, "markeredgewidth": 12}
        axes.plot([1, 2, 3], [1, 2, 1], "o", linestyle="none", **mark)
        axes.text(2, 1, "MMMM", fontsize=40, fontweight="bold", color=INK, ha="center")
        return finished("hollow", "Hollow", "Marks.", drawn, "found")


def shown(page: Any, folder: Path, body: str, scheme: str) -> NDArray[np.uint8]:
    style = "<style>:root{color-scheme:light dark}body{margin:0}</style>"
    (folder / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{style}{body}", encoding="utf-8")
    page.execute_cdp_cmd(EMULATE, {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    page.get((folder / "page.html").as_uri())
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(page.get_screenshot_as_base64()))).convert("RGB"))


def count(pixels: NDArray[np.uint8], colour: str) -> int:
    wanted = [int(colour[n : n + 2], 16) for n in (1, 3, 5)]
    return int((pixels == wanted).all(2).sum())


@pytest.mark.parametrize("embedded", ["image", "inline"])
def test_marks_and_text_have_the_colours_of_the_page(page: Any, hollow: Figure, tmp_path: Path, embedded: str) -> None:
    image = f'<img src="data:image/svg+xml;base64,{base64.b64encode(hollow.svg.encode()).decode()}">'
    body = image if embedded == "image" else hollow.svg
    light, dark = (shown(page, tmp_path, body, scheme) for scheme in ("light", "dark"))
    for colour in (BLUE, INK):
        assert count(light, colour) > 500
        assert count(light, DARK[colour]) == 0
        assert count(dark, DARK[colour]) > 500
        assert count(dark, colour) == 0


def test_a_figure_is_no_wider_than_a_phone(page: Any, hollow: Figure, tmp_path: Path) -> None:
    shown(page, tmp_path, f"<div style='width:300px'>{hollow.svg}</div>", "light")
    width = page.execute_script("return document.querySelector('svg').getBoundingClientRect().width")
    assert width == 300
