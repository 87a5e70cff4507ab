"""The name under which reports and the dashboard know the drawings."""

from dcasearch.drawing import draw, draw_difference, to_png

__all__ = ["draw", "draw_difference", "to_png"]
