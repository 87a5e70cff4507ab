"""A drawing as PNG, and in a browser: light and dark."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dcasearch.drawing import draw, draw_difference, to_png
from tests.browser import browser
from tests.drawing.samples import network


def pixels(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.fixture(scope="module")
def svg() -> str:
    return draw(network("resnet18", "cbam", topology="chain"))


def test_a_png_has_the_drawings_size_and_shows_its_blocks_on_white(svg: str) -> None:
    shown = pixels(to_png(svg, 1.0))
    root = ElementTree.fromstring(svg)
    assert shown.shape == (round(float(root.get("height", 0))), round(float(root.get("width", 0))), 3)
    assert shown[0, 0].tolist() == [255, 255, 255]
    red = (shown == (0xBE, 0x12, 0x3C)).all(2).sum()
    assert red > 8 * 41 * 44 / 2, "eight blocks in the colour of CBAM"
    assert pixels(to_png(svg)).shape[0] == pytest.approx(2 * shown.shape[0], abs=1)


def test_text_is_seen_without_any_font_of_the_machine(svg: str) -> None:
    without = "".join(line for line in svg.splitlines(keepends=True) if "<text" not in line)
    differing = (pixels(to_png(svg, 1.0)) != pixels(to_png(without, 1.0))).any(2)
    root = ElementTree.fromstring(svg)
    texts = list(root.iter("{http://www.w3.org/2000/svg}text"))
    for text in texts:
        x, y = int(float(text.get("x", 0))), int(float(text.get("y", 0)))
        left = x - 3 if text.get("text-anchor") == "middle" else x
        assert differing[y - 9 : y, left : left + 8].any(), text.text


def test_a_drawing_and_its_png_are_the_same_when_made_again(svg: str) -> None:
    again = draw(network("resnet18", "cbam", topology="chain"))
    assert again == svg
    assert to_png(again, 0.5) == to_png(svg, 0.5)


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "ground"), [("light", 255), ("dark", 15)])
@pytest.mark.parametrize("embedded", ["image", "inline"])
def test_a_page_shows_it_in_its_own_colour_scheme(
    screen: Any, tmp_path: Path, svg: str, embedded: str, scheme: str, ground: int
) -> None:
    other = draw_difference(network("resnet18", "se"), network("resnet18", "cbam"), ("a", "b"))
    (tmp_path / "drawing.svg").write_text(svg)
    body = '<img src="drawing.svg">' if embedded == "image" else svg + other
    style = "<style>:root{color-scheme:light dark}body{margin:0}</style>"
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{style}{body}")
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    screen.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    screen.get((tmp_path / "page.html").as_uri())
    shown = pixels(base64.b64decode(screen.get_screenshot_as_base64()))
    assert shown[3, 3].tolist()[0] == ground
    assert (shown == (0xBE, 0x12, 0x3C)).all(2).sum() > 1000, "a block keeps its colour"
