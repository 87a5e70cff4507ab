"""A weights file in the very network that it is of, and whether that network answers as was recorded.

Two networks of a library may take one file and differ in what no tensor says: padding, the epsilon of a norm, an
activation. `timm/efficientnet_lite0` and `timm/tf_efficientnet_lite0` do. Only their answers tell them apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from dcasearch.architecture import Architecture
from dcasearch.architecture.backbone import Backbone
from dcasearch.architecture.libraries import is_of_library, split_name
from dcasearch.config.probe import Probe
from dcasearch.errors import ArchitectureError, UserError
from dcasearch.models.build import DCANet, build_model
from dcasearch.models.probe import ask, difference
from dcasearch.models.traced.libraries import build, models_of
from dcasearch.models.transfer import Transfer, fit_backbone, outputs_of, take_backbone, transfer
from dcasearch.models.weight_files import WeightsFile

_FEW = 3
"""Outputs of a network whose file has no classifier."""
_TRIED = 12
"""Networks of a library that are tried in place of one that does not meet its probe."""


def fit(backbone: Backbone, file: WeightsFile) -> Transfer:
    """Return what becomes of each tensor of a file in a backbone; nothing is loaded.

    Raises:
        Misfit: the file is another network's.
    """
    architecture = Architecture(backbone=backbone)
    classes = outputs_of(architecture.network, file) or _FEW
    with torch.device("meta"):
        model = build_model(architecture, classes)
    return fit_backbone(model.backbone, architecture.network, classes, file, keep_head=True, load=False)


def network_of(backbone: Backbone, file: WeightsFile) -> DCANet:
    """Return the network that a file is of, with its weights, its own classifier and its own attention.

    Raises:
        Misfit: the file is another network's.
    """
    own = Backbone(name=backbone.name, width=backbone.width, stem=backbone.stem, arguments=backbone.arguments)
    architecture = Architecture(backbone=own)
    model = build_model(architecture, outputs_of(architecture.network, file) or _FEW)
    take_backbone(model, file, keep_head=True)
    return model


def spec_network(architecture: Mapping[str, Any], file: WeightsFile) -> DCANet:
    """Return an exported network with all of its weights, attention and connections too.

    Raises:
        Misfit: the file is another network's.
    """
    exported = Architecture.parse(architecture)
    model = build_model(exported, outputs_of(exported.network, file) or _FEW)
    transfer(model, file.whole or {}, words=file.words)
    return model


def off_probe(model: nn.Module, probe: Probe, resolution: int) -> float:
    """Return how far a network is off its recorded answers, as a share of the largest logit; infinite for NaN."""
    try:
        return difference(probe, ask(model, resolution, probe.seed, probe.images))
    except UserError:  # its answers are no finite numbers
        return math.inf


def others_that_answer(
    backbone: Backbone, file: WeightsFile, probe: Probe, *, resolution: int, tolerance: float
) -> Iterator[str]:
    """Yield networks of the same library, of a similar name, that take a file and meet its probe.

    Args:
        backbone: takes the file and does not meet the probe.
        file: the weights.
        probe: the recorded answers.
        resolution: pixels per side of the probe's images.
        tolerance: largest difference that is still equal, as a share of the largest logit.
    """
    if not is_of_library(backbone.name):
        return
    library, model = split_name(backbone.name)
    classes = outputs_of(Architecture(backbone=backbone).network, file) or _FEW
    similar = [name for name in models_of(library) if name != model and (name.endswith(model) or model.endswith(name))]
    wanted = {name: tensor.shape for name, tensor in file.values.items()}
    for name in similar[:_TRIED]:
        with torch.device("meta"):
            shapes = {key: tensor.shape for key, tensor in build(library, name, {}, classes).state_dict().items()}
        if shapes != wanted:
            continue
        try:
            other = network_of(Backbone(name=f"{library}/{name}"), file)
        except ArchitectureError:  # it has no place for attention, so no study could name it
            continue
        if off_probe(other, probe, resolution) <= tolerance:
            yield f"{library}/{name}"
