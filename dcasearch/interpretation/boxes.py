"""One sheet of images with the boxes of their objects and the boxes that a detector found.

The boxes of objects are thin and white. A box that was found has the colour of its class, and a label with class and
score. All lines have a dark edge, so that they are seen on light and on dark ground.

Boxes are x1, y1, x2, y2 in pixels of the picture; H x W pixels of a picture.
"""

from __future__ import annotations

import colorsys
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dcasearch.files import write_whole
from dcasearch.interpretation.contact_sheet import wrapped
from dcasearch.interpretation.looking import Picture
from dcasearch.training.tasks.average_precision import Found, Objects

LEAST_SCORE = 0.3
"""A box of a lower score is not drawn."""
MOST = 20
"""Most boxes that are drawn in a picture: those of the highest scores."""
OBJECT = (255, 255, 255)
"""Colour of the boxes of objects."""
_SIDE, _GAP, _HEAD, _CAPTION, _COLUMNS = 336, 12, 22, 40, 4
"""Pixels of a drawn picture's longer side, between pictures, of a line of the head, above a picture; pictures a row."""
_INK, _FAINT, _PAPER = (17, 24, 39), (107, 114, 128), (255, 255, 255)
_FONT, _PADDING = 13, 3
"""Pixels: the size of a label's letters, and the space around them."""

Box: TypeAlias = tuple[float, float, float, float]
Colour: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Detected:
    """A picture, the objects that it shows, and what a detector found in it."""

    picture: Picture
    truth: Objects
    found: Found


def strongest(found: Found, least_score: float = LEAST_SCORE, most: int = MOST) -> list[int]:
    """Return the numbers of the boxes that are drawn, the highest score first; equal scores keep their order."""
    order = np.argsort(-found.scores, kind="stable")[:most]
    return [int(n) for n in order if found.scores[n] >= least_score]


def colour_of(label: int) -> Colour:
    """Return the colour of a class: neighbouring labels differ by 0.62 of the circle of hues."""
    red, green, blue = colorsys.hls_to_rgb(0.07 + 0.618034 * label % 1.0, 0.55, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_boxes(one: Detected, class_names: Sequence[str], least_score: float = LEAST_SCORE) -> Image.Image:
    """Return a picture with its boxes, its longer side 336 pixels.

    A picture in which no found box is drawn says so.

    Args:
        one: the picture.
        class_names: of labels 1, 2, 3 …
        least_score: a box of a lower score is not drawn.

    Raises:
        ValueError: a drawn box has a label that is no class. Label 0 is the background, which detectors may find.
    """
    height, width = one.picture.size
    factor = _SIDE / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    image = Image.fromarray(one.picture.pixels).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    shown = strongest(one.found, least_score)
    found = [(_scaled(one.found.boxes[n], factor), int(one.found.labels[n])) for n in shown]
    for box, label in reversed(found):  # the highest score is drawn last, so it is on top
        _outline(draw, box, colour_of(label), 3)
    for values in one.truth.boxes:
        _outline(draw, _scaled(values, factor), OBJECT, 1)
    taken: list[Box] = []
    for (box, label), n in zip(found, shown, strict=True):
        text = f"{_name(label, class_names)} {one.found.scores[n]:.2f}"
        taken.append(_label(draw, text, box, colour_of(label), size, taken))
    if not shown:
        _say(draw, _empty(one, least_score), size)
    return image


def boxes_sheet(
    detected: Sequence[Detected], class_names: Sequence[str], least_score: float = LEAST_SCORE
) -> Image.Image:
    """Return one sheet of all pictures, four in a row, with a head that explains the lines.

    Args:
        detected: the pictures, in their order on the sheet.
        class_names: of labels 1, 2, 3 …
        least_score: a box of a lower score is not drawn.

    Raises:
        ValueError: there is no picture, or a drawn box has a label that is no class.
    """
    if not detected:
        raise ValueError("a sheet needs a picture")
    columns = min(_COLUMNS, len(detected))
    rows = -(-len(detected) // columns)
    width = _GAP + columns * (_SIDE + _GAP)
    legend = [
        (OBJECT, 1, "an object that the image shows"),
        (colour_of(1), 3, f"found by the detector: a colour for each class, score at least {least_score:.2f}"),
    ]
    lines = [(colour, thick, wrapped(text, _FONT, width - 2 * _GAP - 40)) for colour, thick, text in legend]
    head = _GAP + _HEAD * sum(len(parts) for _, _, parts in lines)
    sheet = Image.new("RGB", (width, head + rows * (_CAPTION + _SIDE + _GAP)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _head(draw, lines)
    for n, one in enumerate(detected):
        left = _GAP + n % columns * (_SIDE + _GAP)
        top = head + n // columns * (_CAPTION + _SIDE + _GAP)
        name = wrapped(one.picture.name, _FONT, _SIDE)[:1]
        for line, (text, ink) in enumerate([*((part, _INK) for part in name), (_counted(one, least_score), _FAINT)]):
            draw.text((left, top + 4 + 17 * line), text, ink, _font())
        drawn = draw_boxes(one, class_names, least_score)
        sheet.paste(drawn, (left, top + _CAPTION))
        frame = left - 1, top + _CAPTION - 1, left + drawn.width, top + _CAPTION + drawn.height
        draw.rectangle(frame, outline=_FAINT)  # a white picture ends somewhere
    return sheet


def save_boxes(
    detected: Sequence[Detected], class_names: Sequence[str], path: Path, least_score: float = LEAST_SCORE
) -> None:
    """Write the sheet as a PNG.

    Raises:
        ValueError: as `boxes_sheet`.
    """
    write_whole(path, boxes_png(detected, class_names, least_score))


def boxes_png(detected: Sequence[Detected], class_names: Sequence[str], least_score: float = LEAST_SCORE) -> bytes:
    """Return the sheet as a PNG; equal pictures and boxes give equal bytes.

    Raises:
        ValueError: as `boxes_sheet`.
    """
    written = io.BytesIO()
    boxes_sheet(detected, class_names, least_score).save(written, "PNG")
    return written.getvalue()


def _empty(one: Detected, least_score: float) -> str:
    """Return why no found box is drawn."""
    found = f"nothing found with a score of at least {least_score:.2f}" if len(one.found.scores) else "nothing found"
    return found if len(one.truth.boxes) else f"no object, {found}"


def _counted(one: Detected, least_score: float) -> str:
    """Return how many boxes there are in words, e.g. `2 objects, 3 boxes drawn, 97 weaker left out`."""
    objects, drawn = len(one.truth.boxes), len(strongest(one.found, least_score))
    weaker = len(one.found.scores) - drawn
    rest = f", {weaker} weaker left out" if weaker else ""
    return f"{_many(objects, 'object', 'objects')}, {_many(drawn, 'box', 'boxes')} drawn{rest}"


def _many(count: int, singular: str, plural: str) -> str:
    return f"{count or 'no'} {singular if count < 2 else plural}"


def _name(label: int, class_names: Sequence[str]) -> str:
    if not 0 <= label <= len(class_names):
        raise ValueError(f"label {label} is none of the {len(class_names)} classes")
    return class_names[label - 1] if label else "background"


def _scaled(values: NDArray[np.float64], factor: float) -> Box:
    x1, y1, x2, y2 = (float(value) * factor for value in values)
    return x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)  # the last pixel inside; a box of zero area is a point


def _outline(draw: ImageDraw.ImageDraw, box: Box, colour: Colour, thick: int) -> None:
    """Draw a box inwards from its edge, between two dark lines of one pixel."""
    x1, y1, x2, y2 = box
    for inwards, ink, width in ((-1, _INK, thick + 2), (0, colour, thick)):
        corners = x1 + inwards, y1 + inwards, x2 - inwards, y2 - inwards
        draw.rectangle(corners, outline=ink, width=width)


def _label(
    draw: ImageDraw.ImageDraw, text: str, box: Box, colour: Colour, size: tuple[int, int], taken: Sequence[Box]
) -> Box:
    """Write a label at its box, inside the picture, where it covers the other labels least; return its place."""
    text = "\n".join(wrapped(text, _FONT, size[0] - 2 * _PADDING))
    left, top, right, bottom = draw.multiline_textbbox((0, 0), text, _font())
    width, height = right - left + 2 * _PADDING, bottom - top + 2 * _PADDING
    x1, y1, x2, y2 = box
    tried = [(x, y) for x in (x1, x2 - width) for y in (y1 - height, y1, y2, y2 - height)]
    places = [_inside((x, y, x + width, y + height), size) for x, y in tried]
    place = min(places, key=lambda one: sum(_overlap(one, other) for other in taken))  # the first of equal ones
    draw.rectangle(place, fill=colour, outline=_INK)
    draw.multiline_text((place[0] + _PADDING - left, place[1] + _PADDING - top), text, _readable(colour), _font())
    return place


def _inside(place: Box, size: tuple[int, int]) -> Box:
    """Return a place moved into a picture of a width and height; a larger one begins at its upper left corner."""
    x1, y1, x2, y2 = place
    x = max(0, round(min(x1, size[0] - 1 - (x2 - x1))))  # whole pixels: letters are sharp and everywhere the same
    y = max(0, round(min(y1, size[1] - 1 - (y2 - y1))))
    return x, y, x + x2 - x1, y + y2 - y1


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


def _readable(ground: Colour) -> Colour:
    """Return dark ink for a light ground and white for a dark one, by the ground's luma (ITU-R BT.601)."""
    red, green, blue = ground
    return _INK if 0.299 * red + 0.587 * green + 0.114 * blue > 110 else _PAPER


def _say(draw: ImageDraw.ImageDraw, text: str, size: tuple[int, int]) -> None:
    """Write words at the bottom of a picture, on a white band."""
    lines = "\n".join(wrapped(text, _FONT, size[0] - 2 * _PADDING))
    left, top, right, bottom = draw.multiline_textbbox((0, 0), lines, _font())
    width, height = right - left, bottom - top
    x, y = round((size[0] - width) / 2), size[1] - height - 3 * _PADDING
    draw.rectangle((x - _PADDING, y - _PADDING, x + width + _PADDING, y + height + _PADDING), _PAPER, _INK)
    draw.multiline_text((x - left, y - top), lines, _INK, _font())


def _head(draw: ImageDraw.ImageDraw, lines: Sequence[tuple[Colour, int, Sequence[str]]]) -> None:
    """Draw a line of each kind with its words."""
    top = _GAP
    for colour, thick, parts in lines:
        _outline(draw, (_GAP + 1, top + 2, _GAP + 29, top + 15), colour, thick)
        for part in parts:
            draw.text((_GAP + 40, top), part, _INK, _font())
            top += _HEAD


@lru_cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_FONT)
