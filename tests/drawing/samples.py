"""Networks to draw, and what is in a drawing."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from dcasearch.architecture import Architecture, Network

SVG = "{http://www.w3.org/2000/svg}"


def network(
    backbone: Any = "resnet50", attention: Any = "cbam", after: str | None = None, **connections: Any
) -> Network:
    written: dict[str, Any] = {"connections": connections or None}
    written["backbone"] = {"name": backbone} if isinstance(backbone, str) else backbone
    written["attention"] = {"name": attention} if isinstance(attention, str) else attention
    if after is not None:
        written["stage_attention"] = {"name": after}
    return Architecture.parse(written).network


def elements(svg: str, classes: str) -> list[ElementTree.Element]:
    return [e for e in ElementTree.fromstring(svg).iter() if e.get("class") == classes]


def words(svg: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def titles(svg: str, classes: str) -> list[str]:
    """What is under the pointer on each element of a class."""
    return [e.findtext(f"{SVG}title") or "" for e in elements(svg, classes)]


def line(element: ElementTree.Element) -> ElementTree.Element:
    """Return what is seen of a connection: its group also has a transparent line for the pointer."""
    [path] = [e for e in element.iter(f"{SVG}path") if e.get("class") == "line"]
    return path
