"""MobileNetV2's geometry; a stage is one of its seven settings."""

from __future__ import annotations

from functools import lru_cache

from dcasearch.architecture.layouts.layout import (
    BACKBONES,
    BackboneFamily,
    BackboneLayout,
    Stem,
    inverted_residuals,
    scaled_channels,
)

NAME = "mobilenet_v2"
_SETTINGS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


@lru_cache
def _mobilenet_v2(width: float, stem: Stem) -> BackboneLayout:
    first = scaled_channels(32, width)
    return inverted_residuals(_SETTINGS, first, width, stem, lambda stage, i, n: f"features.{n + 1}")


BACKBONES.register(NAME)(BackboneFamily(layout=_mobilenet_v2, family="mobilenet"))
