"""One look for every figure: colours for light and dark pages, and SVG as a page takes it in.

A figure is drawn for a light page. Its SVG names each colour's counterpart for a dark page in one style sheet, so it
follows the page when it is part of it, and the system when it is a file. Readers that know no style sheets show the
light colours. The colours are those of Okabe and Ito, which people with colour-blindness tell apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

from dcasearch.drawing.svg import FONT

INK, MUTED, GREY, PALE, GRID, PAPER = "#1f2937", "#6b7280", "#9ca3af", "#d1d5db", "#e5e7eb", "#ffffff"
BLUE, ORANGE, GREEN, YELLOW, PURPLE, SKY = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#aa4499", "#7cb9e8"
DARK: Mapping[str, str] = {
    INK: "#e5e7eb",
    MUTED: "#a3aab6",
    GREY: "#7b8494",
    PALE: "#4b5563",
    GRID: "#2f3a4a",
    PAPER: "#111827",
    BLUE: "#56b4e9",
    ORANGE: "#f59663",
    GREEN: "#34c9a0",
    YELLOW: "#f2bd4b",
    PURPLE: "#d992cb",
    SKY: "#3b6f94",
}
"""The colour on a dark page, by that on a light one."""
STYLE: Any = {
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "dcasearch",
    "svg.fonttype": "none",
}
"""matplotlib's settings for every figure of the package; text stays text, so files are small and can be searched."""

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_HREF = f"{{{_XLINK}}}href"
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_FAMILY = re.compile(r"font-family:[^;]*;\s*")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_CLASS = "dcasearch-figure"


def themed(svg: str, name: str, title: str) -> str:
    """Return matplotlib's SVG small, with colours for dark pages, and such that several can stand in one page.

    Args:
        svg: As matplotlib writes it.
        name: Of the figure; ids within begin with it.
        title: What screen readers say.
    """
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(svg)
    for part in list(root):
        if part.tag.endswith("metadata") or part.find(f"{{{_SVG}}}style") is not None:
            root.remove(part)  # its style sheet would hold for the whole page
    root.set("class", _CLASS)
    root.set("role", "img")
    root.set("font-family", FONT)
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt; max-width: 100%; height: auto")
    for element in list(root.iter()):
        _shorten(element)
    _rename(root, name)
    head = ElementTree.Element(f"{{{_SVG}}}title")
    head.text = title
    sheet = ElementTree.Element(f"{{{_SVG}}}style")
    sheet.text = _sheet()
    root[:0] = [head, sheet]
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _sheet() -> str:
    """Return the rules that replace every colour on a dark page."""
    rules = (
        f'.{_CLASS} [style*="{what}: {light}"]{{{what}:{dark}!important}}'
        for light, dark in DARK.items()
        for what in ("fill", "stroke")
    )
    return "@media (prefers-color-scheme:dark){" + "".join(rules) + "}"


def _shorten(element: ElementTree.Element) -> None:
    """Round coordinates, leave the font to the root, and give equal marks their style once."""
    element.text = (element.text or "").strip() or None
    element.tail = None
    for key, value in element.attrib.items():
        short = _NUMBER.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), value)
        element.set(key, _FAMILY.sub("", short) if key == "style" else " ".join(short.split()))
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    if element.tag.endswith("defs"):  # a mark has its style from its use, where a page's rules reach it
        for mark in element:
            mark.attrib.pop("style", None)
    styles = {mark.get("style") for mark in element if mark.tag.endswith("use")}
    if len(styles) == 1 and len(element) > 1 and all(mark.tag.endswith("use") for mark in element):
        element.set("style", styles.pop() or "")
        for mark in element:
            mark.attrib.pop("style", None)


def _rename(root: ElementTree.Element, name: str) -> None:
    """Put the figure's name before the ids that are referred to, and drop all others."""
    referred = set(_references(root))
    names = {id: f"{name}-{n}" for n, id in enumerate(sorted(referred))}
    for element in root.iter():
        id = element.attrib.pop("id", None)
        if id in names:
            element.set("id", names[id])
        for key, value in element.attrib.items():
            if key == _HREF and value.startswith("#"):
                element.set(key, "#" + names[value.removeprefix("#")])
            elif "url(#" in value:
                element.set(key, _REFERENCE.sub(lambda found: f"url(#{names[found[1]]})", value))


def _references(root: ElementTree.Element) -> Iterator[str]:
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == _HREF and value.startswith("#"):
                yield value.removeprefix("#")
            yield from _REFERENCE.findall(value)
