"""torchvision's networks split into stem, blocks and head; registered under the names of `BACKBONES`."""

from dcasearch.models.backbones import mnasnet, mobilenetv2, resnet  # noqa: F401  # importing registers
from dcasearch.models.backbones.base import NETWORKS, Backbone, Host

__all__ = ["NETWORKS", "Backbone", "Host"]
