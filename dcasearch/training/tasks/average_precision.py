"""COCO's twelve numbers for detections: average precision and average recall (Lin et al., 2014, cocodataset.org).

Computed by faster-coco-eval, which an extra brings; the numbers are those of pycocotools to the last bit. Percent, 0 to
100.

- `ap` is the mean over ten IoU thresholds (0.50, 0.55 … 0.95) and all classes, `ap50` and `ap75` are at one threshold.
- `ap_small`, `ap_medium`, `ap_large` count objects of an area up to 32², from 32² to 96² and from 96², in pixels of the
  original image. COCO counts an object of exactly 32² or 96² in both sizes.
- `ar1`, `ar10`, `ar100` are the recall with so many detections an image at most, `ar_small` … with 100.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from dcasearch.errors import UserError
from dcasearch.metrics import DETECTION

NUMBERS = DETECTION.metrics
"""In COCO's order."""
_UNKNOWN = -1.0
"""What COCO writes where no object counts."""

Detections: TypeAlias = Sequence[Mapping[str, Tensor]]
"""Of each image: `boxes` (n, 4), `labels` (n,) from 1, `scores` (n,), as torchvision's detectors give them."""
Targets: TypeAlias = Sequence[Mapping[str, Tensor]]
"""Of each image: `image_id` (), `boxes` (k, 4), `labels` (k,) from 1. It may have `scale` (2,), the original pixels per
pixel of the network, across and down; `area` (k,), in original pixels, else the box's; and `iscrowd` (k,)."""


@dataclass(frozen=True, eq=False)
class Objects:
    """What an image shows, in pixels of the original image."""

    boxes: NDArray[np.float64]
    """Shape (k, 4): x1, y1, x2, y2."""
    labels: NDArray[np.int64]
    """Shape (k,): classes, from 1."""
    areas: NDArray[np.float64]
    """Shape (k,): says whether an object is small, medium or large."""
    crowd: NDArray[np.bool_]
    """Shape (k,): a crowd counts neither as found nor as missed, and detections on it are no mistakes."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a detector says of an image, in pixels of the original image."""

    boxes: NDArray[np.float64]
    """Shape (n, 4): x1, y1, x2, y2."""
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Precision:
    """How well a detector finds the objects of some images."""

    numbers: Mapping[str, float]
    """By name of `NUMBERS`, in percent. A number over objects of one size is left out where no image has such an
    object."""
    classes: Mapping[str, float] = field(default_factory=dict)
    """`ap` of each class by its name; without the classes that no image shows."""


def precision_of(truth: Mapping[int, Objects], found: Mapping[int, Found], class_names: Sequence[str]) -> Precision:
    """Return COCO's numbers.

    Args:
        truth: of every image by its id, those without objects too.
        found: of the same images; where an image has no entry nothing was found in it.
        class_names: of labels 1, 2, 3 …

    Raises:
        UserError: faster-coco-eval is not installed.
        ValueError: there is no image, or something was found in an image that `truth` does not have.
    """
    if not truth or found.keys() - truth.keys():
        raise ValueError("average precision needs images, and what was found in these images alone")
    coco, evaluator = _library()
    known = coco()
    known.dataset = _dataset(truth, class_names)
    known.createIndex()
    listed = [entry for image in sorted(found) for entry in _listed(image, found[image])]
    run = evaluator(known, known.loadRes(listed), iouType="bbox", print_function=_silent)
    run.evaluate()
    run.accumulate()
    run.summarize()
    # (IoU thresholds, recalls, classes, sizes, limits of detections): all sizes, 100 detections.
    of_classes = run.eval["precision"][:, :, :, 0, -1].reshape(-1, len(class_names))
    return _percent(np.asarray(run.stats[: len(NUMBERS)]), of_classes, class_names)


def _library() -> tuple[Any, Any]:
    """Return faster-coco-eval's classes; importing them takes a second."""
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError:
        message = "average precision needs faster-coco-eval: pip install 'dcasearch[detection]'"
        raise UserError(message) from None
    return COCO, COCOeval_faster


def _silent(*words: object) -> None:
    """Print nothing."""


def _dataset(truth: Mapping[int, Objects], class_names: Sequence[str]) -> dict[str, Any]:
    """Return the objects in COCO's layout; ids of objects count from 1, since the evaluation takes 0 for none."""
    annotations: list[dict[str, Any]] = []
    for image in sorted(truth):
        objects = truth[image]
        parts = (_extents(objects.boxes), objects.labels.tolist(), objects.areas.tolist(), objects.crowd.tolist())
        for extent, label, area, crowd in zip(*parts, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": label,
                    "bbox": extent,
                    "area": area,
                    "iscrowd": int(crowd),
                }
            )
    categories = [{"id": n, "name": name} for n, name in enumerate(class_names, start=1)]
    return {"images": [{"id": image} for image in sorted(truth)], "annotations": annotations, "categories": categories}


def _listed(image: int, found: Found) -> list[dict[str, Any]]:
    parts = (_extents(found.boxes), found.labels.tolist(), found.scores.tolist())
    return [
        {"image_id": image, "category_id": label, "bbox": extent, "score": score}
        for extent, label, score in zip(*parts, strict=True)
    ]


def _extents(boxes: NDArray[np.float64]) -> list[list[float]]:
    """Return x1, y1, width, height."""
    extents: list[list[float]] = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1).tolist()
    return extents


def _percent(stats: NDArray[np.float64], of_classes: NDArray[np.float64], class_names: Sequence[str]) -> Precision:
    """Return the numbers that are known, in percent."""
    numbers = {name: 100 * float(value) for name, value in zip(NUMBERS, stats, strict=True) if value != _UNKNOWN}
    classes = {}
    for name, values in zip(class_names, of_classes.T, strict=True):
        known = values[values > _UNKNOWN]
        if len(known):
            classes[name] = 100 * float(known.mean())
    return Precision(numbers, classes)


class DetectionMeter:
    """Accumulates detections over batches, each image once, and computes COCO's numbers of all of them.

    Several ranks that measure together each have a meter, and each gets the numbers of the images of all.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        """Take the names of labels 1, 2, 3 …"""
        self._class_names = tuple(class_names)
        self._truth: dict[int, Objects] = {}
        self._found: dict[int, Found] = {}
        self._precision: Precision | None = None

    def update(self, outputs: Detections, targets: Targets) -> None:
        """Add a batch: what the detector found in each image, and what the image shows."""
        self._precision = None
        for output, target in zip(outputs, targets, strict=True):
            image = int(target["image_id"])
            self._truth[image] = objects_of(target)
            self._found[image] = found_of(output, target)

    @property
    def detections(self) -> dict[int, tuple[Objects, Found]]:
        """What each image shows and what was found in it, by the image's id; of this rank's images."""
        return {image: (objects, self._found[image]) for image, objects in self._truth.items()}

    def precision(self) -> Precision:
        """Return the numbers, and those of each class; where there are ranks, all of them have to ask."""
        if self._precision is None:
            parts: list[Any] = [(self._truth, self._found)]
            if dist.is_available() and dist.is_initialized():
                parts = [None] * dist.get_world_size()
                dist.all_gather_object(parts, (self._truth, self._found))
            truth = {image: objects for part, _ in parts for image, objects in part.items()}
            found = {image: objects for _, part in parts for image, objects in part.items()}
            self._precision = precision_of(truth, found, self._class_names)
        return self._precision

    def compute(self) -> dict[str, float]:
        """Return the numbers of everything added, by name, in percent."""
        return dict(self.precision().numbers)


def objects_of(target: Mapping[str, Tensor]) -> Objects:
    """Return what an image shows, in pixels of the original image."""
    boxes = _array(target["boxes"]) * _scale(target)
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = _array(target["area"]) if "area" in target else sides[:, 0] * sides[:, 1]
    labels = target["labels"].cpu().numpy()
    crowd = target["iscrowd"].cpu().numpy().astype(bool) if "iscrowd" in target else np.zeros(len(labels), bool)
    return Objects(boxes, labels, areas, crowd)


def found_of(output: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Found:
    """Return what a detector says of the image of a target, in pixels of the original image."""
    boxes = _array(output["boxes"]) * _scale(target)
    return Found(boxes, output["labels"].cpu().numpy(), _array(output["scores"]))


def _scale(target: Mapping[str, Tensor]) -> NDArray[np.float64]:
    scale: NDArray[np.float64] = target.get("scale", torch.ones(2)).detach().cpu().double().repeat(2).numpy()
    return scale


def _array(values: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = values.detach().cpu().double().numpy()
    return array
