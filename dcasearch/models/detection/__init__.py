"""Detectors over our networks: a feature pyramid on the taps of the stages, and torchvision's heads on it.

Their settings are `dcasearch.config.detector`'s, since a study writes them.
"""

from dcasearch.models.detection.build import build_detector
from dcasearch.models.detection.cascade import cascade_rcnn
from dcasearch.models.detection.pyramid import PyramidBackbone
from dcasearch.models.detection.retinanet import retinanet

__all__ = ["PyramidBackbone", "build_detector", "cascade_rcnn", "retinanet"]
