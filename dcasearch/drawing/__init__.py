"""Drawings: of a network, of what two networks differ in, of an attention block; as SVG and as PNG. No torch."""

from dcasearch.drawing.difference import draw_comparison, draw_difference
from dcasearch.drawing.network import draw
from dcasearch.drawing.png import to_png

__all__ = ["draw", "draw_comparison", "draw_difference", "to_png"]
