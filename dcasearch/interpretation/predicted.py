"""Images of the user's own with the boxes that a detector sees in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import ImageDraw, ImageFont

from dcasearch.config.data_set import NEWEST_READING
from dcasearch.data.images import read_rgb
from dcasearch.data.reading import READINGS
from dcasearch.export.prediction import Prediction
from dcasearch.interpretation.boxes import colour_of

_LINE = 3
"""Pixels of a box's line."""


def draw_predictions(predictions: Sequence[Prediction], folder: Path) -> list[Path]:
    """Write each readable image with its boxes, classes and scores into a folder, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = sorted({guess.label for prediction in predictions for guess in prediction.guesses})
    number = {label: n for n, label in enumerate(labels, start=1)}
    font = ImageFont.load_default(16)
    written = []
    for n, prediction in enumerate(predictions, start=1):
        if prediction.unreadable is not None:
            continue
        image = read_rgb(prediction.path, READINGS[NEWEST_READING])
        pen = ImageDraw.Draw(image)
        for guess in reversed(prediction.guesses):  # the likeliest lies on top
            if guess.box is not None:
                colour = colour_of(number[guess.label])
                pen.rectangle(guess.box, outline=colour, width=_LINE)
                pen.text(
                    guess.box[:2],
                    f"{guess.label} {guess.score:.0%}",
                    fill="white",
                    font=font,
                    stroke_width=2,
                    stroke_fill="black",
                )
        file = folder / f"{n:04}-{Path(prediction.path).stem}.png"
        image.save(file)
        written.append(file)
    return written
