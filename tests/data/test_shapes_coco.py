"""Shapes in COCO's layout, read back as torchvision reads COCO."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcasearch.data.shapes_coco import write_coco
from dcasearch.data.shapes_drawing import OBJECTS


def test_pictures_and_boxes_are_in_the_layout_of_coco(tmp_path: Path) -> None:
    path = write_coco(tmp_path / "new", "train2017", 6, seed=3, side=96, objects=(2, 4))
    assert path == tmp_path / "new" / "annotations" / "instances_train2017.json"
    content = json.loads(path.read_text())
    assert [category["name"] for category in content["categories"]] == sorted(OBJECTS)
    assert [image["id"] for image in content["images"]] == list(range(6))
    annotations = content["annotations"]
    assert [one["id"] for one in annotations] == list(range(1, len(annotations) + 1))
    counts = np.bincount([one["image_id"] for one in annotations])
    assert counts.min() >= 1
    assert counts.max() <= 4
    assert len(annotations) > 6
    for image in content["images"]:
        with Image.open(tmp_path / "new" / "train2017" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"]) == (96, 96)
    for one in annotations:
        x, y, width, height = one["bbox"]
        assert 0 <= x < x + width <= 96
        assert 0 <= y < y + height <= 96
        assert one["area"] == width * height
        assert one["category_id"] in range(1, 9)
        assert one["iscrowd"] == 0


def test_equal_seeds_write_equal_files_and_others_other_ones(tmp_path: Path) -> None:
    contents = []
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        path = write_coco(tmp_path / folder, "val2017", 2, seed=seed, side=64)
        picture = (tmp_path / folder / "val2017" / "000000000001.png").read_bytes()
        contents.append((json.loads(path.read_text())["annotations"], picture))
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.parametrize(("images", "objects"), [(0, (1, 2)), (1, (0, 2)), (1, (3, 2))])
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, images: int, objects: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="cannot be drawn"):
        write_coco(tmp_path / "new", "train", images, seed=0, objects=objects)
    assert not (tmp_path / "new").exists()
