"""`shapes`: pictures that the package draws, one labelled object each, whose box is known. No file is needed.

Beside its object a picture holds distractors of no class and a noisy background (`shapes_drawing`). Every machine draws
equal pictures. A network that tells the classes has to find the object, and the box says where it is.
"""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np

from dcasearch.data.cache import cached
from dcasearch.data.reading import OLDEST, Reading
from dcasearch.data.sets import DATASETS, Boxes, DataSet, MemoryPart, Pixels
from dcasearch.data.shapes_drawing import DRAWING, OBJECTS, draw_picture
from dcasearch.data.split import Indices
from dcasearch.evaluation import fingerprint

CLASSES = tuple(sorted(OBJECTS))
SIDE = 64
IMAGES = {"train": 6000, "test": 1000}
_FIRST_SEED = {"train": 0, "test": 1_000_000}
"""Image n of a part is drawn from this seed plus n."""
_MEAN, _STD = (0.4982, 0.4989, 0.5019), (0.2240, 0.2231, 0.2222)
"""Of the training part, pixels in 0..1."""


@DATASETS.register("shapes")
def open_shapes(root: Path | None, reading: Reading = OLDEST) -> DataSet:
    """Return the shapes; nothing is drawn before it is read, and the root is not looked at."""
    test = _part("test")
    return DataSet(
        fingerprint=_fingerprint(),
        classes=CLASSES,
        train=_part("train"),
        val=test,
        test=test,
        mean=_MEAN,
        std=_STD,
        size=SIDE,
    )


def boxes_of(part: Literal["train", "test"]) -> Boxes:
    """Return the box of each picture's object, shape (n, 4): x1, y1, x2, y2 in pixels; draws the part once.

    The order is that of the part's images. x2 and y2 are the first pixels outside.
    """
    return _drawn(part)[1]


def _part(name: Literal["train", "test"]) -> MemoryPart:
    def read(scratch: Path | None) -> Pixels:
        if scratch is None:
            return Pixels(_drawn(name)[0], {})
        return cached(scratch / "cache" / _fingerprint() / name, lambda: Pixels(_drawn(name)[0], {}))

    return MemoryPart(_labels(name), read, boxes=partial(boxes_of, name))


def _labels(part: str) -> Indices:
    """Return the class of each image: all classes in turn."""
    return np.arange(IMAGES[part], dtype=np.int64) % len(CLASSES)


def _fingerprint() -> str:
    return fingerprint({"shapes": DRAWING, "side": SIDE, "images": IMAGES, "classes": CLASSES})


@lru_cache(maxsize=2)
def _drawn(part: str) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], Boxes]:
    """Return the pixels (n, 3, side, side) and the boxes (n, 4) of a part, both read-only: all callers share them."""
    pixels = np.empty((IMAGES[part], 3, SIDE, SIDE), np.uint8)
    boxes = np.empty((IMAGES[part], 4), np.float32)
    for n, label in enumerate(_labels(part)):
        drawing = draw_picture(_FIRST_SEED[part] + n, SIDE, (CLASSES[label],))
        pixels[n], boxes[n] = drawing.pixels.transpose(2, 0, 1), drawing.boxes[0]
    pixels.flags.writeable = boxes.flags.writeable = False
    return pixels, boxes
