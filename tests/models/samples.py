"""Small networks that the tests of the models share."""

from __future__ import annotations

import copy
import json
from functools import lru_cache
from itertools import combinations, product
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dcasearch.architecture import KINDS as DECLARED
from dcasearch.architecture import Architecture
from dcasearch.models import DCANet, build_model, set_constants
from dcasearch.models.attention import Extraction, Messages, attention_of
from dcasearch.models.backbones import NETWORKS, Backbone
from dcasearch.models.connections import send_message

CLASSES = 5
SMALL = {"name": "mobilenet_v2", "width": 0.25, "stem": "small"}
PIXELS = 24
"""A size whose halvings are odd: maps of 24, 12, 6, 3 and 2."""

_FORMS = {
    "bam": {"name": "bam", "reduction": 2, "dilation": 2},
    "se": {"name": "se", "reduction": 2},
    "ge_theta_minus": {"name": "ge_theta_minus"},
    "ge_theta_minus_2": {"name": "ge_theta_minus", "extent": 2},
    "ge_theta": {"name": "ge_theta", "extent": 8},
    "ge_theta_2": {"name": "ge_theta", "extent": 2},
    "ge_theta_plus": {"name": "ge_theta_plus", "extent": 2, "reduction": 2},
    "gc": {"name": "gc", "reduction": 2},
    "sge": {"name": "sge", "groups": 4},
    "non_local": {"name": "non_local"},
    "coord": {"name": "coord", "reduction": 2},
    "lct": {"name": "lct", "groups": 2},
    "sk": {"name": "sk", "reduction": 4},
    "cbam": {"name": "cbam", "reduction": 2},
}
"""Attention blocks whose options suit small networks, GE's with every form of message."""
KINDS: dict[str, dict[str, Any]] = _FORMS | {
    name: {"name": name} for name in DECLARED if name not in {"none", *(form["name"] for form in _FORMS.values())}
}
"""Every attention block: one that is not among the forms is enrolled with its defaults."""
FUNCTIONS: dict[str, Any] = {
    "direct": "direct",
    "weighted": "weighted",
    "literal": {"weighted": {"form": "literal"}},
    "softmax": "softmax",
    "learned": "learned",
    "learned_without_bias": {"learned": {"bias": False}},
    "concat": "concat",
}
MATCHINGS: dict[str, Any] = {
    "fc": "fc",
    "fc_bn": {"fc": {"bias": True, "norm": "bn", "act": "relu"}},
    "fc_norm_act": {"fc": {"norm_act": True}},
    "fc2": {"fc2": {"reduction": 4, "bias": True, "act": "relu", "norm_at": "inner"}},
    "fc2_bn_inner": {"fc2": {"reduction": 2, "norm": "bn", "act": "relu", "norm_at": "inner"}},
    "fc2_norm_act": {"fc2": {"reduction": 4, "norm_act": True}},
}


def spec(kind: str = "se", backbone: dict[str, Any] | None = None, **connections: Any) -> dict[str, Any]:
    """Return the specification of a small network, connected where anything is said of connections."""
    written: dict[str, Any] = {"backbone": backbone or SMALL, "attention": KINDS.get(kind, {"name": kind})}
    return written | ({"connections": connections} if connections else {})


def images(batch: int = 4, pixels: int = PIXELS, seed: int = 0) -> Tensor:
    """Return noise whose contrast differs from image to image, so that global descriptors do too."""
    noise = torch.randn(batch, 3, pixels, pixels, generator=torch.Generator().manual_seed(seed))
    return noise * torch.linspace(0.3, 3, batch)[:, None, None, None]


def built(architecture: dict[str, Any] | Architecture) -> DCANet:
    return build_model(architecture, CLASSES)


def ready(written: dict[str, Any]) -> DCANet:
    """Return a network, its constant messages measured in an untrained parent where it has some."""
    model = built(written)
    if model.network.has_constants:
        parent = copied({key: part for key, part in written.items() if key != "connections"})
        set_constants(model, parent.state_dict(), [images(3)])
    return model


def block_of(attention: dict[str, Any], host: int = 1) -> Any:
    """Return the attention of a block of a ResNet-18 (by default layer1.1, of 64 channels), in fp64, evaluating."""
    block = Architecture.parse({"backbone": {"name": "resnet18"}, "attention": attention}).network.blocks[host]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = attention_of(block, list(cast(Backbone, NETWORKS["resnet18"](1.0, "small", CLASSES)).blocks())[host])
        for parameter in module.parameters():
            nn.init.normal_(parameter, 0.5 if parameter.dim() < 2 else 0.0, 0.3)
    return module.double().eval()


def alone(dimension: str, raw: Extraction, read: Any) -> Extraction:
    """Receive nothing."""
    return raw


def attended(module: Any, x: Any) -> tuple[Tensor, Messages]:
    """Return what an attention block by itself makes of a map, and what it sends in every dimension."""
    gated, messages = module.attend(x, alone, dict.fromkeys(module.dimensions, send_message))
    return gated, messages


def added(attention: dict[str, Any], pixels: int = 56) -> dict[int, tuple[int, int]]:
    """Return by channels what attention adds to the last block of a ResNet-50's stage: parameters, multiply-adds.

    The stage has a map of `pixels` x `pixels` at images of its scale's multiple: all stages here see the same map.
    """
    network = Architecture.parse({"backbone": {"name": "resnet50"}, "attention": attention}).network
    found = {}
    for block, host in zip(network.blocks, cast(Backbone, _resnet50()).blocks(), strict=True):
        if block.layout.channels not in found:
            with torch.device("meta"):
                module = attention_of(block, host)
            x = torch.empty((1, block.layout.channels, pixels, pixels), device="meta")
            counter = FlopCounterMode(display=False)
            with torch.no_grad(), counter:
                module.eval().attend(x, alone, {})
            params = sum(parameter.numel() for parameter in module.parameters())
            found[block.layout.channels] = params, counter.get_total_flops() // 2
    return found


@lru_cache(maxsize=1)
def _resnet50() -> nn.Module:
    with torch.device("meta"):
        return NETWORKS["resnet50"](1.0, "imagenet", CLASSES)


def copied(architecture: dict[str, Any]) -> DCANet:
    """Return `built`, sparing a test that follows one of the same architecture the building."""
    return copy.deepcopy(_once(json.dumps(architecture)))


@lru_cache(maxsize=128)
def _once(architecture: str) -> DCANet:
    return built(json.loads(architecture))


def perturb(model: nn.Module, seed: int = 0) -> None:
    """Draw every parameter at random, around its initial value so that the signal survives the depth."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            scale = 0.3 if parameter.dim() < 2 or parameter.numel() < 2 else 0.3 * float(parameter.std())
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=max(scale, 0.03))


def loss_of(model: nn.Module, batch: Tensor) -> Tensor:
    targets = torch.arange(len(batch)) % CLASSES
    return nn.functional.cross_entropy(model(batch), targets)


def pairwise(axes: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return rows that contain every pair of values of two axes, chosen greedily."""
    names = list(axes)
    missing = {((a, x), (b, y)) for a, b in combinations(names, 2) for x, y in product(axes[a], axes[b])}
    rows = []
    while missing:
        row = dict(min(missing))
        for name in names:
            if name not in row:
                row[name] = max(axes[name], key=lambda value: _covered(row | {name: value}, names, missing))
        missing -= _pairs(row, names)
        rows.append(row)
    return rows


def _pairs(row: dict[str, Any], names: list[str]) -> set[Any]:
    return {((a, row[a]), (b, row[b])) for a, b in combinations(names, 2) if a in row and b in row}


def _covered(row: dict[str, Any], names: list[str], missing: set[Any]) -> int:
    return len(_pairs(row, names) & missing)
