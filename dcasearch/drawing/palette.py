"""The colours of the drawings, each with the one that takes its place on a dark screen.

Orange and blue are told apart by nearly all eyes. What only colour tells (an attention block too narrow for its name)
is also told by a text that appears under the pointer; connections differ by side and dash too.
"""

from __future__ import annotations

from collections.abc import Mapping

PAPER, BAND, INK, GREY, LINE, PALE = "#ffffff", "#f3f4f6", "#111827", "#4b5563", "#9ca3af", "#e5e7eb"
"""Ground, ground of a stage, text, secondary text, lines of the backbone, blocks that two networks share."""
ON_COLOUR = "white"
"""Text on a block's colour, the same in light and dark."""
ABOVE = ("#1d4ed8", "#0e7490", "#6d28d9", "#065f46")
"""Dimensions whose messages are channels, in their order."""
BELOW = ("#c2410c", "#a16207", "#9f1239", "#713f12")
"""Dimensions whose messages are planes, in their order."""
DASHES = ("", "7 3", "2 3", "9 3 2 3")
"""Of the dimensions of one side, in their order."""
FIRST, SECOND = "#c2410c", "#1d4ed8"
"""What only the first, or only the second, of two networks has."""
FIRST_DASH, SECOND_DASH = "8 4", "2 3"

DARK: Mapping[str, str] = {
    PAPER: "#0f172a",
    BAND: "#1e293b",
    INK: "#f1f5f9",
    GREY: "#a3b1c6",
    LINE: "#8493aa",
    PALE: "#475569",
    "#1d4ed8": "#60a5fa",
    "#0e7490": "#22d3ee",
    "#6d28d9": "#c4b5fd",
    "#065f46": "#6ee7b7",
    "#c2410c": "#fb923c",
    "#a16207": "#facc15",
    "#9f1239": "#fda4af",
    "#713f12": "#e3c29b",
}


def lighter(colour: str) -> str:
    """Return a colour half way to white, e.g. `#2563eb` as `#92b1f5`: lines and text of it show on dark ground."""
    return "#" + "".join(f"{(int(colour[at : at + 2], 16) + 255) // 2:02x}" for at in (1, 3, 5))
