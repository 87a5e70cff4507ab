"""From a study's data and a protocol to the loaders of one training; the only place that knows who sees what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from dcasearch.artifacts import Place
from dcasearch.config.data_set import Data
from dcasearch.config.recipe import Recipe, Sampling
from dcasearch.data.batches import WHOLE, Loader, Normalize, Share
from dcasearch.data.boxes import BoxedPart
from dcasearch.data.classes import open_set
from dcasearch.data.files import FileLoader
from dcasearch.data.images import Corrupt
from dcasearch.data.memory import Images, MemoryEvaluation, MemoryTraining
from dcasearch.data.scratch import scratch_of
from dcasearch.data.sets import DataSet, FilePart, MemoryPart, Part, Pixels, PreparedPart
from dcasearch.data.split import Indices, mixed_order, split_train, stratified_order, subset
from dcasearch.data.views import Transform, evaluation_transform, training_transform
from dcasearch.errors import DataError, UserError
from dcasearch.evaluation import EvaluationProtocol


@dataclass(frozen=True)
class Chosen:
    """Some images of one part."""

    part: Part
    indices: Indices


@dataclass(frozen=True)
class Parts:
    """Who sees what under a protocol."""

    train: Indices
    """Of the train part, in stratified order."""
    each: Chosen
    """Evaluated after every epoch but the last."""
    final: Chosen
    """Evaluated after the last epoch: what the protocol is named for."""


def parts_of(dataset: DataSet, data: Data, protocol: EvaluationProtocol) -> Parts:
    """Return who sees what: the one place where the protocols differ.

    `search` and `test` both train on train without the held-out share and watch that share; only after its last
    epoch does `test` read the test split. `paper` trains on all of train and watches the validation images.
    """
    return _parts_of(dataset, protocol, data.validation_fraction, data.split_seed)


@lru_cache(maxsize=8)  # to order a million images takes most of a second, and every trial asks twice
def _parts_of(dataset: DataSet, protocol: EvaluationProtocol, validation_fraction: float, split_seed: int) -> Parts:
    if protocol == "paper":
        official = Chosen(dataset.val, np.arange(len(dataset.val.labels)))
        return Parts(stratified_order(dataset.train.labels, split_seed), official, official)
    split = split_train(dataset.train.labels, validation_fraction, split_seed, dataset.train.groups)
    held_out = Chosen(dataset.train, np.sort(split.validation))
    test = Chosen(dataset.test, np.arange(len(dataset.test.labels)))
    return Parts(split.train, held_out, held_out if protocol == "search" else test)


@dataclass(frozen=True)
class Loaders:
    """The loaders of one training."""

    train: Loader
    each: Loader
    """Evaluated after every epoch but the last."""
    final: Loader
    """Evaluated after the last epoch."""
    class_names: tuple[str, ...]
    corrupt: Corrupt
    """Unreadable images met so far."""
    class_images: Indices | None = None
    """Training images of each class, shape (classes,), unreadable ones among them; None where images have boxes."""

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)


class _Factory:
    """Makes loaders of whichever kind a part needs."""

    def __init__(
        self,
        data: Data,
        *,
        resolution: int,
        batch_size: int,
        artifacts: Place | None,
        device: torch.device,
        share: Share = WHOLE,
        channels_last: bool = False,
        mixed: bool = False,
        dataset: DataSet | None = None,
    ) -> None:
        self.dataset = open_set(data) if dataset is None else dataset
        self._share, self._mixed = share, mixed
        if share.world > batch_size:
            raise UserError(f"{share.world} ranks cannot share batches of {batch_size} images")
        self._data, self._resolution, self._batch_size = data, resolution, batch_size
        self._scratch = None if artifacts is None else scratch_of(data, artifacts)
        self._device, self._channels_last = device, channels_last
        self._normalize = Normalize(self.dataset.mean, self.dataset.std, device)
        self.corrupt = Corrupt(self._images(), data.max_corrupt)

    def _images(self) -> int:
        parts = {id(part): len(part.labels) for part in (self.dataset.train, self.dataset.val, self.dataset.test)}
        return sum(parts.values())

    def training(self, indices: Indices, recipe: Recipe, seed: int) -> Loader:
        part = self.dataset.train
        self._check(indices)
        if not isinstance(part, MemoryPart):
            transform = training_transform(
                self._resolution,
                recipe.augmentation,
                exact=_is_exact(part),
                interpolation=self.dataset.interpolation,
            )
            return self._files(part, indices, transform, seed, recipe.sampling)
        return MemoryTraining(
            self._memory(part, indices),
            resolution=self._resolution,
            batch_size=self._batch_size,
            augmentation=recipe.augmentation,
            seed=seed,
            share=self._share,
            sampling=recipe.sampling,
        )

    def evaluation(self, chosen: Chosen) -> Loader:
        self._check(chosen.indices)
        indices = mixed_order(chosen.indices) if self._mixed else chosen.indices
        if not isinstance(chosen.part, MemoryPart):
            transform = evaluation_transform(
                self._resolution,
                exact=_is_exact(chosen.part),
                interpolation=self.dataset.interpolation,
                crop=self.dataset.crop,
            )
            return self._files(chosen.part, indices, transform, None)
        images = self._memory(chosen.part, indices)
        return MemoryEvaluation(images, resolution=self._resolution, batch_size=self._batch_size, share=self._share)

    def _check(self, indices: Indices) -> None:
        if len(indices) < self._share.world:
            raise UserError(f"{self._share.world} ranks cannot share {len(indices)} images")

    def _memory(self, part: MemoryPart, indices: Indices) -> Images:
        pixels: Pixels = part.read(self._scratch)
        for path, reason in pixels.unreadable.values():
            self.corrupt.add(path, reason)
        way = self.dataset.interpolation
        return Images(pixels, part.labels, indices, self._normalize, self._device, way)

    def _files(
        self,
        part: FilePart | PreparedPart | BoxedPart,
        indices: Indices,
        transform: Transform,
        seed: int | None,
        sampling: Sampling = "uniform",
    ) -> Loader:
        if isinstance(part, BoxedPart):
            raise UserError(f"the images of {self._data.name} have boxes and no label; they are for task detection")
        if isinstance(part, PreparedPart):
            if self._resolution > part.size:
                raise DataError(
                    f"{part.shards.folder} was prepared at {part.size} pixels, fewer than the resolution of "
                    f"{self._resolution}; prepare it at a larger size, or give data.root the original images"
                )
            for path, reason in part.unreadable.values():
                self.corrupt.add(path, reason)
            indices = indices[~np.isin(indices, np.fromiter(part.unreadable, np.int64))]  # setdiff1d sorts
        return FileLoader(
            part,
            indices,
            transform,
            batch_size=self._batch_size,
            seed=seed,
            workers=self._data.workers,
            normalize=self._normalize,
            device=self._device,
            corrupt=self.corrupt,
            share=self._share,
            channels_last=self._channels_last,
            sampling=sampling,
        )


def _is_exact(part: FilePart | PreparedPart | BoxedPart) -> bool:
    return isinstance(part, FilePart) and part.reading.exact


def open_loaders(
    data: Data,
    protocol: EvaluationProtocol,
    *,
    resolution: int,
    train_fraction: float,
    recipe: Recipe,
    seed: int,
    artifacts: Place | None,
    device: torch.device,
    share: Share = WHOLE,
    mixed: bool = False,
) -> Loaders:
    """Return the loaders of one training.

    Args:
        data: the study's data.
        protocol: who sees what.
        resolution: pixels per side of what the network gets.
        train_fraction: stratified share of the images to train on; the same images for every seed.
        recipe: batch size, augmentation, sampling and memory format.
        seed: of the batch order and the augmentation.
        artifacts: the artifact store; decoded images of small sets are kept under it, or in `data.scratch`. None
            keeps nothing.
        device: where the batches are wanted.
        share: which part of every batch.
        mixed: whether the images that are measured come in one fixed random order (`split.mixed_order`), for networks
            whose output depends on the other images of a batch; else in the order in which they are stored.

    Raises:
        DataError: the data is missing, of another layout, or broken.
        UserError: there are more shares than images to share.
    """
    factory = _Factory(
        data,
        resolution=resolution,
        batch_size=recipe.batch_size,
        artifacts=artifacts,
        device=device,
        share=share,
        channels_last=recipe.in_channels_last(device.type),
        mixed=mixed,
    )
    parts = parts_of(factory.dataset, data, protocol)
    each = factory.evaluation(parts.each)
    chosen, classes = subset(parts.train, train_fraction), len(factory.dataset.classes)
    return Loaders(
        train=factory.training(chosen, recipe, seed),
        each=each,
        final=each if parts.final is parts.each else factory.evaluation(parts.final),
        class_names=factory.dataset.classes,
        corrupt=factory.corrupt,
        class_images=np.bincount(factory.dataset.train.labels[chosen], minlength=classes),
    )


def open_unaugmented(
    data: Data,
    protocol: EvaluationProtocol,
    *,
    resolution: int,
    train_fraction: float,
    batch_size: int,
    artifacts: Place | None,
    device: torch.device,
    share: Share = WHOLE,
) -> Loader:
    """Return the training images of a training as they are evaluated: each once, without augmentation.

    Raises:
        DataError: the data is missing, of another layout, or broken.
        UserError: there are more shares than images to share.
    """
    factory = _Factory(
        data, resolution=resolution, batch_size=batch_size, artifacts=artifacts, device=device, share=share
    )
    indices = subset(parts_of(factory.dataset, data, protocol).train, train_fraction)
    return factory.evaluation(Chosen(factory.dataset.train, indices))


def open_evaluation(
    data: Data,
    protocol: EvaluationProtocol,
    *,
    resolution: int,
    batch_size: int,
    artifacts: Place | None,
    device: torch.device,
    mixed: bool = False,
) -> Loader:
    """Return the images that a protocol's numbers are measured on; `mixed` as for `open_loaders`.

    Raises:
        DataError: the data is missing, of another layout, or broken.
    """
    factory = _Factory(
        data, resolution=resolution, batch_size=batch_size, artifacts=artifacts, device=device, mixed=mixed
    )
    return factory.evaluation(parts_of(factory.dataset, data, protocol).final)


def open_part(
    dataset: DataSet,
    part: Part,
    data: Data,
    *,
    resolution: int,
    batch_size: int,
    artifacts: Place | None,
    device: torch.device,
    mixed: bool = False,
) -> Loader:
    """Return all images of one part of an opened data set, as they are measured.

    Args:
        dataset: the data set that the part is of.
        part: whose images are wanted.
        data: says how they are read (loader processes, share of unreadable images, scratch).
        resolution: pixels per side of what the network gets.
        batch_size: images of a batch.
        artifacts: as for `open_loaders`.
        device: where the batches are wanted.
        mixed: as for `open_loaders`.

    Raises:
        DataError: the data is broken, or was prepared at a smaller resolution.
    """
    factory = _Factory(
        data,
        resolution=resolution,
        batch_size=batch_size,
        artifacts=artifacts,
        device=device,
        dataset=dataset,
        mixed=mixed,
    )
    return factory.evaluation(Chosen(part, np.arange(len(part.labels))))


def open_sample(
    data: Data,
    protocol: EvaluationProtocol,
    *,
    images: int,
    resolution: int,
    batch_size: int,
    device: torch.device,
) -> Loader:
    """Return some of the images that a protocol's numbers are measured on: each class in proportion, always the same.

    Args:
        data: the study's data.
        protocol: who sees what.
        images: how many; all where there are fewer. A smaller sample is part of a larger one.
        resolution: pixels per side.
        batch_size: of the batches.
        device: where the batches are wanted.

    Raises:
        DataError: the data is missing, of another layout, or broken.
    """
    factory = _Factory(data, resolution=resolution, batch_size=batch_size, artifacts=None, device=device)
    chosen = parts_of(factory.dataset, data, protocol).final
    order = stratified_order(chosen.part.labels[chosen.indices], data.split_seed)
    return factory.evaluation(Chosen(chosen.part, chosen.indices[order[:images]]))
