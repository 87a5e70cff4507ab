"""`shapes` for detection: pictures that the package draws, each of one to four objects whose boxes are known.

A study writes `data: {name: shapes}`; its pictures are others than those with one label, so the data set has a name of
its own. No file is needed, and every machine draws equal pictures (`shapes_drawing`). Beside its objects a picture
holds distractors of no class and a noisy background.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcasearch.config.data_set import SHAPES_WITH_BOXES
from dcasearch.data.boxes import BoxedPart, ShownObjects, strata
from dcasearch.data.reading import OLDEST, Reading
from dcasearch.data.sets import DATASETS, IMAGENET_MEAN, IMAGENET_STD, DataSet
from dcasearch.data.shapes_drawing import DRAWING, Drawing, draw_picture
from dcasearch.evaluation import fingerprint

CLASSES = ("circle", "square", "star")
SIDE = 128
IMAGES = {"train": 360, "test": 100}
_MOST = 4
"""Objects of a picture; where there is no room for all, it has fewer."""
_FIRST_SEED = {"train": 0, "test": 1_000_000}
"""Image n of a part is drawn from this seed plus n."""


@dataclass(frozen=True)
class DrawnPictures:
    """The pictures of one part; each is drawn once in a process, when it is wanted."""

    name: str

    def __len__(self) -> int:
        return IMAGES[self.name]

    @property
    def ids(self) -> NDArray[np.int64]:
        """The images' numbers, from 0."""
        return np.arange(len(self), dtype=np.int64)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Width and height of each, shape (n, 2)."""
        return np.full((len(self), 2), SIDE, dtype=np.int64)

    def objects_of(self, index: int) -> ShownObjects:
        """Return the objects of an image."""
        drawing = _drawn(self.name, index)
        sides = (drawing.boxes[:, 2:] - drawing.boxes[:, :2]).astype(np.float64)
        labels = np.array([CLASSES.index(name) for name in drawing.classes], dtype=np.int64)
        return ShownObjects(drawing.boxes, labels, sides[:, 0] * sides[:, 1], np.zeros(len(labels), np.bool_))

    def name_of(self, index: int) -> str:
        """Return what an image is called in a message."""
        return f"image {index} of shapes ({self.name})"

    def read(self, index: int) -> Image.Image:
        """Return an image."""
        return Image.fromarray(_drawn(self.name, index).pixels)


@DATASETS.register(SHAPES_WITH_BOXES)
def open_shapes_with_boxes(root: Path | None, reading: Reading = OLDEST) -> DataSet:
    """Return the shapes with their boxes; the root is not looked at."""
    train, test = _part("train"), _part("test")
    return DataSet(
        fingerprint=fingerprint({"shapes": DRAWING, "side": SIDE, "images": IMAGES, "most": _MOST, "boxes": CLASSES}),
        classes=CLASSES,
        train=train,
        val=test,
        test=test,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )


def _part(name: str) -> BoxedPart:
    wanted = [_wanted(seed)[0] for seed in _seeds(name)]  # few find no room, and nothing need be drawn to know
    first = np.concatenate([[0], np.cumsum([len(labels) for labels in wanted])])
    return BoxedPart(DrawnPictures(name), strata(np.concatenate(wanted), first, len(CLASSES)))


def _seeds(name: str) -> range:
    return range(_FIRST_SEED[name], _FIRST_SEED[name] + IMAGES[name])


def _wanted(seed: int) -> tuple[NDArray[np.int64], int]:
    """Return the classes of a picture's objects, and the seed that it is drawn from."""
    random = np.random.RandomState(seed)
    labels = random.randint(len(CLASSES), size=random.randint(1, _MOST + 1)).astype(np.int64)
    return labels, random.randint(2**31)


@lru_cache(maxsize=sum(IMAGES.values()))
def _drawn(name: str, index: int) -> Drawing:
    """Return a picture of a part."""
    labels, seed = _wanted(_seeds(name)[index])
    return draw_picture(seed, SIDE, tuple(CLASSES[label] for label in labels))
