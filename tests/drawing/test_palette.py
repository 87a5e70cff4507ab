"""Colours that must differ do so for colour-blind eyes, and text is readable on its ground, in light and dark."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from dcasearch.architecture import KINDS
from dcasearch.drawing.palette import (
    ABOVE,
    BAND,
    BELOW,
    DARK,
    DASHES,
    FIRST,
    FIRST_DASH,
    GREY,
    INK,
    LINE,
    PALE,
    PAPER,
    SECOND,
    SECOND_DASH,
    lighter,
)

EYES = {
    "usual": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
"""On linear RGB; the last three by Machado, Oliveira and Fernandes (2009), severity 1."""
SCREENS = {"light": lambda colour: colour, "dark": DARK.__getitem__}


def linear(colour: str) -> NDArray[np.float64]:
    part = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ np.clip(rgb, 0, 1)
    f = np.cbrt(xyz / (0.9505, 1.0, 1.089))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one: str, other: str, eyes: str) -> float:
    """Return the difference of two colours in CIELAB; from about 2 on it can be seen side by side."""
    return float(np.linalg.norm(lab(np.array(EYES[eyes]) @ linear(one)) - lab(np.array(EYES[eyes]) @ linear(other))))


def contrast(one: str, other: str) -> float:
    """Return WCAG's contrast ratio."""
    low, high = sorted(float(linear(colour) @ (0.2126, 0.7152, 0.0722)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("screen", SCREENS)
def test_what_two_networks_differ_in_is_told_from_what_they_share(screen: str, eyes: str) -> None:
    shown = SCREENS[screen]
    for one, other in combinations((FIRST, SECOND, LINE, INK), 2):
        assert distance(shown(one), shown(other), eyes) > 25, (one, other)


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("screen", SCREENS)
def test_channels_are_told_from_planes(screen: str, eyes: str) -> None:
    assert distance(SCREENS[screen](ABOVE[0]), SCREENS[screen](BELOW[0]), eyes) > 25


def test_lines_that_differ_in_colour_differ_in_dash_too() -> None:
    assert len(set(DASHES)) == len(ABOVE) == len(BELOW) == len(DASHES)
    assert len({FIRST_DASH, SECOND_DASH, ""}) == 3


@pytest.mark.parametrize("screen", SCREENS)
def test_text_is_readable_on_its_ground(screen: str) -> None:
    shown = SCREENS[screen]
    for text in (INK, GREY, FIRST, SECOND):
        assert min(contrast(shown(text), shown(ground)) for ground in (PAPER, BAND)) >= 4.5, text
    assert contrast(shown(INK), shown(PALE)) >= 4.5
    for line in (*ABOVE, *BELOW):
        assert contrast(shown(line), shown(BAND)) >= 3, line
    assert contrast(shown(LINE), shown(PAPER)) >= (2.5 if screen == "light" else 3), "what two networks share is pale"


@pytest.mark.parametrize("kind", sorted(name for name in KINDS if KINDS[name].dimensions))
def test_a_kinds_colour_carries_white_text_and_its_outline_shows_on_dark_ground(kind: str) -> None:
    assert contrast(KINDS[kind].colour, "#ffffff") >= 4.5
    assert contrast(lighter(KINDS[kind].colour), DARK[BAND]) >= 3
