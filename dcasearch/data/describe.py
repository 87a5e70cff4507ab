"""What a study needs to know of its data before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass

from dcasearch.config.study import Data
from dcasearch.data.loaders import parts_of
from dcasearch.data.sets import open_set
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
    channels: int = 3


def describe(data: Data) -> DataInfo:
    """Return what a study needs to know of its data; lists files, decodes no image.

    Raises:
        UserError: no data set has that name.
        DataError: its files are missing or of another layout.
    """
    dataset = open_set(data)
    parts = parts_of(dataset, data, data.protocol)
    split = {"fraction": data.validation_fraction, "seed": data.split_seed}
    return DataInfo(
        # The name too: equal files are normalised and cropped otherwise as `cifar10` than as `imagefolder`.
        fingerprint=fingerprint({"name": data.name, "images": dataset.fingerprint, "split": split}),
        classes=len(dataset.classes),
        train_images=len(parts.train),
        validation_images=len(parts.each.indices),
        test_images=len(dataset.test.labels),
    )
