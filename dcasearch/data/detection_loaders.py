"""From a study's data and a protocol to the loaders of one detector's training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dcasearch.config.data_set import Data
from dcasearch.config.recipe import Recipe
from dcasearch.data.batches import WHOLE, Share
from dcasearch.data.boxes import BoxedPart
from dcasearch.data.classes import open_set
from dcasearch.data.detection import DetectionLoader
from dcasearch.data.images import Corrupt
from dcasearch.data.loaders import Chosen, Loaders, parts_of
from dcasearch.data.sets import DataSet, Part
from dcasearch.data.split import mixed_order, subset
from dcasearch.errors import UserError
from dcasearch.evaluation import EvaluationProtocol


@dataclass(frozen=True, kw_only=True)
class DetectionLoaders:
    """Makes the loaders of one training or measurement."""

    data: Data
    resolution: int
    """Pixels of the shorter side; the longer one has its limit in proportion."""
    batch_size: int
    device: torch.device
    share: Share = WHOLE
    mixed: bool = False
    """Whether what is measured comes in one fixed random order (`split.mixed_order`)."""

    def of_training(self, protocol: EvaluationProtocol, *, train_fraction: float, recipe: Recipe, seed: int) -> Loaders:
        """Return the loaders of one training.

        Args:
            protocol: who sees what.
            train_fraction: stratified share of the images to train on; the same images for every seed.
            recipe: says whether images are mirrored.
            seed: of the batch order and the mirroring.

        Raises:
            DataError: the data is missing, of another layout, or broken.
            UserError: its images have no boxes, or there are more shares than images to share.
        """
        dataset = open_set(self.data)
        parts, corrupt = parts_of(dataset, self.data, protocol), self._corrupt(dataset)
        chosen = Chosen(dataset.train, subset(parts.train, train_fraction))
        each = self._loader(parts.each, corrupt)
        return Loaders(
            train=self._loader(chosen, corrupt, seed=seed, flip=recipe.augmentation.flip),
            each=each,
            final=each if parts.final is parts.each else self._loader(parts.final, corrupt),
            class_names=dataset.classes,
            corrupt=corrupt,
        )

    def of_evaluation(self, protocol: EvaluationProtocol) -> DetectionLoader:
        """Return the images that a protocol's numbers are measured on; errors as for `of_training`."""
        dataset = open_set(self.data)
        return self._loader(parts_of(dataset, self.data, protocol).final, self._corrupt(dataset))

    def of_part(self, dataset: DataSet, part: Part) -> DetectionLoader:
        """Return all images of one part of an opened data set, as they are measured; errors as for `of_training`."""
        return self._loader(Chosen(part, np.arange(len(part.labels))), self._corrupt(dataset))

    def _corrupt(self, dataset: DataSet) -> Corrupt:
        parts = {id(part): len(part.labels) for part in (dataset.train, dataset.val, dataset.test)}
        return Corrupt(sum(parts.values()), self.data.max_corrupt)

    def _loader(
        self, chosen: Chosen, corrupt: Corrupt, *, seed: int | None = None, flip: bool = False
    ) -> DetectionLoader:
        if not isinstance(chosen.part, BoxedPart):
            raise UserError(f"the images of {self.data.name} have no boxes, which task detection learns from")
        indices = mixed_order(chosen.indices) if self.mixed and seed is None else chosen.indices
        return DetectionLoader(
            chosen.part.pictures,
            indices,
            resolution=self.resolution,
            batch_size=self.batch_size,
            seed=seed,
            device=self.device,
            corrupt=corrupt,
            flip=flip,
            workers=self.data.workers,
            share=self.share,
        )
