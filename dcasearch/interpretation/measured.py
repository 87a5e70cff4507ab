"""Pictures of a measurement: a classifier's most confident mistakes, or a detector's boxes, as one contact sheet."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dcasearch.data.boxes import BoxedPart
from dcasearch.data.images import read_rgb
from dcasearch.data.sets import MemoryPart, Part, PreparedPart
from dcasearch.data.split import stratified_order
from dcasearch.export.evaluating import Examined
from dcasearch.interpretation.boxes import Detected, boxes_sheet
from dcasearch.interpretation.contact_sheet import wrapped
from dcasearch.interpretation.looking import Picture

MISTAKES, BOXED = 25, 16
"""Most pictures on a sheet."""
_SIDE, _GAP, _LINE, _LINES, _COLUMNS, _FONT = 200, 12, 18, 3, 5, 13
"""Pixels of a picture's longer side, between pictures, of a line of words; lines below a picture; pictures a row."""
_INK, _FAINT, _PAPER = (17, 24, 39), (107, 114, 128), (255, 255, 255)


def mistakes_sheet(seen: Examined) -> Image.Image | None:
    """Return the mistakes that a classifier gives the highest probabilities; None where there is none.

    At most 25 pictures, the most confident first, each above its true class and what was said of it.
    """
    answers = seen.answers
    if answers is None:
        return None
    wrong = np.flatnonzero(answers.labels != answers.said)
    chosen = wrong[np.argsort(-answers.probabilities[wrong], kind="stable")][:MISTAKES].tolist()
    if not chosen:
        return None
    columns = min(_COLUMNS, len(chosen))
    height = _SIDE + _LINES * _LINE + _GAP
    size = (_GAP + columns * (_SIDE + _GAP), _GAP + -(-len(chosen) // columns) * height)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    for n, one in enumerate(chosen):
        left, top = _GAP + n % columns * (_SIDE + _GAP), _GAP + n // columns * height
        picture = _fitted(_pixels(seen.part, seen.indices[one]))
        sheet.paste(picture, (left + (_SIDE - picture.width) // 2, top + (_SIDE - picture.height) // 2))
        names = answers.class_names
        words = f"{names[answers.labels[one]]}, said {names[answers.said[one]]} {answers.probabilities[one]:.0%}"
        lines = wrapped(words, _FONT, _SIDE)[: _LINES - 1]
        for line, text in enumerate(lines):
            draw.text((left, top + _SIDE + 2 + _LINE * line), text, _INK, _font())
        name = wrapped(Path(answers.names[one]).name, _FONT, _SIDE)[0]
        draw.text((left, top + _SIDE + 2 + _LINE * len(lines)), name, _FAINT, _font())
    return sheet


def detections_sheet(seen: Examined) -> Image.Image | None:
    """Return up to 16 images with the boxes of their objects and those that were found, each class in proportion."""
    part = seen.part
    if not isinstance(part, BoxedPart):
        return None
    detected: list[Detected] = []
    for index in stratified_order(part.labels, 0).tolist():
        pair = seen.detections.get(int(part.pictures.ids[index]))
        if pair is not None and len(detected) < BOXED:
            picture = Picture(Path(part.name_of(index)).name, np.asarray(part.pictures.read(index)))
            detected.append(Detected(picture, *pair))
    return boxes_sheet(detected, seen.class_names) if detected else None


def _pixels(part: Part, index: int) -> Image.Image:
    """Return an image of a part as it is stored."""
    if isinstance(part, BoxedPart):
        return part.pictures.read(index)
    if isinstance(part, MemoryPart):
        return Image.fromarray(part.read(None).array[index].transpose(1, 2, 0))
    if isinstance(part, PreparedPart):
        return Image.fromarray(part.pixels(index).permute(1, 2, 0).numpy())
    return read_rgb(part.paths[index], part.reading)


def _fitted(image: Image.Image) -> Image.Image:
    factor = _SIDE / max(image.size)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Image.Resampling.BICUBIC)


@lru_cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_FONT)
