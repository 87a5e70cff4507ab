"""SVG as plain elements: text is escaped by the library, and a file needs nothing but itself.

Attributes hold the light colours. A style sheet inside the file replaces them on a dark screen, also where a page shows
the file as an image. What reads no style sheet (print, PNG, office programs) is light.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree

from dcasearch.drawing.palette import DARK, INK, PAPER, lighter

FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
_WIDTHS = {
    character: width
    for width, characters in ((0.3, "ijl.,;:|'!"), (0.4, "ftrI()/[] -"), (0.9, "mwMW%@→"))
    for character in characters
}
"""Of characters that are far from the mean, in font sizes, as in DejaVu Sans, which is wider than most fonts."""
CLASS = "dcasearch-drawing"
"""Of every file, so that the style sheet of one drawing inside a page touches nothing else of the page."""


class Svg:
    """A drawing that grows by elements, in pixels; attributes are SVG's with `_` for `-`, and `class_` for class."""

    def __init__(self) -> None:
        self._content = ElementTree.Element("g")
        self._open = self._content

    def add(self, tag: str, /, **attributes: str | float) -> ElementTree.Element:
        """Add one element and return it."""
        return ElementTree.SubElement(self._open, tag, _attributes(attributes))

    def text(self, x: float, y: float, text: str, *, size: float = 12, **attributes: str | float) -> None:
        """Add a line of text whose baseline is at y; it starts at x unless `text_anchor` says otherwise."""
        self.add("text", x=x, y=y, font_size=size, **{"fill": INK, **attributes}).text = text

    @contextmanager
    def group(self, title: str = "", **attributes: str | float) -> Iterator[None]:
        """Put what is added in the block into one group; its title appears under the pointer."""
        outer = self._open
        self._open = ElementTree.SubElement(outer, "g", _attributes(attributes))
        if title:
            self.add("title").text = title
        yield
        self._open = outer

    def include(self, other: Svg, y: float) -> None:
        """Add a whole other drawing, y pixels further down."""
        other._content.set("transform", f"translate(0 {_number(y)})")
        self._open.append(other._content)

    def render(self, width: float, height: float, title: str, description: str = "") -> str:
        """Return the file: this many pixels large, named and described for screen readers."""
        size = {"width": _number(width), "height": _number(height)}
        root = ElementTree.Element("svg", xmlns="http://www.w3.org/2000/svg", role="img")
        root.attrib |= {
            "class": CLASS,
            "font-family": FONT,
            "viewBox": f"0 0 {_number(width)} {_number(height)}",
            **size,
        }
        for tag, text in (("title", title), ("desc", description), ("style", _style(self._content))):
            if text:
                ElementTree.SubElement(root, tag).text = text
        ElementTree.SubElement(root, "rect", {**size, "fill": PAPER})
        root.extend(self._content)
        ElementTree.indent(root)
        return ElementTree.tostring(root, encoding="unicode") + "\n"


def text_width(text: str, size: float = 12, *, bold: bool = False) -> float:
    """Return about how wide a text is; a file that needs nothing but itself cannot measure its font."""
    return size * (1.12 if bold else 1) * sum(_WIDTHS.get(c, 0.7 if c.isupper() else 0.62) for c in text)


def wrapped(text: str, width: float, size: float = 12, *, bold: bool = False) -> list[str]:
    """Return a text in lines that are about so wide; a longer word has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", size, bold=bold) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _style(content: ElementTree.Element) -> str:
    """Return the style sheet: dark colours for those that the content has, and thicker lines under the pointer."""
    rules = {f'.{CLASS} [fill="{PAPER}"]{{fill:{DARK[PAPER]}}}'}
    for element in content.iter():
        for paint in ("fill", "stroke"):
            colour = element.get(paint, "")
            if colour in DARK:
                rules.add(f'.{CLASS} [{paint}="{colour}"]{{{paint}:{DARK[colour]}}}')
            elif colour.startswith("#") and (paint == "stroke" or element.tag == "text"):
                # Ground in a kind's own colour stays: white text is on it.
                rules.add(f'.{CLASS} {element.tag}[{paint}="{colour}"]{{{paint}:{lighter(colour)}}}')
    pointed = any("edge" in element.get("class", "").split() for element in content.iter())
    hover = f".{CLASS} .edge:hover .line{{stroke-width:4;stroke-opacity:1}}" if pointed else ""
    dark = "".join(sorted(rules))
    return f"{hover}@media screen and (prefers-color-scheme:dark){{{dark}}}"


def _attributes(attributes: dict[str, str | float]) -> dict[str, str]:
    return {
        name.rstrip("_").replace("_", "-"): value if isinstance(value, str) else _number(value)
        for name, value in attributes.items()
    }


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
