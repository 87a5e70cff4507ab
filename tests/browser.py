"""A headless Chromium for the tests of pages."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

T = TypeVar("T")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def browser(
    folder: Path, width: int = 1400, height: int = 1000, *flags: str, logs: tuple[str, ...] = ("browser",)
) -> Iterator[Any]:
    """Give a selenium driver of a Chromium whose profile is a new folder; skip where none is installed.

    Args:
        folder: of the profile.
        width: of the window, in pixels.
        height: of the window, in pixels.
        flags: further ones of Chromium.
        logs: what `get_log` will tell: `browser` the console, `performance` the requests.
    """
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, *flags, f"--user-data-dir={folder}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", dict.fromkeys(logs, "ALL"))
    opened = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield opened
    finally:
        opened.quit()


def seen(look: Callable[[], T], seconds: float = 60) -> T:
    """Return what is seen once it is something; what is seen then where it is nothing for so long."""
    end = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.3)
    return found


def text_of(page: Any, words: str = "", seconds: float = 60) -> str:
    """Return what a page shows once it shows these words."""
    from selenium.webdriver.common.by import By

    def look() -> str:
        text: str = page.find_element(By.TAG_NAME, "body").text
        return text if words in text else ""

    return seen(look, seconds) or page.find_element(By.TAG_NAME, "body").text


def errors_of(page: Any) -> list[str]:
    """Return the errors on a page's console since it was last asked."""
    return [entry["message"] for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
