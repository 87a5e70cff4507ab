"""Mixup and CutMix over batches: which, by how much and where depends on (seed, epoch, step) alone.

So a resumed epoch mixes as an undisturbed one does, and all ranks mix alike. An image is mixed with the one before it
in its rank's part of the batch, so with another number of ranks the first image of each part meets another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import nn
from torchvision.transforms import v2

from dcasearch.config.recipe import Recipe
from dcasearch.data import Batch, derived_seed

Mix: TypeAlias = Callable[[int, Batch], Batch]
"""Takes the step, from 0 in its epoch, and a batch; returns images of the same shape, and labels as probabilities of
shape (batch, classes)."""


class Mixing:
    """What a recipe mixes."""

    def __init__(self, recipe: Recipe, *, classes: int, seed: int) -> None:
        kinds = ((v2.MixUp, recipe.mixup), (v2.CutMix, recipe.cutmix))
        self._transforms: list[nn.Module] = [
            kind(alpha=alpha, num_classes=classes) for kind, alpha in kinds if alpha > 0
        ]
        self._seed = seed

    def of_epoch(self, epoch: int) -> Mix | None:
        """Return what mixes the batches of an epoch; None where nothing is mixed."""
        return (lambda step, batch: self._mixed(epoch, step, batch)) if self._transforms else None

    def _mixed(self, epoch: int, step: int, batch: Batch) -> Batch:
        with _seeded(derived_seed(self._seed, "mixing", epoch, step)):
            chosen = int(torch.randint(len(self._transforms), ()))
            images, labels = self._transforms[chosen](*batch)
        return images, labels


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the CPU's global generator, which torchvision's transforms draw from; what it was before is put back."""
    # Not torch.manual_seed: that would reseed the accelerator too.
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)
