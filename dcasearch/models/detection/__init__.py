"""Detectors over our networks: a feature pyramid on the taps of the stages, and torchvision's heads on it."""

from dcasearch.models.detection.cascade import CascadeSettings, cascade_rcnn
from dcasearch.models.detection.pyramid import PyramidBackbone, PyramidSettings
from dcasearch.models.detection.retinanet import RetinaNetSettings, retinanet
from dcasearch.models.detection.settings import CASCADES, RETINANETS, build_detector

__all__ = [
    "CASCADES",
    "RETINANETS",
    "CascadeSettings",
    "PyramidBackbone",
    "PyramidSettings",
    "RetinaNetSettings",
    "build_detector",
    "cascade_rcnn",
    "retinanet",
]
