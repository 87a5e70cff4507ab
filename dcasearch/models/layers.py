"""Families of torch's layers: torch has a base class for each, but only under a private name."""

from __future__ import annotations

from importlib import import_module
from typing import TypeAlias

from torch import nn

BatchNorm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm
Convolution: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Conv3d
Dropout: TypeAlias = nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d | nn.AlphaDropout | nn.FeatureAlphaDropout


def synchronized(model: nn.Module) -> nn.Module:
    """Return a model with the statistics of its BatchNorms shared by all ranks.

    timm's BatchNorm has its activation inside, which torch's own conversion would lose; timm's keeps it.
    """
    has_activations = any(isinstance(m, BatchNorm) and type(m).__module__.startswith("timm.") for m in model.modules())
    if has_activations:
        converted: nn.Module = import_module("timm.layers").convert_sync_batchnorm(model)
    else:
        converted = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]  # no types
    return converted
