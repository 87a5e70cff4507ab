"""Files of annotations in COCO's layout: what is read, and every fault by its name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dcasearch.data.coco import CocoFiles, CocoPart, faults_of, layout, open_coco, read_coco
from dcasearch.data.coco_faults import Fault
from dcasearch.data.shapes_coco import CATEGORIES, write_coco
from dcasearch.errors import DataError

Content = dict[str, Any]


def made(boxes: int = 3) -> Content:
    """Two images of 40×30 pixels. The first shows so many boxes, of two categories; the second shows none."""
    return {
        "images": [
            {"id": 7, "file_name": "b.png", "width": 40, "height": 30},
            {"id": 3, "file_name": "a.png", "width": 40, "height": 30},
        ],
        "annotations": [
            {"id": n, "image_id": 7, "category_id": (20, 10)[n % 2], "bbox": [n % 20, 2, 5.5, 4], "area": n + 0.5}
            for n in range(1, boxes + 1)
        ],
        "categories": [{"id": 20, "name": "dog"}, {"id": 10, "name": "eel"}],
    }


def written(folder: Path, content: object, part: str = "train") -> CocoFiles:
    """Write a part with its two images."""
    files = CocoFiles(folder / "annotations" / f"instances_{part}.json", folder / part)
    for path in (files.annotations.parent, files.images):
        path.mkdir(parents=True, exist_ok=True)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30)).save(files.images / name)
    files.annotations.write_text(content if isinstance(content, str) else json.dumps(content))
    return files


def error_of(files: CocoFiles, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read_coco(files, **options)
    return str(caught.value)


def notes_of(part: CocoPart) -> dict[str, Fault]:
    return {note.kind: note for note in part.notes}


def test_images_and_objects_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    part = read_coco(written(tmp_path, made()))
    assert part.names == ("a.png", "b.png")
    assert part.ids.tolist() == [3, 7]
    assert part.sizes.tolist() == [[40, 30], [40, 30]]
    assert part.name_of(1) == str(tmp_path / "train" / "b.png")
    assert (part.category_names, part.category_ids.tolist()) == (("eel", "dog"), [10, 20])
    objects = part.objects_of(1)
    assert objects.boxes.tolist() == [[1, 2, 6.5, 6], [2, 2, 7.5, 6], [3, 2, 8.5, 6]]
    assert objects.labels.tolist() == [0, 1, 0]
    assert objects.areas.tolist() == [1.5, 2.5, 3.5]
    assert objects.boxes.dtype == np.float32
    assert objects.labels.dtype == np.int64


def test_what_is_read_does_not_depend_on_the_order_of_the_file(tmp_path: Path) -> None:
    mixed = {name: entries[::-1] for name, entries in made().items()}
    first, second = (read_coco(written(tmp_path / n, content)) for n, content in (("a", made()), ("b", mixed)))
    assert first.fingerprint() == second.fingerprint()
    assert first.objects.boxes.tolist() == second.objects.boxes.tolist()
    assert first.objects.areas.tolist() == second.objects.areas.tolist()


def test_drawn_pictures_are_read_as_they_were_written(tmp_path: Path) -> None:
    for part, seed in (("train2017", 1), ("val2017", 2)):
        write_coco(tmp_path, part, 5, seed=seed, side=64)
    coco = open_coco(tmp_path)
    assert coco.train.category_names == tuple(category["name"] for category in CATEGORIES)
    assert (len(coco.train), len(coco.val)) == (5, 5)
    content = json.loads((tmp_path / "annotations" / "instances_val2017.json").read_text())
    for image in range(5):
        expected = [one for one in content["annotations"] if one["image_id"] == image]
        objects = coco.val.objects_of(image)
        assert [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in objects.boxes.tolist()] == [
            one["bbox"] for one in expected
        ]
        assert (objects.labels + 1).tolist() == [one["category_id"] for one in expected]
    assert open_coco(tmp_path) is coco


def test_images_without_boxes_are_kept_and_told(tmp_path: Path) -> None:
    part = read_coco(written(tmp_path, made()))
    assert part.objects_of(0).boxes.shape == (0, 4)
    assert str(notes_of(part)["images without boxes"]) == "images without boxes: 1, kept (a.png (image 3))"


def test_a_part_may_have_no_boxes_at_all(tmp_path: Path) -> None:
    part = read_coco(written(tmp_path, made(boxes=0)))
    assert [len(part.objects_of(n).labels) for n in range(2)] == [0, 0]
    assert part.strata().tolist() == [2, 2]


def test_crowds_are_kept_marked_and_told(tmp_path: Path) -> None:
    content = made()
    content["annotations"][1]["iscrowd"] = 1
    part = read_coco(written(tmp_path, content))
    assert part.objects_of(1).crowd.tolist() == [False, True, False]
    assert (notes_of(part)["crowds"].count, notes_of(part)["crowds"].is_error) == (1, False)


def test_without_an_area_the_area_of_the_box_counts(tmp_path: Path) -> None:
    content = made()
    del content["annotations"][0]["area"]
    assert read_coco(written(tmp_path, content)).objects.areas.tolist() == [22, 2.5, 3.5]


def test_a_box_that_leaves_its_image_by_up_to_one_pixel_is_clipped(tmp_path: Path) -> None:
    content = made()
    content["annotations"][0]["bbox"] = [-0.6, 2, 5, 29]
    part = read_coco(written(tmp_path, content))
    assert part.objects_of(1).boxes[0].tolist() == pytest.approx([0, 2, 4.4, 30])
    assert notes_of(part)["boxes that leave their image by up to one pixel"].effect == "clipped"


def test_the_error_of_a_sum_is_clipped_and_not_told(tmp_path: Path) -> None:
    content = made()
    content["annotations"][0]["bbox"] = [20, 2, 20.0000001, 4]
    part = read_coco(written(tmp_path, content))
    assert part.objects_of(1).boxes[0].tolist() == [20, 2, 40, 6]
    assert set(notes_of(part)) == {"images without boxes"}


BAD_BOXES = {
    "boxes of zero area": ([5, 5, 0, 3], "skipped"),
    "boxes outside of their image": ([50, 5, 3, 3], "skipped"),
    "boxes partly outside of their image": ([30, 5, 20, 3], "clipped"),
}


@pytest.mark.parametrize(("kind", "box", "effect"), [(kind, *case) for kind, case in BAD_BOXES.items()])
def test_a_rare_box_without_area_or_outside_is_mended_and_told(
    tmp_path: Path, kind: str, box: list[float], effect: str
) -> None:
    content = made(boxes=1000)
    content["annotations"][10]["bbox"] = box
    files = written(tmp_path, content)
    part = read_coco(files)
    assert (notes_of(part)[kind].count, notes_of(part)[kind].effect) == (1, effect)
    assert len(part.objects_of(1).labels) == (1000 if effect == "clipped" else 999)
    assert (part.objects.boxes <= (40, 30, 40, 30)).all()
    assert kind in error_of(files, max_faulty=0.0009)


@pytest.mark.parametrize("kind", BAD_BOXES)
def test_boxes_without_area_or_outside_that_are_not_rare_are_errors(tmp_path: Path, kind: str) -> None:
    content = made()
    box = content["annotations"][1]["bbox"] = BAD_BOXES[kind][0]
    text = ", ".join(map(str, box))
    assert f"{kind}: 1 (annotation 2 of image 7: bbox [{text}])" in error_of(written(tmp_path, content))


def test_a_box_too_thin_for_a_float_has_no_area(tmp_path: Path) -> None:
    content = made()
    content["annotations"][0]["bbox"] = [20, 5, 1e-9, 3]
    assert "boxes of zero area: 1" in error_of(written(tmp_path, content))


def put(section: str, key: str, value: object, row: int = 0) -> Callable[[Content], None]:
    """Return what changes one entry."""
    return lambda content: content[section][row].update({key: value})


def drop(section: str, key: str, row: int = 0) -> Callable[[Content], None]:
    return lambda content: content[section][row].pop(key)


ERRORS: dict[str, tuple[Callable[[Content], Any], str]] = {
    "missing file": (put("images", "file_name", "c.png"), "images that are not on disk: 1 (c.png (image 7))"),
    "negative width": (put("annotations", "bbox", [5, 5, -2, 3]), "boxes of negative width or height: 1 (annotation 1"),
    "unknown category": (
        put("annotations", "category_id", 11),
        "annotations of an unknown category: 1 (annotation 1 of image 7: category 11)",
    ),
    "unknown image": (
        put("annotations", "image_id", 8),
        "annotations of an unknown image: 1 (annotation 1 of image 8)",
    ),
    "image twice": (put("images", "id", 3), "images with the id of another one: 1 (a.png (image 3))"),
    "annotation twice": (put("annotations", "id", 2), "annotations with the id of another one: 1 (annotation 2"),
    "category twice": (put("categories", "id", 10), "categories with the id of another one: 1 (eel (category 10))"),
    "file twice": (put("images", "file_name", "a.png"), "images with the file of another one: 1 (a.png (image 3))"),
    "name twice": (put("categories", "name", "eel"), "categories with the name of another one: 1 (eel (category 10))"),
    "no width": (put("images", "width", 0), "images whose width or height is not positive: 1 (b.png (image 7))"),
    "not a number": (put("annotations", "bbox", [5, float("nan"), 2, 3]), "not finite: 1 (annotations[0]: bbox)"),
    "infinite": (put("annotations", "area", float("inf")), "not finite: 1 (annotations[0]: area)"),
    "infinite width": (put("images", "width", float("inf")), "not finite: 1 (images[0]: width)"),
    "huge": (put("annotations", "bbox", [10**400, 1, 2, 3]), "not finite: 1 (annotations[0]: bbox)"),
    "no key": (drop("annotations", "bbox"), "entries without a key that they need: 1 (annotations[0]: bbox)"),
    "no id": (drop("images", "id"), "entries without a key that they need: 1 (images[0]: id)"),
    "three numbers": (put("annotations", "bbox", [1, 2, 3]), "its key cannot have: 1 (annotations[0]: bbox)"),
    "text": (put("annotations", "category_id", "dog"), "its key cannot have: 1 (annotations[0]: category_id)"),
    "broken pixels": (put("images", "width", 40.5), "its key cannot have: 1 (images[0]: width)"),
    "true": (put("images", "id", True), "its key cannot have: 1 (images[0]: id)"),
    "negative area": (put("annotations", "area", -1), "its key cannot have: 1 (annotations[0]: area)"),
    "no flag": (put("annotations", "iscrowd", 2), "its key cannot have: 1 (annotations[0]: iscrowd)"),
    "no name": (put("categories", "name", ""), "its key cannot have: 1 (categories[0]: name)"),
    "no entry": (lambda content: content["annotations"].append(None), "its key cannot have: 1 (annotations[3])"),
    "no image": (lambda content: content.update(images=[]), "sections without entries: 1 (images)"),
    "no category": (lambda content: content.update(categories=[]), "sections without entries: 1 (categories)"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_each_error_is_named_with_its_count_and_place(tmp_path: Path, name: str) -> None:
    change, expected = ERRORS[name]
    content = made()
    change(content)
    files = written(tmp_path, content)
    told = error_of(files)
    assert str(files.annotations) in told
    assert expected in told


def test_an_entry_that_cannot_be_read_makes_no_other_faults(tmp_path: Path) -> None:
    content = made()
    put("images", "width", "wide")(content)
    put("categories", "name", 5)(content)
    kinds = [fault.kind for fault in faults_of(written(tmp_path, content)) if fault.is_error]
    assert kinds == ["entries with a value that its key cannot have"]


def test_all_errors_are_told_at_once_with_their_first_places(tmp_path: Path) -> None:
    content = made(boxes=6)
    for row in range(5):
        put("annotations", "category_id", 99, row)(content)
    put("annotations", "image_id", 99, 5)(content)
    put("images", "file_name", "c.png")(content)
    lines = error_of(written(tmp_path, content)).splitlines()
    assert len(lines) == 4
    (unknown,) = (line for line in lines if "unknown category" in line)
    assert "category: 5 (" in unknown
    assert (unknown.count("category 99"), unknown.endswith("; …)")) == (3, True)


def test_faults_can_be_listed_errors_first(tmp_path: Path) -> None:
    content = made()
    put("images", "file_name", "c.png")(content)
    faults = faults_of(written(tmp_path, content))
    assert [(fault.kind, fault.is_error) for fault in faults] == [
        ("images that are not on disk", True),
        ("images without boxes", False),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"images": [', "cannot be read"),
        ("[1]", "holds no object"),
        ('{"images": [], "annotations": {}}', "has no list `annotations` and no list `categories`"),
    ],
)
def test_annotations_that_cannot_be_read_are_an_error(tmp_path: Path, text: str, told: str) -> None:
    assert told in error_of(written(tmp_path, text))


def test_an_image_of_another_size_and_a_file_that_is_none_are_found_on_request(tmp_path: Path) -> None:
    files = written(tmp_path, made())
    Image.new("RGB", (30, 40)).save(files.images / "a.png")
    (files.images / "b.png").write_bytes(b"no image")
    read_coco(files)
    told = error_of(files, headers=True)
    assert "images of another size than the annotations say: 1 (a.png (image 3): 30×40, not 40×30)" in told
    assert "files that are no image: 1 (b.png (image 7): " in told


def test_an_image_may_lie_in_a_folder_below(tmp_path: Path) -> None:
    content = made()
    put("images", "file_name", "more/b.png")(content)
    files = written(tmp_path, content)
    (files.images / "more").mkdir()
    (files.images / "b.png").rename(files.images / "more" / "b.png")
    assert read_coco(files).name_of(1) == str(files.images / "more" / "b.png")


def test_strata_are_the_categories_that_images_show_most(tmp_path: Path) -> None:
    content = made(boxes=5)  # odd ids are eels
    content["annotations"] += [
        {"id": 9, "image_id": 3, "category_id": 20, "bbox": [1, 1, 3, 3]},
        {"id": 8, "image_id": 3, "category_id": 10, "bbox": [1, 1, 3, 3]},
    ]
    part = read_coco(written(tmp_path, content))
    assert part.strata().tolist() == [0, 0]
    put("annotations", "category_id", 20, 6)(content)
    assert read_coco(written(tmp_path, content)).strata().tolist() == [1, 0]


def test_the_fingerprint_is_of_the_contents_and_not_of_the_place(tmp_path: Path) -> None:
    changed = made()
    put("annotations", "bbox", [0, 2, 5.5, 4])(changed)
    first, second, other = (
        read_coco(written(tmp_path / name, content)).fingerprint()
        for name, content in (("a", made()), ("b", made()), ("c", changed))
    )
    assert first == second != other


@pytest.mark.parametrize("names", [("train", "val"), ("train2014", "val2017")])
def test_the_layout_finds_both_parts_by_the_beginning_of_their_names(tmp_path: Path, names: tuple[str, str]) -> None:
    expected = [written(tmp_path, made(), name) for name in names]
    (tmp_path / "annotations" / "instances_valminusminival.json").write_text("{}")  # its folder is not there
    assert list(layout(tmp_path).values()) == expected


def test_a_missing_folder_or_file_names_the_layout(tmp_path: Path) -> None:
    expected = re.escape("annotations/instances_<part>.json and <part>/<image>")
    with pytest.raises(DataError, match=f"data.root is missing: .*{expected}"):
        layout(None)
    with pytest.raises(DataError, match=f"no folder .*/nowhere; .*{expected}"):
        layout(tmp_path / "nowhere")
    with pytest.raises(DataError, match=f"no folder `annotations`; expected {expected}"):
        layout(tmp_path)
    files = written(tmp_path, made())
    with pytest.raises(DataError, match=rf"no file `instances_val\*.json`; expected {expected}"):
        layout(tmp_path)
    (tmp_path / "annotations" / "instances_val2017.json").write_text("{}")
    with pytest.raises(DataError, match=f"no folder `val2017` for its annotations; expected {expected}"):
        layout(tmp_path)
    with pytest.raises(DataError, match=f"no folder .*/gone of images; expected {expected}"):
        read_coco(CocoFiles(files.annotations, tmp_path / "gone"))


def test_a_part_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    for part in ("train2014", "train2017", "val"):
        written(tmp_path, made(), part)
    with pytest.raises(DataError, match="folders `train2014` and `train2017`, and one alone"):
        open_coco(tmp_path)


def test_the_faults_of_both_parts_are_told_at_once(tmp_path: Path) -> None:
    for part in ("train", "val"):
        content = made()
        put("annotations", "category_id", 99)(content)
        written(tmp_path, content, part)
    with pytest.raises(DataError, match=r"instances_train.json has faults(.|\n)*instances_val.json has faults"):
        open_coco(tmp_path)


def test_parts_of_different_categories_are_refused(tmp_path: Path) -> None:
    written(tmp_path, made(), "train")
    content = made()
    put("categories", "name", "fox")(content)
    written(tmp_path, content, "val")
    with pytest.raises(DataError, match="train and val have different categories: dog, fox in one only"):
        open_coco(tmp_path)
