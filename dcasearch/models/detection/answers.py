"""What a detector computes of an image before it chooses boxes: numbers that tell whether two detectors are one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.retinanet import RetinaNet

from dcasearch.models.detection.cascade import CascadeHeads


def answers(detector: nn.Module, images: Tensor) -> Tensor:
    """Return every raw output of a detector for each image, shape (B, n); which boxes are chosen of them may jump.

    Of RetinaNet: logits and offsets of all anchors. Of a cascade: those of the RPN's anchors, then those of each stage
    for one region, the whole image.

    Args:
        detector: from `build_detector`, in evaluation mode.
        images: shape (B, 3, H, W); they are not normalised.
    """
    model: Any = detector
    maps = model.backbone(images)
    if isinstance(detector, RetinaNet):
        said = model.head(list(maps.values()))
        return torch.cat([said["cls_logits"].flatten(1), said["bbox_regression"].flatten(1)], 1)
    objectness, offsets = model.rpn.head(list(maps.values()))
    height, width = images.shape[2:]
    whole = [images.new_tensor([[0.0, 0.0, width, height]]) for _ in images]
    heads: CascadeHeads = model.roi_heads
    sizes = [(height, width)] * len(images)
    stages = [part for stage in heads.heads() for part in heads.predict(stage, maps, whole, sizes)]
    return torch.cat([part.flatten(1) for part in (*objectness, *offsets, *stages)], 1)
