"""Detectors over our networks: a feature pyramid on the taps of the stages, and torchvision's heads on it."""

from dcasearch.models.detection.pyramid import PyramidBackbone
from dcasearch.models.detection.retinanet import RetinaNetSettings, retinanet

__all__ = ["PyramidBackbone", "RetinaNetSettings", "retinanet"]
