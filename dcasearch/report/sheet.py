"""A contact sheet that a report shows, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass

FILE = "boxes.png"
"""What the picture is called in the report's folder."""


@dataclass(frozen=True)
class Sheet:
    """One picture of several images."""

    title: str
    caption: str
    """Which network and which images, and how the picture is read; why there is no picture where there is none."""
    png: bytes | None
