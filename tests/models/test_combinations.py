"""Every combination of the tables trains: attention x function x dimension in full, the other axes pairwise."""

from __future__ import annotations

import re
import warnings
from itertools import product
from typing import Any

import pytest
import torch

from dcasearch.architecture import KINDS as ALL_KINDS
from dcasearch.models import DCANet
from tests.models.samples import (
    FUNCTIONS,
    KINDS,
    MATCHINGS,
    SMALL,
    built,
    copied,
    images,
    loss_of,
    pairwise,
    perturb,
    spec,
)

pytestmark = pytest.mark.filterwarnings("ignore:weighted. literal is Eq. 5 as printed")

CANCELLED = {
    r"bam attention\..*\.(fc1|reduce|conv\d)\.bias": "the BatchNorm that follows subtracts it",
    r"bam attention\..*\.plane\.bias": "learned: the BatchNorm over planes subtracts it",
    r"gc attention\..*\.channel\.mask\.bias": "a softmax ignores what is added to all of its logits",
    r"(gc|non_local) attention\.(features|layers)_\w+\.channel\.(fc2|affine)\.bias": "the next BatchNorm subtracts it",
    r"ge_theta attention\..*\.gather\.[13]\.bias": "where one pixel is gathered, the next BatchNorm subtracts it",
    r".* connections\..*\.function\.bias": "learned: the LayerNorm over channels subtracts it",
    r".* connections\..*\.match\.fc\d?\.bias": "matching: the BatchNorm that follows subtracts it",
    r".* backbone\.features\.\d+\.conv\.[23]\.bias": "MobileNetV2: the next 1x1 convolution's BatchNorm subtracts it",
    r".* backbone\.layers\.\d+\.(\d\.layers\.7\.)?bias": "MnasNet: the next 1x1 convolution's BatchNorm subtracts it",
}
"""The biases whose gradient may vanish, by "kind name", and what cancels them."""


def dimensions_of(kind: str) -> tuple[str, ...]:
    return tuple(ALL_KINDS[KINDS[kind]["name"]].dimensions)


def matrix(step: int = 1) -> list[Any]:
    """Every row; of those with a function, all but each `step`-th of every kind and every function are slow."""
    rows: list[Any] = [pytest.param(kind, None, None, id=f"{kind}-None-None") for kind in ["none", *KINDS]]
    for (i, kind), (j, function) in product(enumerate(KINDS), enumerate(FUNCTIONS)):
        marks = [] if (i + j) % step == 0 else [pytest.mark.slow]
        rows += [pytest.param(kind, function, d, id=f"{kind}-{function}-{d}", marks=marks) for d in dimensions_of(kind)]
    return rows


def in_one_dimension(kind: str, function: str | None, dimension: str | None) -> dict[str, Any]:
    if function is None:
        return spec(kind)
    others = {d: False for d in dimensions_of(kind) if d != dimension}
    return spec(kind, function=FUNCTIONS[function], dimensions=others)


PAIRWISE = pairwise(
    {
        "kind": list(KINDS),
        "function": list(FUNCTIONS),
        "backbone": ["resnet18", "resnet50", "mnasnet0_5", "mobilenet_v2"],
        "topology": ["chain", "dense", "tree"],
        "channel_matching": list(MATCHINGS),
        "spatial_matching": ["average", "max", "conv"],
        "alpha": ["scalar", "channel"],
    }
)


def rows() -> list[Any]:
    """Every row; those of ResNet-50 and half of the others are slow."""
    return [
        pytest.param(
            row,
            id="-".join(row[name] for name in sorted(row)),
            marks=[pytest.mark.slow] if row["backbone"] == "resnet50" or number % 2 else [],
        )
        for number, row in enumerate(PAIRWISE)
    ]


def from_row(row: dict[str, Any]) -> dict[str, Any]:
    backbone = SMALL if row["backbone"] == "mobilenet_v2" else {"name": row["backbone"], "stem": "imagenet"}
    return spec(
        row["kind"],
        backbone,
        function=FUNCTIONS[row["function"]],
        channel_matching=MATCHINGS[row["channel_matching"]],
        topology=row["topology"],
        spatial_matching=row["spatial_matching"],
        alpha={"shape": row["alpha"]},
    )


def pixels_of(kind: str, backbone: str = "mobilenet_v2") -> int:
    """Return a size whose last map has 2x2 pixels, or 5x5 for GE-θ of extent 8, all of whose layers then have work."""
    last = 5 if kind == "ge_theta" else 2
    return (last - 1) * (16 if backbone == "mobilenet_v2" else 32) + 8


def assert_every_parameter_lives(model: DCANet, kind: str, pixels: int = 24) -> None:
    perturb(model)
    loss_of(model.double(), images(4, pixels).double()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if not any(re.fullmatch(pattern, f"{kind} {name}") for pattern in CANCELLED):
            assert parameter.grad.abs().max() > 1e-12, name


def assert_trains_in_bfloat16(model: DCANet, pixels: int = 24) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(images(4, pixels))
    logits.float().square().mean().backward()
    assert torch.isfinite(logits).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert all(p.grad is not None for p in model.parameters())


def test_every_attention_block_is_in_the_matrix() -> None:
    assert {kind["name"] for kind in KINDS.values()} | {"none"} == set(ALL_KINDS)


def test_every_kind_and_every_function_is_among_the_rows_that_are_not_slow() -> None:
    kept = [row.values for row in matrix(step=5) if not row.marks]
    assert {kind for kind, _, _ in kept} == {"none", *KINDS}
    assert {function for _, function, _ in kept} == {None, *FUNCTIONS}


def test_every_option_is_among_the_rows_that_are_not_slow() -> None:
    kept = [row.values[0] for row in rows() if not row.marks]
    for name in PAIRWISE[0]:
        assert {row[name] for row in PAIRWISE} - {row[name] for row in kept} <= {"resnet50"}


@pytest.mark.parametrize(("kind", "function", "dimension"), matrix(step=3))
def test_every_parameter_gets_a_gradient(kind: str, function: str, dimension: str) -> None:
    assert_every_parameter_lives(copied(in_one_dimension(kind, function, dimension)), kind, pixels_of(kind))


@pytest.mark.parametrize(("kind", "function", "dimension"), matrix(step=5))
def test_trains_in_bfloat16(kind: str, function: str, dimension: str) -> None:
    assert_trains_in_bfloat16(copied(in_one_dimension(kind, function, dimension)))


@pytest.mark.parametrize(("kind", "function", "dimension"), matrix(step=5))
def test_channels_last_gives_the_same_logits(kind: str, function: str, dimension: str) -> None:
    model = copied(in_one_dimension(kind, function, dimension)).eval()
    with torch.no_grad():
        expected = model(images())
        last = model.to(memory_format=torch.channels_last)(images().to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("kind", "function", "dimension"), matrix(step=5))
def test_runs_on_the_meta_device(kind: str, function: str, dimension: str) -> None:
    with torch.device("meta"):
        model = built(in_one_dimension(kind, function, dimension))
        assert model(torch.empty(2, 3, 32, 32)).shape == (2, 5)
    assert all(parameter.is_meta for parameter in model.parameters())


@pytest.mark.parametrize("row", rows())
def test_every_pair_of_options_trains(row: dict[str, Any]) -> None:
    assert_every_parameter_lives(built(from_row(row)), row["kind"], pixels_of(row["kind"], row["backbone"]))


@pytest.mark.slow
@pytest.mark.parametrize("row", rows())
def test_every_pair_of_options_trains_in_bfloat16(row: dict[str, Any]) -> None:
    assert_trains_in_bfloat16(built(from_row(row)), pixels_of(row["kind"], row["backbone"]))


@pytest.mark.parametrize("function", ["direct", "weighted", "literal"])
@pytest.mark.parametrize("kind", KINDS)
def test_zero_alpha_equals_the_vanilla_network_bit_for_bit(kind: str, function: str) -> None:
    connected = built(spec(kind, function=FUNCTIONS[function], topology="dense", alpha={"init": 0}))
    vanilla = copied(spec(kind))
    for mode in (True, False):
        torch.manual_seed(0)
        expected = vanilla.train(mode)(images())
        torch.manual_seed(0)
        assert torch.equal(connected.train(mode)(images()), expected)


def test_zero_alpha_of_softmax_is_not_the_vanilla_network() -> None:
    connected = built(spec("se", function="softmax", alpha={"init": 0})).eval()
    assert not torch.equal(connected(images()), built(spec("se")).eval()(images()))


def test_coupled_cbam_trains() -> None:
    for resize in ("average", "max", "conv"):
        for topology in ("chain", "dense"):
            assert_every_parameter_lives(
                built(spec("cbam", coupling="coupled", spatial_matching=resize, topology=topology)), "cbam"
            )


def test_literal_warns_when_it_is_built() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        built(spec("se", function=FUNCTIONS["literal"]))
    assert [str(w.message) for w in caught] == [
        "weighted: literal is Eq. 5 as printed, which diverges where G + αP nears 0"
    ]
