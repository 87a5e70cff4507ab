"""Whole networks against the NumPy reference: every kind and every function, values and gradients.

A network that is not slow has many kinds at once. Its edges cross stage borders, and its maps have odd sizes.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dcasearch.architecture import KINDS as DECLARED
from dcasearch.models import DCANet, build_model
from dcasearch.models.controls import Constant
from tests.models.samples import CLASSES, FUNCTIONS, KINDS, MATCHINGS, SMALL, images, pairwise, perturb
from tests.reference import attention, network

pytestmark = pytest.mark.filterwarnings("ignore:weighted. literal is Eq. 5 as printed")

PIXELS = 25
"""Maps of 25, 13, 7, 4 and 2."""
BACKBONES: dict[str, dict[str, Any]] = {
    "mobilenet_v2": SMALL,
    "resnet34": {"name": "resnet34", "width": 0.125, "stem": "small"},
    "resnet18": {"name": "resnet18", "width": 0.125, "stem": "small"},
}
DEEP = ["mobilenet_v2", "resnet34"]
"""Those with stages of four blocks and more, where chain, dense and tree differ."""
BLOCKS = {"mobilenet_v2": 17, "resnet34": 16, "resnet18": 8}
STAGES = {"mobilenet_v2": 7, "resnet34": 4, "resnet18": 4}
NONE = {"name": "none"}
IN_BLOCKS = [name for name, kind in KINDS.items() if DECLARED[kind["name"]].in_blocks]
AFTER_STAGES = [name for name in KINDS if name not in IN_BLOCKS]
PRECISION = {"mobilenet_v2": 1e-4, "resnet34": 1e-5}
"""In fp32. MobileNetV2's narrow blocks lose a digit more: their values differ little from their means."""
TOPOLOGIES, RESIZES, ALPHAS = ["chain", "dense", "tree"], ["average", "max"], ["scalar", "channel"]
STEP = 1e-8
"""Of the finite differences, in multiples of a parameter's size: a longer one crosses kinks of ReLU and maximum."""
STRIDE = 5
"""Each block's kind is so many further in the table than the block's before: neighbours differ."""


def kinds(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the attention of every block: one kind, or all in turn from a first one on."""
    count = BLOCKS[row["backbone"]]
    if row["kind"] in KINDS:
        return [KINDS[row["kind"]] if row["kind"] in IN_BLOCKS else NONE] * count
    return [KINDS[IN_BLOCKS[(row["kind"] + STRIDE * n) % len(IN_BLOCKS)]] for n in range(count)]


def ends(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the attention after every stage, none after the last: one kind, or all and none in turn."""
    count = STAGES[row["backbone"]] - 1
    if row["kind"] in KINDS:
        return [*[KINDS[row["kind"]] if row["kind"] in AFTER_STAGES else NONE] * count, NONE]
    names = [*AFTER_STAGES, "none"]
    return [*(KINDS.get(names[(row["kind"] + n) % len(names)], NONE) for n in range(count)), NONE]


def written(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "backbone": BACKBONES[row["backbone"]],
        "attention": {"blocks": kinds(row)},
        "stage_attention": {"stages": ends(row)},
        "connections": {
            "function": FUNCTIONS[row["function"]],
            "topology": row["topology"],
            "channel_matching": MATCHINGS[row["matching"]],
            "spatial_matching": row["resize"],
            "message": row.get("message", "sender"),
            "alpha": {"shape": row["alpha"], "init": 0.7},
        },
    }


def settled(row: dict[str, Any]) -> DCANet:
    """Return the network with parameters at random, and running statistics of the images that it will see."""
    model = build_model(written(row), CLASSES)
    perturb(model)
    if row["function"] == "literal":  # small messages: a G + A near 0 is rare, and the network not chaotic
        for name, parameter in model.named_parameters():
            if name.endswith(".alpha"):
                parameter.data *= 1e-3
    constants = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, Constant):
            module.set_to(torch.randn(module.values.shape, generator=constants))
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        model.train()(images(32, PIXELS))
    return model.eval()


def reference(row: dict[str, Any], model: nn.Module, training: bool = False) -> network.Network:
    """Return the reference with a model's parameters and buffers."""
    matching = MATCHINGS[row["matching"]]
    [options] = matching.values() if isinstance(matching, dict) else [{}]
    whole = options.get("norm_act", False)
    connections = network.Connections(
        function=row["function"],
        topology=row["topology"],
        act=whole or options.get("act") == "relu",
        norm_at=options.get("norm_at", "all"),
        resize=row["resize"],
        message=row.get("message", "sender"),
    )
    weights = {name: value.numpy().astype(np.float64) for name, value in model.state_dict().items()}
    blocks = network.backbone(row["backbone"], kinds(row), ends(row))
    return network.Network(row["backbone"], blocks, connections, weights, training)


def case(**changes: Any) -> dict[str, Any]:
    plain = {"backbone": "resnet34", "kind": "se", "function": "direct", "topology": "chain"}
    return plain | {"matching": "fc", "resize": "average", "alpha": "scalar"} | changes


def assert_agrees(row: dict[str, Any]) -> None:
    """Compare in fp32 and in fp64; Eq. 5 as printed in fp64 alone, since fp32 cannot resolve what it divides by."""
    literal = row["function"] == "literal"
    model, batch = settled(row), images(4, PIXELS)
    expected = reference(row, model).logits(batch.numpy().astype(np.float64))
    spread = np.ptp(expected, axis=0).max()
    assert spread > 0.1  # the images differ, so the comparison sees more than biases
    with torch.no_grad():
        if not literal:
            assert np.abs(model(batch).numpy() - expected).max() <= PRECISION[row["backbone"]] * spread
        assert np.abs(model.double()(batch.double()).numpy() - expected).max() <= (1e-6 if literal else 1e-10) * spread


def named(row: dict[str, Any]) -> str:
    return "-".join(str(row[name]) for name in sorted(row))


MIXED = [
    row | {"kind": n, "matching": list(MATCHINGS)[n % len(MATCHINGS)]}
    for n, row in enumerate(
        pairwise(
            {
                "function": list(FUNCTIONS),
                "topology": TOPOLOGIES,
                "backbone": DEEP,
                "resize": RESIZES,
                "alpha": ALPHAS,
            }
        )
    )
]
CONTROLLED = [
    case(
        backbone=DEEP[n % 2],
        kind=5 * n,
        message=message,
        topology="dense",
        matching="fc_norm_act",
        resize=RESIZES[n % 2],
    )
    for n, message in enumerate(["own", "shuffled", "constant"])
]
ALL = [
    case(
        kind=kind,
        function=function,
        topology=TOPOLOGIES[(i + j) % len(TOPOLOGIES)],
        matching=list(MATCHINGS)[(i * len(FUNCTIONS) + j) % len(MATCHINGS)],
        resize=RESIZES[(i + j) // 2 % 2],
        alpha=ALPHAS[(i + j) // 3 % 2],
    )
    for (i, kind), (j, function) in product(enumerate(KINDS), enumerate(FUNCTIONS))
]
"""Every kind with every function. Each kind, and each function, meets every topology."""


def test_the_reference_has_every_kind() -> None:
    assert set(attention.KINDS) == set(DECLARED)


def test_the_mixed_networks_have_every_kind_with_every_function() -> None:
    names = {id(attention): name for name, attention in KINDS.items()}
    met = {(names[id(kind)], row["function"]) for row in MIXED for kind in kinds(row) + ends(row) if kind != NONE}
    assert met >= set(product(KINDS, FUNCTIONS))


@pytest.mark.parametrize("row", MIXED, ids=named)
def test_networks_of_many_kinds_agree_with_the_reference(row: dict[str, Any]) -> None:
    assert_agrees(row)


@pytest.mark.parametrize("row", CONTROLLED, ids=named)
def test_controls_of_many_kinds_agree_with_the_reference(row: dict[str, Any]) -> None:
    assert_agrees(row)


@pytest.mark.parametrize("part", ["kind", "function"])
def test_every_kind_and_every_function_meets_every_topology(part: str) -> None:
    met = {(row[part], row["topology"]) for row in ALL}
    assert met == set(product({row[part] for row in ALL}, TOPOLOGIES))


@pytest.mark.slow
@pytest.mark.parametrize("row", ALL, ids=named)
def test_every_kind_with_every_function_agrees_with_the_reference(row: dict[str, Any]) -> None:
    assert_agrees(row)


def directions(model: nn.Module) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    """Return a random direction for each part of the parameters: the backbone's, attention's and connections'."""
    generator = np.random.default_rng(0)
    found: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    for name, parameter in model.named_parameters():
        scale = max(float(parameter.detach().abs().mean()), 0.01)
        found.setdefault(name.split(".")[0], {})[name] = scale * generator.standard_normal(tuple(parameter.shape))
    return found


def assert_gradients_agree(row: dict[str, Any]) -> None:
    """Compare the slope along random directions with the reference's finite differences, in fp64 and training mode."""
    model, batch = settled(row).double().train(), images(4, 13).double()
    targets = np.linspace(-1, 1, 4 * CLASSES).reshape(4, CLASSES)
    (model(batch) * torch.from_numpy(targets)).sum().backward()
    gradients = {name: p.grad.numpy() for name, p in model.named_parameters() if p.grad is not None}
    same = reference(row, model, training=True)
    weights = dict(same.w)
    for part, direction in directions(model).items():
        ends = []
        for step in (STEP, -STEP):
            same.w = weights | {name: weights[name] + step * d for name, d in direction.items()}
            ends.append((same.logits(batch.numpy()) * targets).sum())
        slope = sum((gradients[name] * d).sum() for name, d in direction.items())
        assert (ends[0] - ends[1]) / (2 * STEP) == pytest.approx(slope, rel=1e-4, abs=1e-6), part


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_every_kind_are_finite_differences_of_the_reference(kind: str) -> None:
    assert_gradients_agree(case(backbone="resnet18", kind=kind))


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradients_of_every_function_are_finite_differences_of_the_reference(function: str) -> None:
    row = case(backbone="resnet18", kind="cbam", function=function, topology="dense")
    if function == "literal":  # where G and A are positive: else its slopes are too steep for any difference
        row |= {"kind": "simam", "matching": "fc_norm_act"}
    assert_gradients_agree(row)
