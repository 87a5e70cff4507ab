"""COCO's twelve numbers: by hand, and against pycocotools, which is the reference."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from dcasearch.errors import UserError
from dcasearch.training.tasks.average_precision import NUMBERS, DetectionMeter, Found, Objects, precision_of

NAMES = ("circle", "square", "triangle")
UNKNOWN_SIZES = {"ap_medium", "ap_large", "ar_medium", "ar_large"}
"""Of images whose objects are all small."""


def objects(*boxes: tuple[float, ...], labels: Sequence[int] = (), crowd: Sequence[bool] = ()) -> Objects:
    array = np.array(boxes, np.float64).reshape(-1, 4)
    sides = array[:, 2:] - array[:, :2]
    labelled = np.array(labels or [1] * len(array), np.int64)
    return Objects(array, labelled, sides[:, 0] * sides[:, 1], np.array(crowd or [False] * len(array), bool))


def found(*scored: tuple[float, ...], labels: Sequence[int] = ()) -> Found:
    """Take x1, y1, x2, y2 and the score of each."""
    array = np.array(scored, np.float64).reshape(-1, 5)
    return Found(array[:, :4], np.array(labels or [1] * len(array), np.int64), array[:, 4])


def numbers(truth: Mapping[int, Objects], said: Mapping[int, Found]) -> Mapping[str, float]:
    return precision_of(truth, said, NAMES).numbers


def test_what_is_found_exactly_has_all_of_everything() -> None:
    truth = {0: objects((0, 0, 10, 10), (0, 0, 50, 50), (0, 0, 200, 200))}
    said = {0: found((0, 0, 10, 10, 0.9), (0, 0, 50, 50, 0.8), (0, 0, 200, 200, 0.7))}
    got = numbers(truth, said)
    assert got == pytest.approx(dict.fromkeys(NUMBERS, 100.0) | {"ar1": 100 / 3})


def test_the_twelve_numbers_of_boxes_by_hand() -> None:
    """Two small objects. The first is found with an IoU of 0.8 and a score of 0.9, the second not at all.

    At the seven thresholds 0.50 to 0.80 precision is 1 up to a recall of 0.5, which are 51 of 101 points. At the other
    three nothing is found. So AP is 0.7 * 51 / 101, and recall 0.7 * 0.5.
    """
    truth = {0: objects((0, 0, 10, 10)), 1: objects((0, 0, 10, 10))}
    got = numbers(truth, {0: found((0, 0, 10, 8.0000001, 0.9)), 1: found()})
    point = 100 * 51 / 101
    assert got == pytest.approx(
        {"ap": 0.7 * point, "ap50": point, "ap75": point, "ap_small": 0.7 * point}
        | dict.fromkeys(("ar1", "ar10", "ar100", "ar_small"), 35.0)
    )


def test_a_mistake_of_higher_score_halves_the_precision() -> None:
    truth = {0: objects((0, 0, 10, 10))}
    right, wrong = (0, 0, 10, 10), (20, 20, 30, 30)
    first = numbers(truth, {0: found((*wrong, 0.9), (*right, 0.8))})
    assert (first["ap"], first["ar1"], first["ar10"]) == pytest.approx((50, 0, 100))
    last = numbers(truth, {0: found((*wrong, 0.7), (*right, 0.8))})
    assert (last["ap"], last["ar1"]) == pytest.approx((100, 100))


@pytest.mark.parametrize(("height", "thresholds"), [(4.999, 0), (5, 1), (5.001, 1), (5.499, 1), (5.5, 2), (5.501, 2)])
def test_a_box_finds_an_object_at_the_thresholds_that_its_iou_reaches(height: float, thresholds: int) -> None:
    """The IoU is a tenth of the height; of the ten thresholds the first are 0.50 and 0.55."""
    got = numbers({0: objects((0, 0, 10, 10))}, {0: found((0, 0, 10, height, 0.9))})
    assert got["ap"] == pytest.approx(10 * thresholds)
    assert got["ap50"] == pytest.approx(100 if thresholds else 0)
    assert got["ap75"] == 0


@pytest.mark.parametrize(("wrong", "recalls"), [(0, (100, 100, 100)), (1, (0, 100, 100)), (9, (0, 100, 100))])
def test_recall_counts_the_1_10_and_100_detections_of_highest_score(wrong: int, recalls: tuple[float, ...]) -> None:
    got = after_mistakes(wrong)
    assert (got["ar1"], got["ar10"], got["ar100"]) == pytest.approx(recalls)


def test_what_stands_tenth_or_hundredth_counts_and_what_comes_after_does_not() -> None:
    assert [after_mistakes(wrong)["ar10"] for wrong in (9, 10)] == pytest.approx([100, 0])
    assert [after_mistakes(wrong)["ar100"] for wrong in (99, 100)] == pytest.approx([100, 0])
    assert [after_mistakes(wrong)["ap"] for wrong in (99, 100)] == pytest.approx([1, 0])


def after_mistakes(wrong: int) -> Mapping[str, float]:
    """Return the numbers of an object that is found after so many mistakes of higher score."""
    mistakes = [(20, 20, 30, 30, 0.9)] * wrong
    return numbers({0: objects((0, 0, 10, 10))}, {0: found(*mistakes, (0, 0, 10, 10, 0.5))})


@pytest.mark.parametrize(
    ("side", "sizes"),
    [
        (31.99, {"small"}),
        (32, {"small", "medium"}),
        (32.01, {"medium"}),
        (95.99, {"medium"}),
        (96, {"medium", "large"}),
        (96.01, {"large"}),
    ],
)
def test_an_object_of_exactly_32_or_96_pixels_squared_is_of_both_sizes(side: float, sizes: set[str]) -> None:
    got = numbers({0: objects((0, 0, side, side))}, {0: found((0, 0, side, side, 0.9))})
    for number in ("ap", "ar"):
        assert {size for size in ("small", "medium", "large") if f"{number}_{size}" in got} == sizes
    assert all(value == pytest.approx(100) for value in got.values())


def test_background_that_is_found_is_no_mistake() -> None:
    said = {0: found((0, 0, 10, 10, 0.99), (0, 0, 10, 10, 0.9), labels=[0, 1])}
    assert numbers({0: objects((0, 0, 10, 10))}, said)["ap"] == pytest.approx(100)


def test_an_object_that_is_found_twice_is_found_once() -> None:
    got = numbers({0: objects((0, 0, 10, 10))}, {0: found((0, 0, 10, 10, 0.9), (0, 0, 10, 10, 0.95))})
    assert got["ap"] == pytest.approx(100)


def test_a_box_of_another_class_finds_nothing() -> None:
    said = {0: found((0, 0, 10, 10, 0.9), labels=[2])}
    assert numbers({0: objects((0, 0, 10, 10), labels=[1])}, said)["ap"] == 0


def test_a_detection_on_a_crowd_is_no_mistake_and_a_crowd_is_not_missed() -> None:
    truth = {0: objects((0, 0, 10, 10), (20, 20, 40, 40), crowd=[False, True])}
    said = {0: found((22, 22, 30, 30, 0.99), (0, 0, 10, 10, 0.9))}
    assert numbers(truth, said)["ap"] == pytest.approx(100)
    assert numbers(truth, {0: found((0, 0, 10, 10, 0.9))})["ar100"] == pytest.approx(100)


@pytest.mark.parametrize("said", [{}, {0: found()}])
def test_no_detections_are_an_ap_of_zero(said: dict[int, Found]) -> None:
    got = precision_of({0: objects((0, 0, 10, 10)), 7: objects()}, said, NAMES)
    assert got.numbers == dict.fromkeys(set(NUMBERS) - UNKNOWN_SIZES, 0.0)
    assert got.classes == {"circle": 0.0}


def test_a_size_that_no_object_has_is_left_out() -> None:
    got = numbers({0: objects((0, 0, 10, 10))}, {0: found((0, 0, 10, 10, 0.9))})
    assert set(NUMBERS) - got.keys() == UNKNOWN_SIZES


def test_each_class_has_its_own_ap_and_one_that_no_image_shows_has_none() -> None:
    truth = {0: objects((0, 0, 10, 10), (20, 20, 30, 30), labels=[1, 3])}
    got = precision_of(truth, {0: found((0, 0, 10, 10, 0.9))}, NAMES)
    assert got.classes == pytest.approx({"circle": 100, "triangle": 0})
    assert got.numbers["ap"] == pytest.approx(50)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    numbers({0: objects((0, 0, 10, 10))}, {0: found((0, 0, 10, 10, 0.9))})
    assert capfd.readouterr() == ("", "")


def test_images_without_objects_alone_have_no_number() -> None:
    assert numbers({0: objects()}, {0: found((0, 0, 10, 10, 0.9))}) == {}


def test_there_must_be_images_and_nothing_may_be_found_in_others() -> None:
    for truth, said in (({}, {}), ({0: objects()}, {1: found()})):
        with pytest.raises(ValueError, match="these images alone"):
            precision_of(truth, said, NAMES)


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(UserError, match=r"pip install 'dcasearch\[detection\]'"):
        precision_of({0: objects()}, {}, NAMES)


def test_a_meter_takes_batches_in_any_order_and_an_image_twice() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    target = {"boxes": boxes, "labels": torch.tensor([1])}
    right = {"boxes": boxes, "labels": torch.tensor([1]), "scores": torch.tensor([0.9])}
    nothing = {name: value[:0] for name, value in right.items()}
    meter = DetectionMeter(NAMES)
    meter.update([nothing], [target | {"image_id": torch.tensor(5)}])
    meter.update([right, right], [target | {"image_id": torch.tensor(2)}, target | {"image_id": torch.tensor(5)}])
    assert meter.compute()["ap"] == pytest.approx(100)
    assert meter.precision().classes == pytest.approx({"circle": 100})


def test_a_meter_measures_in_pixels_of_the_original_image() -> None:
    """10 x 10 pixels of the network are 40 x 80 of the image, so the object is medium."""
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    target = {"boxes": boxes, "labels": torch.tensor([1]), "image_id": torch.tensor(0)}
    meter = DetectionMeter(NAMES)
    meter.update(
        [{"boxes": boxes, "labels": torch.tensor([1]), "scores": torch.tensor([0.9])}],
        [target | {"scale": torch.tensor([4.0, 8.0])}],
    )
    assert meter.compute()["ap_medium"] == pytest.approx(100)
    assert "ap_small" not in meter.compute()


def test_a_meter_takes_the_areas_and_crowds_that_are_given() -> None:
    boxes = torch.tensor([[0.0, 0.0, 50.0, 50.0], [60.0, 60.0, 90.0, 90.0]])
    given = {"area": torch.tensor([500.0, 900.0]), "iscrowd": torch.tensor([0, 1])}
    meter = DetectionMeter(NAMES)
    meter.update(
        [{"boxes": boxes[:1], "labels": torch.tensor([1]), "scores": torch.tensor([0.9])}],
        [{"boxes": boxes, "labels": torch.tensor([1, 1]), "image_id": torch.tensor(0), **given}],
    )
    assert meter.compute()["ap_small"] == pytest.approx(100)
    assert "ap_medium" not in meter.compute()


def drawn(images: int) -> tuple[dict[int, Objects], dict[int, Found]]:
    """Draw images with objects of every size and detections near them, beside them, and of equal scores."""
    random = np.random.RandomState(0)
    truth, said = {}, {}
    for image in range(images):
        count = random.randint(0, 6)
        corners, sides = random.uniform(0, 300, (count, 2)), random.choice([20, 60, 150], (count, 2))
        boxes = np.concatenate([corners, corners + sides], 1)
        labels = random.randint(1, 4, count)
        areas = (sides[:, 0] * sides[:, 1]).astype(np.float64)
        truth[image] = Objects(boxes, labels, areas, random.random_sample(count) < 0.1)
        near = np.repeat(boxes, 2, 0) + random.normal(0, 5, (2 * count, 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        scores = np.round(random.random_sample(2 * count), 2)
        wrong = random.random_sample(2 * count) < 0.2
        said[image] = Found(near, np.where(wrong, random.randint(1, 4, 2 * count), np.repeat(labels, 2)), scores)
    return truth, said


def by_pycocotools(truth: Mapping[int, Objects], said: Mapping[int, Found]) -> dict[str, float]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def extent(box: Any) -> list[float]:
        return [box[0], box[1], box[2] - box[0], box[3] - box[1]]

    annotations: list[dict[str, Any]] = []
    for image, shown in truth.items():
        for box, label, area, crowd in zip(shown.boxes, shown.labels, shown.areas, shown.crowd, strict=True):
            entry = {"id": len(annotations) + 1, "image_id": image, "category_id": int(label), "bbox": extent(box)}
            annotations.append(entry | {"area": area, "iscrowd": int(crowd)})
    listed = [
        {"image_id": image, "category_id": int(label), "bbox": extent(box), "score": float(score)}
        for image, one in said.items()
        for box, label, score in zip(one.boxes, one.labels, one.scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": [{"id": n} for n in truth], "annotations": annotations}
        coco.dataset["categories"] = [{"id": n} for n in (1, 2, 3)]
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(listed), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return {name: 100 * float(value) for name, value in zip(NUMBERS, run.stats, strict=True)}


def test_a_thousand_random_images_have_the_numbers_of_pycocotools() -> None:
    truth, said = drawn(1000)
    expected = by_pycocotools(truth, said)
    assert 20 < expected["ap"] < 80
    assert numbers(truth, said) == pytest.approx(expected, abs=1e-10)
    backwards = {image: said[image] for image in reversed(said)}
    assert numbers(dict(reversed(truth.items())), backwards) == numbers(truth, said)
