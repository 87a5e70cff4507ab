"""The 33 released models as their own code has them, and their state dicts filled by a rule.

`released_models.json.xz` holds per model: `factory`, `architecture`, `keys` (their name -> shape and our parameter; two
of ours where a 2 -> 1 convolution splits; "dead" where we have none), and what their own code answers with the filled
state dict (fp64, evaluation mode): `logits`, the first six of each of two images, and `norm` of all of them.
"""

from __future__ import annotations

import json
import lzma
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dcasearch.models import build_model
from dcasearch.models.build import DCANet
from dcasearch.paper.released.checkpoint import Checkpoint
from dcasearch.paper.released.importing import ours_of
from dcasearch.paper.released.key_map import CLASSES, KeyMap, key_map
from dcasearch.paper.released.table import RELEASED, Released

_FILE = Path(__file__).with_name("released_models.json.xz")
SK_LIGHT = "dca_sk_mobilenet_v2"
"""The one network that computes otherwise here."""
CHEAP = (
    "dca_se_resnet18",
    "dca_gc_resnet18",
    "dca_cbam_mnasnet1_0r8",
    "dca_getheta_mobilenet_v2",
    "sk_mobilenet_v2",
)
"""Factories whose networks are small: each kind and each backbone family."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What the released code says of one model."""

    factory: str
    architecture: Mapping[str, Any]
    keys: Mapping[str, tuple[list[int], Any]]
    logits: list[list[float]]
    norm: float


@cache
def truths() -> Mapping[str, Truth]:
    """All models by factory."""
    content = json.loads(lzma.decompress(_FILE.read_bytes()))
    return {model["factory"]: Truth(**model) for model in content.values()}


def released(factory: str) -> Released:
    return next(model for model in RELEASED if model.factory == factory)


@cache
def keys_of(factory: str) -> KeyMap:
    return key_map(released(factory).architecture, released(factory).names)


def filled(keys: Mapping[str, tuple[list[int], Any]]) -> dict[str, Tensor]:
    """The state dict of a released model, each tensor drawn by its key's name; fp64."""
    return {key: _drawn(key, tuple(shape)) for key, (shape, _) in keys.items()}


def _drawn(key: str, shape: tuple[int, ...]) -> Tensor:
    random = np.random.RandomState(zlib.crc32(key.encode()))
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if int(np.prod(shape)) == 1:
        return torch.from_numpy(np.full(shape, random.uniform(0.4, 1.4)))
    if key.endswith("running_var") or (len(shape) == 1 and key.endswith("weight")):
        return torch.from_numpy(random.uniform(0.5, 1.5, size=shape))
    if len(shape) == 1:
        return torch.from_numpy(0.2 * random.standard_normal(shape))
    return torch.from_numpy(random.standard_normal(shape) * np.sqrt(1.5 / np.prod(shape[1:])))


def checkpoint(state: Mapping[str, Tensor]) -> Checkpoint:
    return Checkpoint(path=Path("released.pth"), sha256="0" * 64, tensors=state)


def imported(factory: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors of a released model's state dict, by the importer."""
    return ours_of(checkpoint(state), released(factory), keys_of(factory))


@lru_cache(maxsize=1)  # the largest is half a gigabyte
def _network(factory: str) -> DCANet:
    return build_model(released(factory).architecture, CLASSES).double().eval()


@torch.no_grad()
def logits_of(factory: str, tensors: Mapping[str, Tensor]) -> Tensor:
    """What our network answers in fp64 to the two images that the released code was asked."""
    model = _network(factory)
    model.load_state_dict(tensors)
    images = np.random.RandomState(7).standard_normal((2, 3, 96, 96))
    return model(torch.from_numpy(images))
