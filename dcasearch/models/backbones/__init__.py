"""torchvision's networks split into stem, blocks and head; registered under the names of `BACKBONES`."""

from dcasearch.models.backbones.base import NETWORKS, Backbone, Host, Passage
from dcasearch.registry import import_all

import_all(__name__, __path__)

__all__ = ["NETWORKS", "Backbone", "Host", "Passage"]
