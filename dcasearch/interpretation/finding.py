"""Validation images through a detector: what it finds in them, for a contact sheet (`boxes`).

All networks of a study get the same images: the first ones of the stratified order of the held-out images, or of the
official validation images where the study's protocol is `paper`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from dcasearch.config.checks import WITHOUT_ROOT
from dcasearch.config.data_set import Data
from dcasearch.config.study import Study
from dcasearch.data import open_set
from dcasearch.data.boxes import BoxedPart
from dcasearch.data.detection import DetectionLoader
from dcasearch.data.images import Corrupt
from dcasearch.data.loaders import parts_of
from dcasearch.data.split import stratified_order
from dcasearch.errors import DataError, UserError
from dcasearch.export import Spec, export_winner, load_model, load_spec
from dcasearch.interpretation.boxes import LEAST_SCORE, Detected, boxes_png, strongest
from dcasearch.interpretation.images import Images
from dcasearch.interpretation.looking import Picture
from dcasearch.interpretation.subjects import words_of
from dcasearch.metrics import TASKS
from dcasearch.report.sheet import Sheet
from dcasearch.store import Store
from dcasearch.training.tasks.average_precision import found_of, objects_of

IMAGES = 12
"""Of a sheet."""
_BATCH = 4


@dataclass(frozen=True, eq=False)
class Sighting:
    """What one detector found in some images."""

    network: str
    """What the network is, in words."""
    images: Images
    detected: tuple[Detected, ...]
    class_names: tuple[str, ...]

    @property
    def objects(self) -> int:
        """How many objects the images show."""
        return sum(len(one.truth.boxes) for one in self.detected)

    def drawn(self, least_score: float) -> int:
        """Return how many boxes a sheet shows."""
        return sum(len(strongest(one.found, least_score)) for one in self.detected)


def sighting_of(path: Path, *, root: str | None = None, count: int = IMAGES) -> Sighting:
    """Return what the detector of an exported spec finds in validation images of its own data set.

    Args:
        path: of the spec; the weights lie beside it.
        root: the folder of the data set; not needed for one that the package brings.
        count: how many images; all where there are fewer.

    Raises:
        UserError: the spec or its weights are missing or broken, or its network finds no boxes.
        DataError: the data is missing, of another layout, or broken, or has other classes.
    """
    spec = load_spec(path)
    if not TASKS[spec.task].finds_boxes:
        raise UserError(
            f"{path} has learned {spec.task}, so it finds no boxes; `dcasearch gradcam` draws where a classifier looks"
        )
    if spec.data is None:
        raise UserError(f"{path} does not say on which data its network was trained")
    if root is None and spec.data.name not in WITHOUT_ROOT:
        raise UserError(f"{path} was trained on {spec.data.name}; name the folder of that data with --data")
    return look_for_boxes(load_model(path), spec, spec.data.at(root), count)


def look_for_boxes(model: nn.Module, spec: Spec, data: Data, count: int) -> Sighting:
    """Return what a detector finds in validation images, in pixels of the original images.

    Args:
        model: as `load_model` gives it, on the CPU in evaluation mode.
        spec: of the model.
        data: the data set that it was trained on.
        count: how many images; all where there are fewer.

    Raises:
        UserError: the images have no boxes.
        DataError: the data is missing, of another layout, or broken, or has other classes.
    """
    dataset = open_set(data)
    if spec.class_names is not None and dataset.classes != spec.class_names:
        raise DataError(f"the images of {data.name} have other classes than the network")
    chosen = parts_of(dataset, data, data.protocol).each
    part = chosen.part
    if not isinstance(part, BoxedPart):
        raise UserError(f"the images of {data.name} have no boxes")
    order = stratified_order(part.labels[chosen.indices], data.split_seed)
    loader = DetectionLoader(
        part.pictures,
        chosen.indices[order[:count]],
        resolution=spec.resolution,
        batch_size=_BATCH,
        seed=None,
        device=torch.device("cpu"),
        corrupt=Corrupt(len(part.labels), data.max_corrupt),
    )
    images = Images(data, data.protocol)
    detected = tuple(_detections(model, loader, part))
    if not detected:
        raise DataError(f"none of the chosen images of {data.name} can be read")
    return Sighting(words_of(spec.build().network), images, detected, dataset.classes)


@torch.no_grad()
def _detections(model: nn.Module, loader: DetectionLoader, part: BoxedPart) -> list[Detected]:
    index_of = {int(number): index for index, number in enumerate(part.pictures.ids)}
    found = []
    for images, targets in loader.epoch(1):
        if not images:
            continue
        for output, target in zip(model(images), targets, strict=True):
            index = index_of[int(target["image_id"])]
            picture = Picture(Path(part.name_of(index)).name, np.asarray(part.pictures.read(index)))
            found.append(Detected(picture, objects_of(target), found_of(output, target)))
    return found


def sheet_of(store: Store, study: Study) -> Sheet:
    """Return the sheet of the detector that `dcasearch export` writes of a study.

    Where nothing is trained yet, the weights are not in the artifact store or the data is not on this machine, the
    sheet has no picture, and its caption says why.
    """
    title = "What the best detector finds"
    with tempfile.TemporaryDirectory(prefix="dcasearch-") as folder:
        path = Path(folder) / "best.yaml"
        try:
            spec = export_winner(store, study.name, path)
            seen = look_for_boxes(load_model(path), spec, study.data, IMAGES)
        except UserError as error:
            return Sheet(title, f"No image is shown: {str(error).rstrip('.')}.", None)
    return Sheet(title, _caption(spec, seen), boxes_png(seen.detected, seen.class_names))


def _caption(spec: Spec, seen: Sighting) -> str:
    where = ""
    if spec.measured is not None:
        which = "final training" if spec.measured.protocol == "test" else "training"
        where = f", {which} at fidelity {spec.measured.fidelity}, seed {spec.measured.seed}"
    return (
        f"Network: {seen.network} (architecture {spec.id}{where}). Images: {len(seen.detected)} of "
        f"{seen.images.title}, each class in proportion; every network of the study gets the same images. Boxes with a "
        f"score of at least {LEAST_SCORE:.2f} are drawn: {seen.drawn(LEAST_SCORE)} boxes for {seen.objects} objects."
    )
