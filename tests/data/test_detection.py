"""Batches of images and boxes for detectors."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from dcasearch.config.detector import longest_side
from dcasearch.data import coco
from dcasearch.data.batches import Share
from dcasearch.data.coco import CocoFiles, CocoPart, read_coco
from dcasearch.data.detection import DetectionBatch, DetectionLoader, moved, resized
from dcasearch.data.images import Corrupt, open_image
from dcasearch.data.shapes_coco import write_coco
from dcasearch.errors import DataError, UserError
from dcasearch.training.tasks.average_precision import DetectionMeter

COUNT = 10


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> CocoPart:
    """Ten drawn pictures of 64 pixels."""
    folder = tmp_path_factory.mktemp("coco")
    return read_coco(CocoFiles(write_coco(folder, "train", COUNT, seed=5, side=64), folder / "train"))


@pytest.fixture
def wide(tmp_path: Path) -> CocoPart:
    """One picture of 60×20 pixels: its left third is white, and a crowd is right of it."""
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, :20] = 255
    (tmp_path / "train").mkdir()
    Image.fromarray(pixels).save(tmp_path / "train" / "a.png")
    content = {
        "images": [{"id": 4, "file_name": "a.png", "width": 60, "height": 20}],
        "annotations": [
            {"id": 1, "image_id": 4, "category_id": 5, "bbox": [0, 0, 20, 20], "area": 300},
            {"id": 2, "image_id": 4, "category_id": 6, "bbox": [30, 5, 20, 10], "area": 150, "iscrowd": 1},
        ],
        "categories": [{"id": 5, "name": "dog"}, {"id": 6, "name": "eel"}],
    }
    path = tmp_path / "train.json"
    path.write_text(json.dumps(content))
    return read_coco(CocoFiles(path, tmp_path / "train"))


def annotated(wide: CocoPart, annotations: list[dict[str, Any]]) -> CocoPart:
    """Return the wide picture with other objects."""
    content = {
        "images": [{"id": 4, "file_name": "a.png", "width": 60, "height": 20}],
        "annotations": annotations,
        "categories": [{"id": 5, "name": "dog"}],
    }
    path = wide.folder / "other.json"
    path.write_text(json.dumps(content))
    return read_coco(CocoFiles(path, wide.folder))


def loader(part: CocoPart, *, max_corrupt: float = 1.0, **changes: Any) -> DetectionLoader:
    options: dict[str, Any] = {"resolution": 48, "batch_size": 4, "seed": 0, "device": torch.device("cpu"), **changes}
    return DetectionLoader(part, np.arange(len(part)), corrupt=Corrupt(len(part), max_corrupt), **options)


def ids(batches: list[DetectionBatch]) -> list[list[int]]:
    return [[int(target["image_id"]) for target in targets] for _, targets in batches]


def assert_equal(first: list[DetectionBatch], second: list[DetectionBatch]) -> None:
    assert ids(first) == ids(second)
    for (images, targets), (others, other_targets) in zip(first, second, strict=True):
        assert all(map(torch.equal, images, others))
        for target, other in zip(targets, other_targets, strict=True):
            assert target.keys() == other.keys()
            assert all(torch.equal(target[name], other[name]) for name in target)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((640, 480), (1067, 800)), ((480, 640), (800, 1067)), ((800, 800), (800, 800)), ((2000, 500), (1333, 333))],
)
def test_the_shorter_side_is_the_resolution_unless_the_longer_one_would_exceed_its_limit(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert longest_side(800) == 1333
    assert resized(size, 800, longest_side(800)) == expected


def test_no_side_vanishes() -> None:
    assert resized((10000, 1), 64, 106) == (106, 1)


def test_boxes_move_with_their_image() -> None:
    boxes = np.array([[0, 2, 10, 6]], np.float32)
    before = np.array([40, 20])
    assert moved(boxes, before, (80, 10), mirrored=False).tolist() == [[0, 1, 20, 3]]
    assert moved(boxes, before, (80, 10), mirrored=True).tolist() == [[60, 1, 80, 3]]


def test_images_are_floats_from_0_to_1_and_targets_those_of_torchvision(part: CocoPart) -> None:
    images, targets = next(loader(part).epoch(1))
    assert (len(images), len(targets)) == (4, 4)
    for image, target in zip(images, targets, strict=True):
        assert (image.shape, image.dtype) == ((3, 48, 48), torch.float32)
        assert image.min() >= 0
        assert 0.5 < image.max() <= 1
        assert target.keys() == {"boxes", "labels", "image_id"}
        objects = part.objects_of(int(target["image_id"]))
        assert target["labels"].tolist() == (objects.labels + 1).tolist()
        assert target["boxes"].shape == (len(objects.labels), 4)
        assert (target["boxes"].dtype, target["labels"].dtype) == (torch.float32, torch.int64)


def white_box(image: Tensor) -> list[int]:
    """Return the box around the bright pixels."""
    rows, columns = torch.where(image[0] > 0.5)
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]


def test_pixels_and_boxes_are_mirrored_together_in_half_of_the_epochs(wide: CocoPart) -> None:
    batches = loader(wide, resolution=20, longest=60)
    seen = []
    for epoch in range(1, 41):
        (((image,), (target,)),) = batches.epoch(epoch)
        assert target["boxes"].tolist() == [white_box(image)]
        seen.append(white_box(image)[0])
    assert set(seen) == {0, 40}
    assert 10 < seen.count(40) < 30


def test_nothing_is_mirrored_without_flip_or_in_evaluation(wide: CocoPart) -> None:
    for changes in ({"flip": False}, {"seed": None}):
        batches = loader(wide, resolution=20, longest=60, **changes)
        assert {white_box(image)[0] for epoch in range(1, 11) for (image,), _ in batches.epoch(epoch)} == {0}


def test_a_resized_image_has_resized_boxes(wide: CocoPart) -> None:
    (((image,), (target,)),) = loader(wide, resolution=10, longest=1000, flip=False).epoch(1)
    assert image.shape == (3, 10, 30)
    assert target["boxes"].tolist() == [[0, 0, 10, 10]]


def test_crowds_are_left_out_of_training_and_marked_in_evaluation(wide: CocoPart) -> None:
    ((_, (training,)),) = loader(wide).epoch(1)
    assert training["labels"].tolist() == [1]
    ((_, (target,)),) = loader(wide, seed=None).epoch(1)
    assert target["labels"].tolist() == [1, 2]
    assert target["iscrowd"].tolist() == [False, True]
    assert target["area"].tolist() == [300, 150]


def test_boxes_of_evaluation_can_be_put_back_to_the_original_image(wide: CocoPart) -> None:
    (((image,), (target,)),) = loader(wide, resolution=7, longest=19, seed=None).epoch(1)
    assert image.shape == (3, 6, 19)
    assert target["original_size"].tolist() == [60, 20]
    back = target["boxes"] * target["scale"].repeat(2)
    assert back.numpy() == pytest.approx(wide.objects_of(0).boxes, abs=1e-4)


def test_an_image_without_boxes_is_trained_on(wide: CocoPart) -> None:
    (((_,), (target,)),) = loader(annotated(wide, [])).epoch(1)
    assert (target["boxes"].shape, target["labels"].shape) == ((0, 4), (0,))


def test_a_box_that_loses_its_area_by_rounding_is_left_out_of_training(wide: CocoPart) -> None:
    thin = annotated(wide, [{"id": 1, "image_id": 4, "category_id": 5, "bbox": [0.001, 2, 1e-8, 10]}])
    assert len(thin.objects_of(0).labels) == 1
    counts = set()
    for epoch in range(1, 11):
        ((_, (target,)),) = loader(thin).epoch(epoch)
        assert (target["boxes"][:, 2:] > target["boxes"][:, :2]).all()
        counts.add((len(target["boxes"]), len(target["labels"])))
    assert counts == {(0, 0), (1, 1)}  # mirrored, it is near 60, where a float is less exact


def test_an_epoch_depends_on_seed_and_number_alone(part: CocoPart) -> None:
    first = loader(part)
    list(first.epoch(1))
    torch.manual_seed(7)
    second = list(first.epoch(2))
    assert_equal(second, list(loader(part).epoch(2)))
    assert ids(second) != ids(list(first.epoch(3)))
    assert ids(second) != ids(list(loader(part, seed=1).epoch(2)))


def test_loading_leaves_the_global_generator_as_it_was(part: CocoPart) -> None:
    before = torch.random.get_rng_state()
    list(loader(part).epoch(1))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_epoch_from_a_later_batch_on_is_the_rest_of_the_whole(
    part: CocoPart, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(loader(part, batch_size=3).epoch(1))
    read: list[str] = []

    def opened(path: str) -> Image.Image:
        read.append(path)
        return open_image(path)

    monkeypatch.setattr(coco, "open_image", opened)
    assert_equal(list(loader(part, batch_size=3).epoch(1, first_batch=1)), whole[1:])
    assert len(read) == 6


def test_the_shares_of_all_ranks_are_the_batches_of_one(part: CocoPart) -> None:
    shares = [list(loader(part, share=Share(rank, 3)).epoch(1)) for rank in range(3)]
    joined = []
    for parts in zip(*shares, strict=True):
        images = [image for part_images, _ in parts for image in part_images]
        joined.append((images, [target for _, part_targets in parts for target in part_targets]))
    assert_equal(joined, list(loader(part).epoch(1)))


def test_training_drops_an_incomplete_batch_and_evaluation_does_not(part: CocoPart) -> None:
    training, evaluation = loader(part), loader(part, seed=None)
    assert [len(images) for images, _ in training.epoch(1)] == [4, 4]
    assert ids(list(evaluation.epoch(1))) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert (len(training), len(evaluation)) == (2, 3)


def test_the_number_of_processes_changes_nothing(part: CocoPart) -> None:
    helped = loader(part, workers=1)
    for epoch in (1, 2):
        assert_equal(list(loader(part).epoch(epoch)), list(helped.epoch(epoch)))


def test_an_unreadable_image_is_skipped_and_named_once(wide: CocoPart, caplog: pytest.LogCaptureFixture) -> None:
    Path(wide.name_of(0)).write_bytes(b"")
    batches = loader(wide)
    with caplog.at_level(logging.WARNING):
        assert list(batches.epoch(1)) == list(batches.epoch(2)) == [([], [])]
    assert [wide.name_of(0) in record.getMessage() for record in caplog.records] == [True]


def test_an_image_of_another_size_is_unreadable_since_its_boxes_would_be_elsewhere(wide: CocoPart) -> None:
    Image.new("RGB", (20, 60)).save(wide.name_of(0))
    with pytest.raises(DataError, match="is 20×60, and its annotations say 60×20"):
        list(loader(wide, max_corrupt=0).epoch(1))


def test_more_ranks_than_images_of_a_batch_are_refused(part: CocoPart) -> None:
    with pytest.raises(UserError, match="5 ranks cannot share 4 images"):
        loader(part, share=Share(0, 5))


def test_the_boxes_of_evaluation_found_again_have_an_average_precision_of_100(part: CocoPart) -> None:
    pytest.importorskip("faster_coco_eval")
    meter = DetectionMeter(part.category_names)
    for _, targets in loader(part, resolution=37, seed=None).epoch(1):
        found = [{**target, "scores": torch.ones(len(target["labels"]))} for target in targets]
        meter.update(found, targets)
    assert meter.compute()["ap"] == pytest.approx(100)
