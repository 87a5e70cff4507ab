"""The detectors by name, their settings as torchvision and the paper have them, and how one is built from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import torch
from torch import nn

from dcasearch.models.build import DCANet
from dcasearch.models.detection.cascade import CascadeSettings, cascade_rcnn
from dcasearch.models.detection.retinanet import RetinaNetSettings, retinanet

Name: TypeAlias = Literal["retinanet", "cascade_rcnn"]
Preset: TypeAlias = Literal["torchvision", "paper", "released"]

_RETINANET = RetinaNetSettings(p6="C5", smooth_l1=0.11, detections=100, frozen_stages=1, fixed_statistics=True)
_CASCADE = CascadeSettings(proposals=2000, smooth_l1=1.0, frozen_stages=1, fixed_statistics=True)

RETINANETS: Mapping[Preset, RetinaNetSettings] = {
    "torchvision": RetinaNetSettings(),
    "paper": _RETINANET,
    "released": _RETINANET,
}
"""`paper` is of the paper's Table 7. The released configurations differ from its text in the recipe alone."""
CASCADES: Mapping[Preset, CascadeSettings] = {
    "torchvision": CascadeSettings(),
    "paper": _CASCADE,
    "released": _CASCADE,
}
"""torchvision has no cascade; under its name stand its settings of Faster R-CNN."""


def build_detector(
    network: DCANet, *, name: Name, classes: int, settings: RetinaNetSettings | CascadeSettings, seed: int = 0
) -> nn.Module:
    """Return a detector: images and targets -> losses by name; in evaluation images -> detections.

    An image is (3, H, W) in 0..1. A target has `boxes` (M, 4) as x1, y1, x2, y2 in pixels and `labels` (M,) from 1; a
    detection has `scores` too.

    Args:
        network: is taken over with its parameters, and its classifier is dropped.
        name: of the detector.
        classes: without background.
        settings: of that detector.
        seed: of the detector's own parameters. The global random state of the CPU is neither read nor changed.

    Raises:
        ValueError: there is no class; the settings are of another detector; the network has no map of a scale.
    """
    if classes < 1:
        raise ValueError(f"a detector needs at least one class, not {classes}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if name == "retinanet" and isinstance(settings, RetinaNetSettings):
            return retinanet(network, classes, settings)
        if name == "cascade_rcnn" and isinstance(settings, CascadeSettings):
            return cascade_rcnn(network, classes, settings)
    raise ValueError(f"{type(settings).__name__} are no settings of {name}")
