"""What a study needs to know of its data before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dcasearch.config.data_set import Data
from dcasearch.data.boxes import BoxedPart, sizes_of
from dcasearch.data.classes import open_set
from dcasearch.data.loaders import Chosen, parts_of
from dcasearch.data.preprocessing import Source
from dcasearch.data.reading import OLDEST
from dcasearch.data.sets import FilePart, PreparedPart, open_whole
from dcasearch.evaluation import fingerprint


@dataclass(frozen=True, kw_only=True)
class DataInfo:
    """A data set under a study's split and protocol."""

    fingerprint: str
    """Of the images and of the split: what two numbers must share to compare."""
    classes: int
    train_images: int
    """Images that a fidelity with `train_fraction: 1` trains on."""
    validation_images: int
    """Images that trials are compared on."""
    test_images: int
    encoded: int = 0
    """Images, of all parts, that are decoded from files whenever they are used."""
    prepared: int | None = None
    """Pixels per side of a prepared data set: no resolution may be above it."""
    channels: int = 3
    source: Source | None = None
    """What it says of its images and classes."""
    notes: tuple[str, ...] = ()
    """What was mended in its files, and what is worth knowing, a sentence each."""
    sizes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Of images with boxes: which of COCO's sizes (`small`, `medium`, `large`) objects have, in `validation` and
    `test`."""


def describe(data: Data) -> DataInfo:
    """Return what a study needs to know of its data; lists files, decodes no image.

    Raises:
        UserError: no data set has that name.
        DataError: its files are missing or of another layout, or it has not the classes that are asked for.
    """
    dataset = open_set(data)
    parts = parts_of(dataset, data, data.protocol)
    split = {"fraction": data.validation_fraction, "seed": data.split_seed}
    identity: dict[str, Any] = {"name": data.name, "images": dataset.fingerprint, "split": split}
    if data.reading != OLDEST.version and any(isinstance(part, FilePart) for part in dataset.parts):
        identity["reading"] = data.reading  # of prepared images the pixels themselves are in the fingerprint
    if data.classes is not None and dataset.classes != open_whole(data).classes:
        identity["classes"] = dataset.classes
    own = open_whole(data)
    if any(getattr(dataset, name) != getattr(own, name) for name in _PREPARATION):
        identity["preprocessing"] = {name: getattr(dataset, name) for name in _PREPARATION}
    return DataInfo(
        # The name too: equal files are normalised and cropped otherwise as `cifar10` than as `imagefolder`.
        fingerprint=fingerprint(identity),
        classes=len(dataset.classes),
        train_images=len(parts.train),
        validation_images=len(parts.each.indices),
        test_images=len(dataset.test.labels),
        encoded=sum(len(part.labels) for part in dataset.parts if isinstance(part, FilePart)),
        prepared=dataset.train.size if isinstance(dataset.train, PreparedPart) else None,
        source=dataset.source,
        notes=dataset.notes,
        sizes=_sizes(parts.each, Chosen(dataset.test, np.arange(len(dataset.test.labels)))),
    )


_PREPARATION = ("mean", "std", "interpolation", "crop")
"""What of a data set `data.preprocessing` may change."""


def _sizes(validation: Chosen, test: Chosen) -> dict[str, frozenset[str]]:
    chosen = {"validation": validation, "test": test}
    return {
        name: sizes_of(one.part.pictures, one.indices)
        for name, one in chosen.items()
        if isinstance(one.part, BoxedPart)
    }
