"""RetinaNet (Lin et al., 2017, https://arxiv.org/abs/1708.02002): torchvision's, over our networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.retinanet import RetinaNet, RetinaNetHead, RetinaNetRegressionHead

from dcasearch.config.detector import RetinaNetSettings, longest_side
from dcasearch.models.build import DCANet
from dcasearch.models.detection.pyramid import PyramidBackbone, coarser

_OCTAVES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
_ASPECTS = (0.5, 1.0, 2.0)


def retinanet(network: DCANet, classes: int, settings: RetinaNetSettings, resolution: int) -> RetinaNet:
    """Return a detector: list of images (3, H, W) in 0..1 and targets -> losses by name; images alone -> detections.

    New parameters are drawn by torchvision, from the global generator.

    Args:
        network: with maps of scales 8, 16 and 32; is taken over, and its classifier is dropped.
        classes: without background; labels count from 1. Label 0, the background, has an output too, as in torchvision:
            training teaches it to say no, an untrained detector may find it.
        settings: of the detector.
        resolution: pixels of the shorter side that images are resized to.

    Raises:
        ValueError: the network has no map of one of the scales.
    """
    extra = coarser(network, settings.channels, settings.p6)
    backbone = PyramidBackbone(network, settings, extra)
    sizes = tuple(tuple(int(settings.anchor * 2**level * octave) for octave in _OCTAVES) for level in range(5))
    anchors = AnchorGenerator(sizes, (_ASPECTS,) * len(sizes))  # type: ignore[no-untyped-call]  # no types here
    per_place = anchors.num_anchors_per_location()[0]
    head = RetinaNetHead(settings.channels, per_place, classes + 1)
    if settings.smooth_l1 is not None:
        head.regression_head = SmoothL1Head(settings.channels, per_place, settings.smooth_l1)
    for part in (head.classification_head, head.regression_head):
        part.conv = part.conv[: settings.convolutions]
    return RetinaNet(  # type: ignore[no-untyped-call]  # torchvision has no types here
        backbone,
        num_classes=classes + 1,
        min_size=resolution,
        max_size=longest_side(resolution),
        anchor_generator=anchors,
        head=head,
        detections_per_img=settings.detections,
    )


class SmoothL1Head(RetinaNetRegressionHead):
    """The head of boxes, with smooth L1 (Girshick, 2015) of a β of one's own; torchvision's has L1 or a β of 1."""

    def __init__(self, channels: int, anchors: int, beta: float) -> None:
        super().__init__(channels, anchors)
        self.beta = beta

    def compute_loss(
        self,
        targets: Sequence[Mapping[str, Tensor]],
        head_outputs: Mapping[str, Tensor],
        anchors: Sequence[Tensor],
        matched_idxs: Sequence[Tensor],
    ) -> Tensor:
        """Return the loss, shape (): the mean over images of the sum over matched anchors by their number."""
        losses = []
        for n, (target, matched) in enumerate(zip(targets, matched_idxs, strict=True)):
            chosen = torch.where(matched >= 0)[0]
            wanted = self.box_coder.encode_single(target["boxes"][matched[chosen]], anchors[n][chosen])
            said = head_outputs["bbox_regression"][n, chosen]
            loss = F.smooth_l1_loss(said, wanted, reduction="sum", beta=self.beta)
            losses.append(loss / max(1, len(chosen)))
        return torch.stack(losses).mean()
