"""SVG as plain elements: text is escaped by the library, and a file needs nothing but itself."""

from __future__ import annotations

from xml.etree import ElementTree

FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
CHARACTER = 0.56
"""Mean width of a character, in font sizes; a file that needs nothing but itself cannot measure its font."""


class Svg:
    """A drawing that grows by elements, in pixels; attributes are SVG's with `_` for `-`, and `class_` for class."""

    def __init__(self) -> None:
        self._root = ElementTree.Element("svg", xmlns="http://www.w3.org/2000/svg", role="img")
        self._root.set("font-family", FONT)

    def add(self, tag: str, text: str | None = None, **attributes: str | float) -> None:
        """Add one element."""
        element = ElementTree.SubElement(self._root, tag, _attributes(attributes))
        element.text = text

    def text(self, x: float, y: float, text: str, *, size: float = 12, **attributes: str | float) -> None:
        """Add a line of text whose baseline is at y; it starts at x unless `text_anchor` says otherwise."""
        self.add("text", text, x=x, y=y, font_size=size, **{"fill": "#1f2937", **attributes})

    def render(self, width: float, height: float, title: str) -> str:
        """Return the file: this many pixels large, white, named for screen readers."""
        self._root.set("viewBox", f"0 0 {_number(width)} {_number(height)}")
        self._root.set("width", _number(width))
        self._root.set("height", _number(height))
        background = ElementTree.Element("rect", _attributes({"width": width, "height": height, "fill": "#ffffff"}))
        name = ElementTree.Element("title")
        name.text = title
        self._root[:0] = [name, background]
        ElementTree.indent(self._root)
        return ElementTree.tostring(self._root, encoding="unicode") + "\n"


def text_width(text: str, size: float = 12) -> float:
    """Return about how wide a text is."""
    return len(text) * size * CHARACTER


def _attributes(attributes: dict[str, str | float]) -> dict[str, str]:
    return {
        name.rstrip("_").replace("_", "-"): value if isinstance(value, str) else _number(value)
        for name, value in attributes.items()
    }


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
