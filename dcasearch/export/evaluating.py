"""An exported network, measured on images: no training, and the numbers go into SQL."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dcasearch import __version__
from dcasearch.config.data_set import Data
from dcasearch.data import DATASETS, Batch, HeldOut, Loader, Preprocessing, Split, describe, open_held_out
from dcasearch.data import preprocessing_of as prepared_by
from dcasearch.data.detection import DetectionLoader
from dcasearch.data.files import FileLoader
from dcasearch.data.memory import MemoryEvaluation
from dcasearch.data.sets import MemoryPart, Part
from dcasearch.errors import DataError, UserError
from dcasearch.evaluation import fingerprint
from dcasearch.export.answers import Answers
from dcasearch.export.loading import load_model
from dcasearch.export.model_files import task_of
from dcasearch.export.spec import Spec, load_spec
from dcasearch.measurement import Measurement, MeasurementKey
from dcasearch.metrics import TASKS
from dcasearch.store import Store, exists
from dcasearch.training.network import choose_device
from dcasearch.training.provenance import device_name
from dcasearch.training.tasks import LearningTask
from dcasearch.training.tasks.average_precision import DetectionMeter, Found, Objects
from dcasearch.training.tasks.base import metered

_SHOWN = 3
"""Classes that an error names."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Examined:
    """A measurement, and what it was made of."""

    measurement: Measurement
    class_names: tuple[str, ...]
    answers: Answers | None
    """Of a classifier."""
    of_classes: Mapping[str, float]
    """Of a detector: average precision of each class that an image shows, in percent."""
    unreadable: Mapping[str, str]
    """Images that were left out: name and why."""
    part: Part
    """What the images are of."""
    indices: tuple[int, ...] = ()
    """Of a classifier: the place in `part` of each answer's image."""
    detections: Mapping[int, tuple[Objects, Found]] = field(default_factory=dict)
    """Of a detector: by the image's id, what it shows and what was found."""


def evaluate(
    spec: str | Path,
    data: str | Path,
    *,
    split: Split = "validation",
    resolution: int | None = None,
    batch_size: int = 256,
    workers: int = 2,
    device: str = "auto",
    storage: str | None = None,
) -> Measurement:
    """Measure an exported network on images with their classes; return its metrics and what they were measured on.

    Args:
        spec: The YAML that `export`, `train` or `paper import` wrote; its weights lie beside it.
        data: A folder of images by class (`val/<class>/<image>`, or ImageNet's flat val with its ground truth), what
            `data prepare` made of one, or the folder of the spec's own data set; or the name of a data set that needs
            no folder.
        split: The data's own validation or test images; the other ones where it has no such part.
        resolution: Pixels per side; by default the spec's.
        batch_size: Images of a batch.
        workers: Processes that read image files.
        device: `auto`, `cpu`, `cuda`, `cuda:1` …
        storage: URL of the database that the numbers go to, which is made if it does not exist; None stores nothing.

    Returns:
        The measurement. With `storage`: what is stored now, which is an earlier one where equal weights were measured
        on equal images with equal preprocessing.

    Raises:
        UserError: the spec, its weights or the data are missing or broken; the classes or the colours of the data are
            not those that the network was trained for.
    """
    said = load_spec(spec)
    if storage is not None:
        check_storage(storage)
    measurement = examine(
        spec, data, split=split, resolution=resolution, batch_size=batch_size, workers=workers, device=device
    ).measurement
    return measurement if storage is None else record(said, measurement, storage)


def examine(
    spec: str | Path,
    data: str | Path,
    *,
    split: Split = "validation",
    resolution: int | None = None,
    batch_size: int = 256,
    workers: int = 2,
    device: str = "auto",
) -> Examined:
    """Measure an exported network as `evaluate` does, and keep what it said of each image; nothing is stored."""
    said = load_spec(spec)
    opened = _data(said, str(data), workers)
    _check_division(said, opened, str(data))
    found = open_held_out(opened, split)
    side = resolution or said.resolution
    preprocessing = prepared_by(found.dataset.source, side)
    _check_classes(said, found, str(data))
    _check_colours(said, preprocessing, str(data))
    where, plain = choose_device(device), preprocessing.model_dump(mode="json")
    task = task_of(said, _further(said, found))
    loader = task.open_part(
        found.dataset,
        found.part,
        opened,
        resolution=side,
        batch_size=batch_size,
        device=where,
        mixed=said.build().network.mixes_images,
    )
    network, key = load_model(spec).to(where), _key(said, found, side, plain)
    return _examined(task, network, loader, where, key=key, plain=plain, found=found)


def _examined(
    task: LearningTask,
    model: nn.Module,
    loader: Loader,
    device: torch.device,
    *,
    key: MeasurementKey,
    plain: Mapping[str, Any],
    found: HeldOut,
) -> Examined:
    started, counted, recorded = time.perf_counter(), _Counted(loader), _Recorded(model)
    meter = metered(task, model, counted, classes=key.classes, device=device, forward=recorded)
    values, classes = meter.compute(), found.dataset.classes
    measurement = Measurement(
        key=key,
        preprocessing=plain,
        values=values,
        images=counted.images,
        seconds=time.perf_counter() - started,
        device=device_name(device),
        version=__version__,
        measured=datetime.now(UTC),
    )
    assert isinstance(loader, FileLoader | MemoryEvaluation | DetectionLoader)
    unreadable, answers = loader.unreadable, None
    indices: tuple[int, ...] = ()
    if not isinstance(loader, DetectionLoader):
        indices = _readable(loader, found.part)
        names = tuple(_name(found.part, index) for index in indices)
        answers = _answers(recorded, counted, names, classes)
    return Examined(
        measurement=measurement,
        class_names=classes,
        answers=answers,
        of_classes=task.of_classes(meter, classes),
        unreadable=dict(unreadable),
        part=found.part,
        indices=indices,
        detections=meter.detections if isinstance(meter, DetectionMeter) else {},
    )


def _answers(recorded: _Recorded, counted: _Counted, names: tuple[str, ...], classes: tuple[str, ...]) -> Answers:
    return Answers(
        names=names,
        labels=torch.cat(counted.labels).numpy(),
        said=torch.cat(recorded.classes).numpy(),
        probabilities=torch.cat(recorded.probabilities).double().numpy(),
        class_names=classes,
    )


def _readable(loader: FileLoader | MemoryEvaluation, part: Part) -> tuple[int, ...]:
    """Return the images of a part that a loader yielded, in its order."""
    return tuple(index for index in loader.indices.tolist() if _name(part, index) not in loader.unreadable)


def _name(part: Part, index: int) -> str:
    return f"image {index}" if isinstance(part, MemoryPart) else part.name_of(index)


def _further(spec: Spec, found: HeldOut) -> tuple[str, ...]:
    """Return the further metrics of a task that these images have: AUROC compares two classes."""
    further = TASKS[spec.task].further
    labels = found.part.labels
    return further if len(set(labels.tolist())) > 1 else tuple(name for name in further if name != "auroc")


def check_storage(url: str) -> None:
    """Raise StorageError where a database is there and cannot be written: told before minutes of measuring."""
    if exists(url):
        Store.open(url, create=True).close()


def record(spec: Spec, measurement: Measurement, url: str) -> Measurement:
    """Store a measurement of a spec's network in a database, which is made if it does not exist.

    Returns:
        What is stored now: an earlier measurement where equal weights were measured on equal images with equal
        preprocessing.
    """
    with Store.open(url, create=True) as store:
        store.put_architecture(spec.build())
        return store.record_measurement(measurement)


def _key(spec: Spec, found: HeldOut, resolution: int, preprocessing: dict[str, Any]) -> MeasurementKey:
    return MeasurementKey(
        architecture_id=spec.id,
        weights_sha256=spec.weights.sha256,
        task=spec.task,
        data=found.fingerprint,
        split=found.split,
        classes=len(found.dataset.classes),
        resolution=resolution,
        preprocessing=fingerprint(preprocessing),
    )


class _Counted:
    """The batches of a loader, each of its images counted once, the labels kept."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self.images = 0
        self.labels: list[Tensor] = []
        """Of each batch, on the CPU; nothing of images with boxes."""

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._loader.epoch(0):
            self.images += len(batch[1])
            if isinstance(batch[1], Tensor):
                self.labels.append(batch[1].cpu())
            yield batch
        if not self.images:
            raise DataError("no image could be read, so nothing was measured")


class _Recorded:
    """A network whose likeliest classes are kept, batch by batch, on the CPU."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.classes: list[Tensor] = []
        self.probabilities: list[Tensor] = []

    def __call__(self, inputs: Any) -> Any:
        outputs = self._model(inputs)
        if isinstance(outputs, Tensor):
            probabilities, classes = outputs.float().softmax(1).max(1)
            self.probabilities.append(probabilities.cpu())
            self.classes.append(classes.cpu())
        return outputs


def _data(spec: Spec, given: str, workers: int) -> Data:
    """Return the data set of a folder: the spec's own kind where it names one, else a folder of images by class."""
    if given in DATASETS and not Path(given).is_dir():
        own = spec.data is not None and spec.data.name == given
        return spec.data.at(None) if own and spec.data else Data(name=given)
    if spec.data is not None and spec.data.columns is not None and not Path(given).is_file():
        raise UserError(f"{given} is no list: the network's images are those of a CSV or Parquet file; give that file")
    if spec.data is None or spec.data.name in ("imagefolder", "imagenet"):
        data = Data(name="imagefolder", root=given) if spec.data is None else spec.data.at(given)
        return data.model_copy(update={"workers": workers})
    return spec.data.at(given)


def _check_division(spec: Spec, opened: Data, data: str) -> None:
    """Refuse other images than those that the spec's `data.split` divided: the network may have seen any of them.

    Raises:
        DataError: the data has parts of its own, or its files are missing.
        UserError: its images, or how they are divided, are other ones.
    """
    if spec.data is None or spec.data.split is None or describe(opened).fingerprint == spec.data.fingerprint:
        return
    raise UserError(
        f"{data} holds other images than those that the network's data was divided from. Its division would call "
        "images test that the network was trained on. Give the folder or list as it was; to see what the network says "
        "of new images, use `dcasearch predict`"
    )


def _check_classes(spec: Spec, found: HeldOut, data: str) -> None:
    """Refuse data with other classes than the network's outputs: the numbers would mean nothing."""
    classes, task = found.dataset.classes, TASKS[spec.task]
    if task.width(len(classes)) != spec.num_classes:
        raise UserError(
            f"{data} has {len(classes)} classes ({_some(classes)}), and the network has {spec.num_classes} outputs"
        )
    if spec.class_names is None or classes == spec.class_names:
        return
    n = next(n for n, (has, knows) in enumerate(zip(classes, spec.class_names, strict=True)) if has != knows)
    raise UserError(
        f"{data} has other classes than the network: class {n} is '{classes[n]}' there and '{spec.class_names[n]}' in "
        "the spec. The names must be equal and in one order"
    )


def _some(classes: tuple[str, ...]) -> str:
    return ", ".join(classes[:_SHOWN]) + (", …" if len(classes) > _SHOWN else "")


def _check_colours(spec: Spec, preprocessing: Preprocessing, data: str) -> None:
    """Refuse images that are normalised otherwise than those that the network was trained on."""
    known = spec.preprocessing
    if known is None or (known.mean, known.std, known.scale) == (
        preprocessing.mean,
        preprocessing.std,
        preprocessing.scale,
    ):
        return
    raise UserError(
        f"{data} is normalised by mean {preprocessing.mean} and deviation {preprocessing.std}, and the network was "
        f"trained with {known.mean} and {known.std}: its data set is another"
    )
