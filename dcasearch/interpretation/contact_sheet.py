"""Grad-CAM maps over their pictures, and one sheet of all: a row for each network, a column for each stage."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dcasearch.interpretation.looking import Look, Picture

_LARGEST, _SMALLEST = 448, 224
"""Pixels of a shown picture's longer side."""
_CELL, _GAP, _LABEL, _HEAD, _BETWEEN = 168, 8, 210, 30, 26
"""Pixels: a cell's side, the space around it, the column of words, the line of stages, the line above a picture."""
_INK, _FAINT, _PAPER = (17, 24, 39), (107, 114, 128), (255, 255, 255)


def overlay(look: Look, stage: str) -> Image.Image:
    """Return a picture under its map: half the picture, half the map's colour (red is 1, blue 0), as in the paper.

    A map that is empty is not drawn: the picture is grey, and words on it say why.
    """
    size = shown_size(look.picture)
    picture = _shown(look.picture, size)
    why = look.empty.get(stage)
    if why is not None:
        grey = picture.convert("L").convert("RGB")
        _say(grey, f"map is {why}")
        return grey
    colour = _colours()[np.rint(look.scaled(stage, size) * 255).astype(np.int64)]
    return Image.fromarray(np.rint((colour + np.asarray(picture, np.float32)) / 2).astype(np.uint8))


def contact_sheet(looks: Sequence[Sequence[Look]]) -> Image.Image:
    """Return one sheet: for each picture a group of rows, one for each network.

    Args:
        looks: per network the looks at the same pictures, in the same order.
    """
    groups = list(zip(*looks, strict=True))
    stages = max((list(look.maps) for of_one in looks for look in of_one[:1]), key=len)
    step = _CELL + _GAP
    width = _LABEL + (1 + len(stages)) * step + _GAP
    height = _HEAD + len(groups) * (len(looks) * step + _BETWEEN)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(["image", *map(_spaced, stages)]):
        draw.text((_LABEL + column * step + _CELL // 2, _HEAD // 2), title, _FAINT, _font(15), anchor="mm")
    top = _HEAD
    for group in groups:
        draw.text((_LABEL, top + _BETWEEN // 2), group[0].picture.name, _FAINT, _font(13), anchor="lm")
        top += _BETWEEN
        for look in group:
            _row(sheet, draw, look, top)
            top += step
    return sheet


def save_all(looks: Sequence[Sequence[Look]], folder: Path, shown: int) -> list[Path]:
    """Write the sheet and an overlay for every network, picture and stage; return the files, the sheet first.

    Args:
        looks: per network the looks at the same pictures, in the same order.
        folder: is made; files of equal names are written over.
        shown: how many of the first pictures are drawn.
    """
    some = [of_one[:shown] for of_one in looks]
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "contact_sheet.png"]
    contact_sheet(some).save(files[0])
    for of_one in some:
        for look in of_one:
            place = folder / look.picture.name
            place.mkdir(exist_ok=True)
            for stage in look.maps:
                files.append(place / f"{look.subject.name}-{stage}.png")
                overlay(look, stage).save(files[-1])
    return files


def shown_size(picture: Picture) -> tuple[int, int]:
    """Return height and width at which a picture is drawn: neither huge nor tiny, its proportions kept."""
    height, width = picture.size
    longer = max(height, width)
    factor = min(max(longer, _SMALLEST), _LARGEST) / longer
    return max(1, round(height * factor)), max(1, round(width * factor))


def _row(sheet: Image.Image, draw: ImageDraw.ImageDraw, look: Look, top: int) -> None:
    subject = look.subject
    lines = [
        (subject.words, _INK, 15),
        (subject.name, _FAINT, 13),
        (f"{subject.class_name(look.predicted)} {look.probability:.0%}", _INK, 15),
    ]
    if look.target != look.predicted:
        lines.append((f"explained: {subject.class_name(look.target)}", _FAINT, 13))
    lines = [(part, ink, size) for text, ink, size in lines for part in wrapped(text, size, _LABEL - 2 * _GAP)]
    y = top + _CELL // 2 - 11 * len(lines)
    for text, ink, size in lines:
        draw.text((_GAP, y), text, ink, _font(size))
        y += 22
    cells = [_shown(look.picture, shown_size(look.picture)), *(overlay(look, stage) for stage in look.maps)]
    if look.picture.box is not None:
        _outline(cells[0], look.picture)
    for column, cell in enumerate(cells):
        cell.thumbnail((_CELL, _CELL))
        left = _LABEL + column * (_CELL + _GAP)
        sheet.paste(cell, (left + (_CELL - cell.width) // 2, top + (_CELL - cell.height) // 2))


def _outline(image: Image.Image, picture: Picture) -> None:
    assert picture.box is not None
    factor = image.width / picture.size[1]
    x1, y1, x2, y2 = (value * factor for value in picture.box)
    ImageDraw.Draw(image).rectangle((x1, y1, x2 - 1, y2 - 1), outline=_PAPER, width=2)


def _shown(picture: Picture, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(picture.pixels).resize((size[1], size[0]), Image.Resampling.BICUBIC)


def _say(image: Image.Image, text: str) -> None:
    """Write words across the middle of a picture, on a white band."""
    font = _font(max(10, min(24, image.width // 12)))
    centre = (image.width // 2, image.height // 2)
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = draw.textbbox(centre, text, font, anchor="mm")
    draw.rectangle((left - 4, top - 4, right + 4, bottom + 4), _PAPER)
    draw.text(centre, text, _INK, font, anchor="mm")


def wrapped(text: str, size: int, width: int) -> list[str]:
    """Return a text in lines of at most so many pixels; a word that is wider by itself is cut."""
    font, lines = _font(size), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(_fitted(word, size, width))
    return [line for line in lines if line]


def _fitted(text: str, size: int, width: int) -> str:
    """Return a text, cut where it is wider than so many pixels."""
    font = _font(size)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _spaced(stage: str) -> str:
    """Return `stage 1` of `stage1`."""
    return stage.replace("stage", "stage ")


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@lru_cache
def _colours() -> NDArray[np.float32]:
    """Return 256 colours from blue to red, shape (256, 3), 0..255."""
    from matplotlib import colormaps  # takes a second to import

    return np.asarray(colormaps["jet"](np.arange(256))[:, :3] * 255, np.float32)
