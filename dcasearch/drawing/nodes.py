"""Blocks, and what stands after a stage, as boxes with their names and numbers."""

from __future__ import annotations

from dcasearch.architecture.kinds.declaration import NO_ATTENTION
from dcasearch.architecture.words import label_of
from dcasearch.drawing.frame import Frame
from dcasearch.drawing.palette import GREY, LINE, ON_COLOUR, PAPER
from dcasearch.drawing.places import Place
from dcasearch.drawing.svg import text_width
from dcasearch.drawing.words import colour_of

_SIZES = (11.0, 10.0, 9.0, 8.0, 7.0)
"""Of names that lie."""
_UPRIGHT = (9.0, 8.0)
"""Of names that stand."""
_EVERY = 5
"""Where blocks are too narrow for their numbers, each fifth has its."""


def draw_node(frame: Frame, place: Place, title: str) -> None:
    """Draw a node in the colour of its kind; the title is what is under the pointer."""
    node = place.node
    plain = node.kind == NO_ATTENTION
    classes = f"{node.kind} {'stage-end' if node.after_stage else 'block'}"
    with frame.svg.group(title, class_="node"):
        stroke = LINE if plain else colour_of(node.kind)
        paint: dict[str, str | float] = {"fill": PAPER if plain else colour_of(node.kind), "stroke": stroke}
        box(frame, place, frame.top, frame.bottom, {**paint, "class_": classes})
        write_in(frame, place, label_of(node.kind), GREY if plain else ON_COLOUR)


def box(frame: Frame, place: Place, top: float, bottom: float, paint: dict[str, str | float]) -> None:
    """Draw the box of a node, or a part of it between two heights."""
    radius = min(5.0, place.width / 4)
    frame.svg.add("rect", x=place.x, y=top, width=place.width, height=bottom - top, rx=radius, **paint)


def write_in(frame: Frame, place: Place, label: str, ink: str) -> None:
    """Write a node's name into its box, and a block's number below it."""
    number = "" if place.node.after_stage else str(place.number)
    middle = (frame.top + frame.bottom) / 2
    if lies(label, place.width):
        write_label(frame, place, label, ink, middle - 5 if number else middle, 0)
    else:
        write_label(frame, place, label, ink, (frame.top + frame.bottom - 15) / 2, frame.bottom - frame.top - 18)
        middle = frame.bottom - 19
    if number:
        write_number(frame, place, ink, middle + 13)


def write_label(
    frame: Frame, place: Place, label: str, ink: str, middle: float, room: float, *, bold: bool = True
) -> None:
    """Write a node's name at a height: lying where it fits, else upright where there is this much room, else not."""
    paint: dict[str, str] = {"fill": ink, "text_anchor": "middle", **({"font_weight": "600"} if bold else {})}
    x, size = place.centre, _lying(label, place.width, bold=bold)
    if size is not None:
        frame.svg.text(x, middle + 4, label, size=size, **paint)
        return
    size = next((size for size in _UPRIGHT if size < place.width and text_width(label, size, bold=True) <= room), None)
    if size is not None:
        turned = f"rotate(-90 {x + 3:.1f} {middle:.1f})"
        frame.svg.text(x + 3, middle, label, size=size, transform=turned, **paint)


def write_number(frame: Frame, place: Place, ink: str, y: float) -> None:
    """Write a block's number where it fits, else that of each fifth block."""
    number = str(place.number)
    size = next((size for size in (10.0, 9.0, 8.0) if text_width(number, size) <= place.width), None)
    if size is not None or place.number % _EVERY == 0:
        frame.svg.text(place.centre, y, number, size=size or 8.0, fill=ink, text_anchor="middle")


def lies(label: str, width: float, *, bold: bool = True) -> bool:
    """Tell whether a name lies in a box."""
    return _lying(label, width, bold=bold) is not None


def _lying(label: str, width: float, *, bold: bool) -> float | None:
    """Return the largest size in which a name lies in a box, None where there is none."""
    return next((size for size in _SIZES if text_width(label, size, bold=bold) <= width), None)
