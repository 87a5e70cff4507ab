"""A detector from its settings and a seed."""

from __future__ import annotations

import torch
from torch import nn

from dcasearch.config.detector import Detector, RetinaNetSettings
from dcasearch.models.build import DCANet
from dcasearch.models.detection.cascade import cascade_rcnn
from dcasearch.models.detection.retinanet import retinanet


def build_detector(network: DCANet, settings: Detector, *, classes: int, resolution: int, seed: int = 0) -> nn.Module:
    """Return a detector: images and targets -> losses by name; in evaluation images -> detections.

    An image is (3, H, W) in 0..1. A target has `boxes` (M, 4) as x1, y1, x2, y2 in pixels and `labels` (M,) from 1; a
    detection has `scores` too.

    Args:
        network: is taken over with its parameters, and its classifier is dropped.
        settings: say which detector.
        classes: without background.
        resolution: pixels of the shorter side that images are resized to; the longer one has its limit in proportion
            (`dcasearch.config.detector.longest_side`).
        seed: of the detector's own parameters. The global random state of the CPU is neither read nor changed.

    Raises:
        ValueError: there is no class, or the network has no map of a scale.
    """
    if classes < 1:
        raise ValueError(f"a detector needs at least one class, not {classes}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if isinstance(settings, RetinaNetSettings):
            return retinanet(network, classes, settings, resolution)
        return cascade_rcnn(network, classes, settings, resolution)
