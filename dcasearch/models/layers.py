"""Families of torch's layers: torch has a base class for each, but only under a private name."""

from __future__ import annotations

from typing import TypeAlias

from torch import nn

BatchNorm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm
Convolution: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Conv3d
Dropout: TypeAlias = nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d | nn.AlphaDropout | nn.FeatureAlphaDropout
