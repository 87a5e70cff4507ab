"""Which network, resolution and trainings fit the images and the machine. Pure: facts in, choices out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

from dcasearch.architecture.backbone import unknown_backbone
from dcasearch.architecture.layouts import BACKBONES, Stem
from dcasearch.architecture.libraries import is_of_library
from dcasearch.errors import UserError
from dcasearch.proposal.looking import Looked
from dcasearch.proposal.start import TrainedStart
from dcasearch.proposal.template import DEFAULT_BACKBONE, Rung, space_of

BATCH = 32
_LADDER = ((0.25, 64), (0.5, 64), (0.5, 96), (0.5, 128), (1.0, 128), (1.0, 160), (1.0, 224))
"""Width and pixels, from the cheapest to the dearest."""
_LADDER_OF_SMALL = ((0.25, 32), (0.5, 32), (1.0, 32))
"""The same for images below 64 pixels: networks that keep the resolution in their first layers."""
_TRAINED = (128, 160, 224)
"""Pixels for a network that was trained before, mostly on 224: it knows little of much smaller images. So these are
enlarged to the first."""
_FASTER = 2.0
"""No network runs more multiply-adds per second than so many times the cheapest one's."""
_EPOCHS, _LEAST_EPOCHS, _OF_IMAGES = 60, 10, 200
"""Epochs of a set of so many training images; of more images fewer, by the root of the ratio."""
_PROXY = 3
"""A proxy has so many times fewer epochs."""
PROMOTED, AT_RANDOM = 3, 1
"""Trials that are trained in full: the best of the proxy, and one at random, which says what the proxy is worth."""
_TRIALS = (12, 40)
"""Fewest and most trials."""
_SEEDS, _SPLITS = 3, 5
"""Of the final trainings: from three seeds on a lead can count. Few test images are drawn anew so many times."""
_FEW = 385
"""Test images below which they alone make an accuracy uncertain by more than five points."""
_UNEVEN = 3.0
"""Images of the largest class for each of the smallest, from which on each class counts alike."""
_PROXY_IMAGES = 20_000
"""Training images of a proxy at most."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the study will be."""

    rung: Rung
    """The network and its resolution."""
    baselines: int
    start: TrainedStart | None
    """The trained network that all trainings start from."""
    batch: int
    epochs: int
    proxy_epochs: int
    proxy_fraction: float
    trials: int
    seeds: int
    """Final trainings of each network."""
    splits: int
    """Divisions of the images that these are spread over."""
    uneven: bool
    """Whether classes are so uneven that each counts alike."""
    max_corrupt: float | None
    """Share of images that may be unreadable, where some are."""
    concurrent: int
    throughput: float
    """Multiply-adds per second of one training, reading the images included."""
    image_seconds: float
    """Of one image in one epoch of one training."""
    hours: float = 0.0
    """Of the whole study, by this estimate."""
    fits: bool = False
    """Whether that is within the hours that were asked for."""


class Measure(Protocol):
    """What is known of a network on this machine."""

    def macs(self, rung: Rung) -> int:
        """Return the multiply-adds of one image."""

    def throughput(self, rung: Rung) -> float:
        """Return the multiply-adds per second of one training, reading the images left out; takes seconds."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the study is for, and how long it may take."""

    looked: Looked
    train_images: int
    """Of a full training."""
    compared_on: int
    """Images that trials are compared on: of all parts the smallest."""
    test_images: int
    divided: bool
    """Whether `data.split` draws the test images, so that it can draw others."""
    hours: float
    """That the study may take."""
    concurrent: int
    """Trainings at a time."""
    backbone: str | None = None
    """None: the one that is proposed."""
    start: TrainedStart | None = None
    """The trained network that all trainings start from; None: from random values."""


def plan_for(wanted: Wanted, measure: Measure) -> Plan:
    """Choose the largest network and resolution of a ladder that the hours allow, then as many trials as they allow.

    Args:
        wanted: images, hours, and what the user chose.
        measure: measures a network on this machine.

    Raises:
        UserError: there is no such backbone.
    """
    name = DEFAULT_BACKBONE if wanted.backbone is None else wanted.backbone
    if not is_of_library(name) and name not in BACKBONES:
        raise UserError(f"--backbone: {unknown_backbone(name)}")
    cheapest, *dearer = _rungs(name, wanted.looked, wanted.start)
    slowest = measure.throughput(cheapest)
    plan = _plan(wanted, cheapest, measure.macs(cheapest), slowest)
    for rung in reversed(dearer):
        macs = measure.macs(rung)
        if not _plan(wanted, rung, macs, _FASTER * slowest).fits:  # too dear at any speed that it could have
            continue
        dear = _plan(wanted, rung, macs, measure.throughput(rung))
        if dear.fits:
            plan = dear
            break
    if not plan.fits:
        return plan
    each = plan.hours - _with_trials(plan, wanted, plan.trials - 1).hours
    return _with_trials(plan, wanted, min(_TRIALS[1], plan.trials + int((wanted.hours - plan.hours) / each)))


def epochs_for(train_images: int) -> int:
    """Return the epochs of a full training: 60 for 200 images, fewer for more, at least 10."""
    return max(_LEAST_EPOCHS, min(_EPOCHS, round(_EPOCHS * math.sqrt(_OF_IMAGES / train_images))))


def _rungs(backbone: str, looked: Looked, start: TrainedStart | None) -> list[Rung]:
    """Return the networks to choose from, from the cheapest to the dearest."""
    side = looked.sides[1] if looked.sides else 0
    if start is not None:  # another stem or width is another network than the trained one
        sizes = [pixels for pixels in _TRAINED if pixels <= side] or _TRAINED[:1]
        return [Rung(backbone, start.width, "imagenet", pixels) for pixels in sizes]
    small = side < _LADDER[0][1]
    ladder = _LADDER_OF_SMALL if small else tuple(size for size in _LADDER if size[1] <= side)
    of_library = is_of_library(backbone)
    fixed = of_library or BACKBONES[backbone].widths  # where the width is in the name, there is no other
    stem: Stem = "small" if small and not of_library else "imagenet"
    return [
        Rung(backbone, width, stem, pixels)
        for width, pixels in dict.fromkeys((1.0 if fixed else width, pixels) for width, pixels in ladder)
    ]


def _plan(wanted: Wanted, rung: Rung, macs: int, throughput: float) -> Plan:
    looked = wanted.looked
    epochs = epochs_for(wanted.train_images)
    if wanted.start is not None:  # a network that knows something already learns the rest sooner
        epochs = min(epochs, wanted.start.epochs)
    divided = wanted.divided and wanted.test_images < _FEW
    # Reading an image takes the same core as training on it.
    seconds = 3 * macs / throughput + (0.0 if looked.prepared else looked.decode_seconds)
    plan = Plan(
        rung=rung,
        baselines=len(space_of(rung).baselines()),
        batch=min(BATCH, max(2, wanted.train_images // 4)),
        start=wanted.start,
        epochs=epochs,
        proxy_epochs=math.ceil(epochs / _PROXY),
        proxy_fraction=min(1.0, round(_PROXY_IMAGES / wanted.train_images, 2)),
        trials=_TRIALS[0],
        seeds=_SPLITS if divided else _SEEDS,
        splits=_SPLITS if divided else 1,
        uneven=looked.imbalance >= _UNEVEN,
        max_corrupt=_allowed(wanted),
        concurrent=wanted.concurrent,
        throughput=3 * macs / seconds,
        image_seconds=seconds,
    )
    return _with_trials(plan, wanted, plan.trials)


def _with_trials(plan: Plan, wanted: Wanted, trials: int) -> Plan:
    """Return a plan with so many trials, and the hours that it takes then."""
    passes = (
        (trials + plan.baselines) * plan.proxy_epochs * plan.proxy_fraction
        + (PROMOTED + AT_RANDOM + plan.baselines) * plan.epochs
        + (1 + plan.baselines) * plan.seeds * plan.epochs
    )
    hours = passes * wanted.train_images * plan.image_seconds / plan.concurrent / 3600
    return replace(plan, trials=trials, hours=hours, fits=hours <= wanted.hours)


def _allowed(wanted: Wanted) -> float | None:
    """Return the share of unreadable images that a run takes: all of them may be in the smallest part."""
    looked = wanted.looked
    if not looked.unreadable:
        return None
    found = len(looked.unreadable) * looked.images / looked.decoded  # of a large set some were looked at
    return min(1.0, math.ceil(1000 * found / wanted.compared_on) / 1000)
