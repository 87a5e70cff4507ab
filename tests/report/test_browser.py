"""The report's page in a real browser: no errors, no requests, nothing wider than the screen, dark where it is dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dcasearch.report.page import write_report
from dcasearch.report.section import Extras
from tests import browser as chromium
from tests.report.test_page import run

DESKTOP, PHONE = (1280, 800), (390, 844)
QUESTIONS = ("Which network", "How does it differ", "Is it better", "How sure", "What did it cost", "What next")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the page of a finished study."""
    store = run(tmp_path_factory.mktemp("study"))
    page, *_ = write_report(store, {"tiny": Extras()}, tmp_path_factory.mktemp("report"))
    return page.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless Chromium that tells of every request."""
    profile = tmp_path_factory.mktemp("chromium")
    with chromium.browser(profile, *DESKTOP, "--hide-scrollbars", logs=("browser", "performance")) as opened:
        yield opened


def show(browser: Any, address: str, size: tuple[int, int], scheme: str = "light") -> None:
    """Open the page on a screen of so many pixels."""
    width, height = size
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(address)


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, by WCAG."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(colour: str, other: str) -> float:
    """Contrast of two colours, by WCAG."""
    darker, lighter = sorted((luminance(colour), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_first_screen_answers_the_six_questions(browser: Any, address: str, size: tuple[int, int]) -> None:
    show(browser, address, size)
    cards = browser.execute_script(
        "return [...document.querySelectorAll('.card:not(.picture)')].map(card => "
        "[card.querySelector('h3').textContent, card.getBoundingClientRect().bottom])"
    )
    assert len(cards) == len(QUESTIONS)
    for (question, bottom), beginning in zip(cards, QUESTIONS, strict=True):
        assert question.startswith(beginning)
        assert bottom <= size[1], f"{question} ends at {bottom}"


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_nothing_but_a_table_or_a_drawing_is_wider_than_the_screen(
    browser: Any, address: str, size: tuple[int, int]
) -> None:
    show(browser, address, size)
    browser.execute_script("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]


@pytest.mark.slow
def test_it_asks_nobody_for_anything_and_reports_no_error(browser: Any, address: str) -> None:
    browser.get_log("performance"), browser.get_log("browser")
    show(browser, address, DESKTOP)
    height = browser.execute_script("return document.documentElement.scrollHeight")
    browser.execute_script(f"window.scrollTo(0, {height})")  # what is loaded lazily too
    sent = [entry["message"] for entry in browser.get_log("performance")]
    asked = [url for message in sent for url in re.findall(r'"request":\{.*?"url":"([^"]+)"', message)]
    assert address in asked
    assert [url for url in asked if url != address and not url.startswith("data:")] == []
    assert browser.get_log("browser") == []
    broken = "return [...document.images].filter(image => image.complete && !image.naturalWidth).length"
    assert browser.execute_script(broken) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_dark_is_dark_and_every_text_is_readable(browser: Any, address: str, scheme: str, dark: bool) -> None:
    show(browser, address, DESKTOP, scheme)
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (luminance(ground) < 0.02) is dark
    for chosen in ("body", ".soft", "figcaption", "th", "a", ".card h3", ".card p.rest", "summary", ".open"):
        found = browser.execute_script(
            "const one = document.querySelector(arguments[0]);"
            "const card = one.closest('.card'); return [getComputedStyle(one).color,"
            "getComputedStyle(card || document.body).backgroundColor]",
            chosen,
        )
        assert contrast(*found) >= 4.5, f"{chosen}: {found}"


@pytest.mark.slow
def test_pictures_have_a_text_and_tables_have_heads(browser: Any, address: str) -> None:
    show(browser, address, DESKTOP)
    assert browser.execute_script("return [...document.images].filter(image => !image.alt).length") == 0
    assert browser.execute_script("return [...document.querySelectorAll('table')].filter(t => !t.tHead).length") == 0
    assert browser.execute_script("return document.querySelectorAll('h1').length") == 1


@pytest.mark.slow
def test_on_paper_nothing_is_folded(browser: Any, address: str, tmp_path: Path) -> None:
    show(browser, address, DESKTOP)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown = browser.execute_script(
        "return [...document.querySelectorAll('details table, details img')].every(one => one.checkVisibility())"
    )
    assert shown
