"""A drawing as PNG, without a browser and without fonts of the machine."""

from __future__ import annotations

from pathlib import Path

_FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf")
"""Come with matplotlib; with them a PNG is the same on every machine."""
_FAMILY = "DejaVu Sans"


def to_png(svg: str, scale: float = 2.0) -> bytes:
    """Return an SVG as a PNG in its light colours.

    Args:
        svg: a drawing of this package.
        scale: pixels of the PNG for one of the SVG.
    """
    import matplotlib
    import resvg_py

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return resvg_py.svg_to_bytes(
        svg_string=svg,
        zoom=scale,
        skip_system_fonts=True,
        font_files=[str(folder / name) for name in _FONTS],
        font_family=_FAMILY,
        sans_serif_family=_FAMILY,
    )
