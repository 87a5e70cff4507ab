"""Weights of a small network, as a file of a library's would hold them."""

from __future__ import annotations

import io
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from dcasearch.models import build_model

SMALL: dict[str, Any] = {"name": "mobilenet_v2", "width": 0.1}


def values_of(backbone: dict[str, Any] | None = None, classes: int = 20, seed: int = 5) -> dict[str, Tensor]:
    """Return a plain network's parameters and buffers by the library's names."""
    state = build_model({"backbone": backbone or SMALL}, classes, seed=seed).state_dict()
    return {name.removeprefix("backbone."): value for name, value in state.items()}


def safe(values: dict[str, Tensor]) -> bytes:
    return safetensors.torch.save(values)


def torched(held: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(held, buffer)
    return buffer.getvalue()
