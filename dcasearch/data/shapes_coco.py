"""Pictures of several shapes each, with their boxes, in the layout of COCO (Lin et al., 2014).

FOLDER/<part>/000000000000.png … and FOLDER/annotations/instances_<part>.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dcasearch.data.shapes_drawing import OBJECTS, Drawing, draw_picture
from dcasearch.files import replacing

CATEGORIES = tuple({"id": n, "name": name, "supercategory": "shape"} for n, name in enumerate(sorted(OBJECTS), start=1))
"""COCO's categories; ids count from 1."""


def write_coco(
    folder: Path,
    part: str,
    images: int,
    *,
    seed: int,
    side: int = 256,
    objects: tuple[int, int] = (1, 5),
) -> Path:
    """Draw pictures of several objects, write them and their boxes, and return the file of annotations.

    The file of annotations is written last. Pictures that are there are written over.

    Args:
        folder: the data set's folder; is made.
        part: e.g. `train2017`: the pictures' folder, and the name in the file of annotations.
        images: how many pictures.
        seed: of all pictures; another seed gives other pictures, so parts need seeds of their own.
        side: pixels per side.
        objects: fewest and most objects that a picture gets; where there is no room for all, it has fewer.

    Raises:
        ValueError: there is to be no picture, or `objects` is no range from 1.
    """
    if images < 1 or not 1 <= objects[0] <= objects[1]:
        raise ValueError(f"{images} images of {objects[0]} to {objects[1]} objects cannot be drawn")
    pictures = folder / part
    pictures.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(seed)
    names = sorted(OBJECTS)
    listed: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for n in range(images):
        wanted = random.randint(objects[0], objects[1] + 1)
        classes = tuple(names[k] for k in random.randint(len(names), size=wanted))
        drawing = draw_picture(random.randint(2**31), side, classes)
        file = f"{n:012}.png"
        Image.fromarray(drawing.pixels).save(pictures / file)
        listed.append({"id": n, "file_name": file, "width": side, "height": side})
        annotations += _annotations(drawing, n, first=len(annotations) + 1)
    path = folder / "annotations" / f"instances_{part}.json"
    path.parent.mkdir(exist_ok=True)
    content = {"info": {"description": f"shapes, seed {seed}"}, "licenses": [], "images": listed}
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps({**content, "annotations": annotations, "categories": CATEGORIES}))
    return path


def _annotations(drawing: Drawing, image: int, first: int) -> list[dict[str, Any]]:
    """Return COCO's entries for a picture's objects; a box is x, y, width, height, and the area is the box's."""
    of_name = {category["name"]: category["id"] for category in CATEGORIES}
    found = []
    for n, (name, box) in enumerate(zip(drawing.classes, drawing.boxes.tolist(), strict=True)):
        x1, y1, x2, y2 = box
        width, height = x2 - x1, y2 - y1
        found.append(
            {
                "id": first + n,
                "image_id": image,
                "category_id": of_name[name],
                "bbox": [x1, y1, width, height],
                "area": width * height,
                "iscrowd": 0,
            }
        )
    return found
