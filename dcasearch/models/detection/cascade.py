"""Cascade R-CNN (Cai and Vasconcelos, 2018, https://arxiv.org/abs/1712.00726) on torchvision's RPN and RoI heads.

torchvision's own loss and detections of RoI heads have a box for each class; a cascade has one for all, so both are
written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign, batched_nms, clip_boxes_to_image, remove_small_boxes
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool
from torchvision.ops.poolers import initLevelMapper

from dcasearch.config.detector import CascadeSettings, longest_side
from dcasearch.models.build import DCANet
from dcasearch.models.detection.pyramid import PyramidBackbone

_ASPECTS = (0.5, 1.0, 2.0)
_POOLED = 7
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Sizes = Sequence[tuple[int, int]]
"""Height and width of each image, in pixels."""
Targets = Sequence[Mapping[str, Tensor]]


@dataclass(frozen=True)
class StageSettings:
    """What differs between the stages of a cascade."""

    iou: float
    """From here on a box has the object that it overlaps most; below it is background."""
    weight: float
    """Of the stage's two losses."""
    coder: tuple[float, float, float, float]
    """What the offsets of x, y, log width and log height are multiplied by: 1 / their standard deviations."""


STAGES = (
    StageSettings(0.5, 1.0, (10.0, 10.0, 5.0, 5.0)),
    StageSettings(0.6, 0.5, (20.0, 20.0, 10.0, 10.0)),
    StageSettings(0.7, 0.25, (30.0, 30.0, 15.0, 15.0)),
)


def cascade_rcnn(network: DCANet, classes: int, settings: CascadeSettings, resolution: int) -> GeneralizedRCNN:
    """Return a detector: list of images (3, H, W) in 0..1 and targets -> losses by name; images alone -> detections.

    The losses are the RPN's two and, with the stage's number, `loss_classifier_1` and `loss_box_reg_1`, weighted.
    New parameters are drawn by torchvision and torch, from the global generator.

    Args:
        network: with maps of scales 4, 8, 16 and 32; is taken over, and its classifier is dropped.
        classes: without background; labels count from 1.
        settings: of the detector.
        resolution: pixels of the shorter side that images are resized to.

    Raises:
        ValueError: the network has no map of one of the scales.
    """
    backbone = PyramidBackbone(network, settings, LastLevelMaxPool())
    maps = [stage.name for stage in network.pyramid if stage.scale in settings.scales]
    return GeneralizedRCNN(
        backbone,
        _proposer(settings),
        CascadeHeads(maps, classes, settings),
        GeneralizedRCNNTransform(resolution, longest_side(resolution), list(_MEAN), list(_STD)),
    )


def _proposer(settings: CascadeSettings) -> RegionProposalNetwork:
    sizes = tuple((settings.anchor * 2**level,) for level in range(len(settings.scales) + 1))
    anchors = AnchorGenerator(sizes, (_ASPECTS,) * len(sizes))  # type: ignore[no-untyped-call]  # no types here
    most = {"training": 2000, "testing": settings.proposals}
    return RegionProposalNetwork(
        anchors,
        RPNHead(settings.channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n=most,
        post_nms_top_n=most,
        nms_thresh=0.7,
    )


class ClassAgnosticPredictor(nn.Module):
    """Features (N, width) -> logits (N, classes + 1), the background's first, and offsets (N, 4) for all classes."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(width, classes + 1)
        self.bbox_pred = nn.Linear(width, 4)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and offsets."""
        return self.cls_score(features), self.bbox_pred(features)


@dataclass(frozen=True)
class Regions:
    """The regions (N, 4) that a stage learns from in one image."""

    boxes: Tensor
    labels: Tensor
    """0: background."""
    objects: Tensor
    """The box (N, 4) that each is to become; of no meaning for background."""
    proposed: Tensor
    """Whether each was proposed; the others are objects that were added."""


class CascadeHeads(nn.Module):
    """Three RoI heads in a row: each refines the boxes that the one before has refined."""

    def __init__(self, maps: Sequence[str], classes: int, settings: CascadeSettings) -> None:
        """Make the stages.

        Args:
            maps: names of the pyramid's maps, finest first.
            classes: without background.
            settings: of the detector.
        """
        super().__init__()
        self.settings = settings
        # Set, not inferred from the first images as torchvision would: of small padded images it infers wrong scales.
        self.pool = MultiScaleRoIAlign(list(maps), output_size=_POOLED, sampling_ratio=2)
        self.pool.scales = [1 / scale for scale in settings.scales]  # type: ignore[assignment]  # None until it is inferred
        self.pool.map_levels = initLevelMapper(2, 5, canonical_scale=7 * settings.anchor)
        self.stages = nn.ModuleList(_stage(stage, classes, settings) for stage in STAGES)

    def forward(
        self, maps: Mapping[str, Tensor], proposals: list[Tensor], sizes: Sizes, targets: Targets | None = None
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Return detections of each image and no losses; in training no detections and the losses.

        Args:
            maps: of the pyramid, by name.
            proposals: boxes (N, 4) of each image, as x1, y1, x2, y2.
            sizes: of the images.
            targets: boxes (M, 4) and labels (M,) of each image; M may be 0.

        Raises:
            ValueError: there are no targets in training.
        """
        if not self.training:
            return self.detect(maps, proposals, sizes), {}
        if targets is None:
            raise ValueError("training needs targets")
        losses: dict[str, Tensor] = {}
        for number, (stage, how) in enumerate(zip(self.heads(), STAGES, strict=True), start=1):
            regions = sample(stage, proposals, targets)
            boxes = [region.boxes for region in regions]
            logits, offsets = self.predict(stage, maps, boxes, sizes)
            classifier, box_reg = stage_losses(stage, logits, offsets, regions, self.settings.smooth_l1)
            losses[f"loss_classifier_{number}"] = how.weight * classifier
            losses[f"loss_box_reg_{number}"] = how.weight * box_reg
            better = refined(stage, offsets, boxes, sizes)
            # The next stage adds the objects anew.
            proposals = [box[region.proposed] for box, region in zip(better, regions, strict=True)]
        return [], losses

    def heads(self) -> Iterator[RoIHeads]:
        """Yield the stages."""
        return (cast(RoIHeads, stage) for stage in self.stages)

    def predict(
        self, stage: RoIHeads, maps: Mapping[str, Tensor], boxes: list[Tensor], sizes: Sizes
    ) -> tuple[Tensor, Tensor]:
        """Return a stage's logits and offsets of the boxes of all images, one after another."""
        return stage.box_predictor(stage.box_head(self.pool(maps, boxes, sizes)))

    def detect(self, maps: Mapping[str, Tensor], boxes: list[Tensor], sizes: Sizes) -> list[dict[str, Tensor]]:
        """Return boxes, labels and scores of each image; a score is of the mean of the stages' logits.

        Each stage's logits are of its own regions, which are the boxes that the stage before has refined.
        """
        said = []
        for stage in self.heads():
            logits, offsets = self.predict(stage, maps, boxes, sizes)
            said.append(logits)
            boxes = refined(stage, offsets, boxes, sizes)
        probabilities = torch.stack(said).mean(0).softmax(-1)
        scores, how = torch.split(probabilities, [len(box) for box in boxes]), self.settings
        return [chosen(*pair, how.score, how.nms, how.detections) for pair in zip(scores, boxes, strict=True)]


def _stage(stage: StageSettings, classes: int, settings: CascadeSettings) -> RoIHeads:
    """Return torchvision's RoI heads: matcher, sampler, coder and layers of them are used, their `forward` is not."""
    return RoIHeads(  # type: ignore[no-untyped-call]  # torchvision has no types here
        box_roi_pool=None,
        box_head=TwoMLPHead(settings.channels * _POOLED**2, settings.hidden),  # type: ignore[no-untyped-call]
        box_predictor=ClassAgnosticPredictor(settings.hidden, classes),
        fg_iou_thresh=stage.iou,
        bg_iou_thresh=stage.iou,
        batch_size_per_image=settings.regions,
        positive_fraction=0.25,
        bbox_reg_weights=stage.coder,
        score_thresh=settings.score,
        nms_thresh=settings.nms,
        detections_per_img=settings.detections,
    )


def sample(stage: RoIHeads, proposals: list[Tensor], targets: Targets) -> list[Regions]:
    """Return the regions of each image that a stage learns from: drawn of the proposals and the objects.

    They are drawn from the global generator.
    """
    objects = [target["boxes"].to(boxes.dtype) for boxes, target in zip(proposals, targets, strict=True)]
    boxes = stage.add_gt_proposals(proposals, objects)
    matched, labels = stage.assign_targets_to_proposals(boxes, objects, [target["labels"] for target in targets])
    regions = []
    for n, drawn in enumerate(stage.subsample(labels)):
        nothing = boxes[n].new_zeros(len(drawn), 4)
        wanted = objects[n][matched[n][drawn]] if len(objects[n]) else nothing
        regions.append(Regions(boxes[n][drawn], labels[n][drawn], wanted, drawn < len(proposals[n])))
    return regions


def stage_losses(
    stage: RoIHeads, logits: Tensor, offsets: Tensor, regions: Sequence[Regions], beta: float
) -> tuple[Tensor, Tensor]:
    """Return the losses of classes and of boxes, each (), by the number of regions.

    Args:
        stage: has the coder.
        logits: shape (N, classes + 1), N of all images.
        offsets: shape (N, 4).
        regions: of each image.
        beta: of smooth L1.
    """
    labels = torch.cat([region.labels for region in regions])
    positive = labels > 0
    boxes, objects = (torch.cat(part)[positive] for part in zip(*((r.boxes, r.objects) for r in regions), strict=True))
    wanted = stage.box_coder.encode_single(objects, boxes)
    box_reg = F.smooth_l1_loss(offsets[positive], wanted, beta=beta, reduction="sum") / labels.numel()
    return F.cross_entropy(logits, labels), box_reg


def refined(stage: RoIHeads, offsets: Tensor, boxes: Sequence[Tensor], sizes: Sizes) -> list[Tensor]:
    """Return the boxes of each image moved by a stage's offsets, within the image, without gradient."""
    moved = stage.box_coder.decode_single(offsets.detach(), torch.cat(list(boxes)))
    of_images = torch.split(moved, [len(box) for box in boxes])
    return [clip_boxes_to_image(box, size) for box, size in zip(of_images, sizes, strict=True)]


def chosen(scores: Tensor, boxes: Tensor, least: float, nms: float, most: int) -> dict[str, Tensor]:
    """Return one image's detections, the best first. A box may be found once for each class.

    Args:
        scores: shape (N, classes + 1), the background's first.
        boxes: shape (N, 4).
        least: a detection scores more.
        nms: highest IoU of two detections of a class.
        most: detections.
    """
    place, label = torch.where(scores[:, 1:] > least)
    found, score = boxes[place], scores[:, 1:][place, label]
    kept = remove_small_boxes(found, min_size=1e-2)
    kept = kept[batched_nms(found[kept], score[kept], label[kept], nms)[:most]]
    return {"boxes": found[kept], "labels": label[kept] + 1, "scores": score[kept]}
