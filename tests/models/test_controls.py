"""Controls: equal in parameters and multiply-adds to the sender's message, and each what it says by its numbers."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest
import torch

from dcasearch.architecture import KINDS as DECLARED
from dcasearch.architecture import Architecture
from dcasearch.architecture.kinds import Port
from dcasearch.evaluation import Cost
from dcasearch.models import DCANet, build_model, cost
from dcasearch.models.controls import Constant, Own, Shuffled
from dcasearch.models.cost import measure
from tests.models.samples import (
    CLASSES,
    FUNCTIONS,
    KINDS,
    copied,
    images,
    loss_of,
    perturb,
    ready,
    spec,
)
from tests.models.test_connections import connection_parameters

pytestmark = pytest.mark.filterwarnings("ignore:weighted. literal is Eq. 5 as printed")
CONTROLS = ["own", "shuffled", "constant"]
VECTOR_4, VECTOR_2 = Port(4), Port(2)
MAP_2, FINER = Port(2, 4, ("H", "W")), Port(2, 2, ("H", "W"))


def connectable(kind: str) -> bool:
    return bool(DECLARED[KINDS[kind]["name"]].dimensions)


def few_edges(kind: str, function: str, message: str) -> dict[str, Any]:
    """Return a network with an edge within a stage and one across a border, in every dimension of the kind."""
    declared = DECLARED[KINDS[kind]["name"]]
    last = 8 if declared.in_blocks else 4  # of 16 channels; the ones before have 8
    edges = {dimension: [[1, 2], [2, last]] for dimension in declared.dimensions}
    return spec(kind, topology="custom", edges=edges, function=FUNCTIONS[function], message=message)


def some(step: int, *axes: list[str]) -> list[Any]:
    """Return every row of two axes; all but each `step`-th of every value are slow."""
    rows = product(*(enumerate(axis) for axis in axes))
    return [
        pytest.param(one, other, marks=[] if (i + j) % step == 0 else [pytest.mark.slow])
        for (i, one), (j, other) in rows
    ]


@pytest.mark.parametrize(("kind", "function"), some(7, [kind for kind in KINDS if connectable(kind)], list(FUNCTIONS)))
def test_every_control_costs_what_the_senders_message_does(kind: str, function: str) -> None:
    found = {
        message: cost(Architecture.parse(few_edges(kind, function, message)), 32, CLASSES)
        for message in ("sender", *CONTROLS)
    }
    assert set(found.values()) == {found["sender"]}


@pytest.mark.parametrize(("kind", "message"), some(7, ["se", "sk", "cbam", "ge_theta_2", "coord"], CONTROLS))
def test_the_built_network_has_the_cost_that_is_counted(kind: str, message: str) -> None:
    architecture = Architecture.parse(few_edges(kind, "concat", message))
    with torch.device("meta"):
        whole: Cost = measure(build_model(architecture, CLASSES), torch.empty(1, 3, 32, 32))
    assert cost(architecture, 32, CLASSES) == whole


@pytest.mark.parametrize(
    ("sender", "receiver", "own", "expected"),
    [
        pytest.param(VECTOR_4, VECTOR_4, [1.0, 2, 3, 4], [1.0, 2, 3, 4], id="as it is"),
        pytest.param(VECTOR_2, VECTOR_4, [1.0, 2, 3, 6], [1.5, 4.5], id="fewer channels"),
        pytest.param(VECTOR_4, VECTOR_2, [1.0, 5], [1.0, 1, 5, 5], id="more channels"),
        pytest.param(Port(3), VECTOR_2, [1.0, 5], [1.0, 3, 5], id="windows that overlap"),
        pytest.param(VECTOR_2, MAP_2, [[[1.0, 3], [5, 7]], [[0, 0], [0, 4]]], [4.0, 1], id="a map to a vector"),
        pytest.param(MAP_2, VECTOR_2, [1.0, 5], [[[1.0, 1], [1, 1]], [[5, 5], [5, 5]]], id="a vector to a map"),
        pytest.param(
            FINER,
            MAP_2,
            [[[1.0, 2]], [[3, 4]]],
            [[[1.0, 1, 2, 2], [1, 1, 2, 2]], [[3, 3, 4, 4], [3, 3, 4, 4]]],
            id="a finer map",
        ),
        pytest.param(
            Port(1, 8, ("H", "W")), MAP_2, [[[1.0, 3], [5, 7]], [[0, 0], [0, 4]]], [[[2.5]]], id="a coarser map"
        ),
    ],
)
def test_own_is_the_receivers_g_averaged_to_the_messages_shape(
    sender: Port, receiver: Port, own: list[Any], expected: list[Any]
) -> None:
    wanted = torch.tensor([expected])
    assert torch.equal(Own(sender, receiver)(torch.full_like(wanted, torch.nan), torch.tensor([own])), wanted)


def test_own_takes_the_tensor_that_a_block_sends_from() -> None:
    """CBAM's average, not its maximum; both are fused with it."""
    model = copied(few_edges("cbam", "direct", "own")).eval()
    receiver: Any = model.connections["features_2"]
    average, maximum = torch.randn(2, 8), torch.randn(2, 8)
    messages = {"features_1": (torch.randn(2, 8),)}
    found = receiver["channel"]((average, maximum), messages, None)
    edge = receiver["channel"].branches[0].edges["features_1"]
    p = edge.match(
        Own(edge_port(model, "features_1"), edge_port(model, "features_2"))(messages["features_1"][0], average)
    )
    torch.testing.assert_close(found, (average + p, maximum + p))


def edge_port(model: DCANet, name: str) -> Port:
    return model.network.nodes[model.names.index(name)].ports["channel"]


def test_each_branch_of_sk_has_its_own_g() -> None:
    model = copied(few_edges("sk", "direct", "own")).eval()
    receivers: Any = model.connections["features_2"]
    g = torch.randn(2, 48), torch.randn(2, 48)
    width = edge_port(model, "features_1").channels
    edges = [branch.edges["features_1"] for branch in receivers["channel"].branches]
    found = receivers["channel"](g, {"features_1": (torch.randn(2, width),) * 2}, None)
    own = Own(edge_port(model, "features_1"), edge_port(model, "features_2"))
    like = torch.zeros(2, width)
    torch.testing.assert_close(found, tuple(x + edge.match(own(like, x)) for x, edge in zip(g, edges, strict=True)))


@pytest.mark.parametrize("training", [True, False])
def test_shuffled_brings_the_message_of_the_next_image(training: bool) -> None:
    message = torch.randn(3, 4)
    control = Shuffled().train(training)
    assert torch.equal(control(message, message), message[[1, 2, 0]])


def test_a_batch_of_one_keeps_its_own_message() -> None:
    sender, shuffled = copied(spec("cbam", message="sender")).eval(), copied(spec("cbam", message="shuffled")).eval()
    assert torch.equal(sender(images(1)), shuffled(images(1)))
    assert not torch.equal(sender(images(3)), shuffled(images(3)))


@pytest.mark.parametrize(("kind", "message"), some(9, ["se", "sk", "ge_theta_2"], CONTROLS))
def test_zero_alpha_of_a_control_is_the_vanilla_network(kind: str, message: str) -> None:
    connected = ready(spec(kind, message=message, topology="dense", alpha={"init": 0})).eval()
    assert torch.equal(connected(images()), copied(spec(kind)).eval()(images()))


def test_a_gradient_reaches_the_sender_through_a_shuffled_message_alone() -> None:
    message = torch.randn(3, 4, requires_grad=True)
    constant = Constant(4, on_map=False)
    constant.set_to(torch.ones(4))
    assert Shuffled()(message, message).requires_grad
    assert not Own(VECTOR_4, VECTOR_4)(message, torch.randn(3, 4)).requires_grad
    assert not constant(message, message).requires_grad


@pytest.mark.parametrize(("kind", "message"), some(6, ["se", "cbam", "sk", "coord"], CONTROLS))
def test_every_parameter_of_a_controlled_network_gets_a_gradient(kind: str, message: str) -> None:
    model = ready(spec(kind, message=message, function="learned"))
    perturb(model)
    loss_of(model.double(), images().double()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    silent = [
        n for n, p in connection_parameters(model).items() if p.grad is not None and not p.grad.abs().max() > 1e-12
    ]
    if (kind, message) == ("cbam", "constant"):  # what is equal everywhere is subtracted by the norm over planes
        silent = [name for name in silent if not re.search(r"\.spatial\..*\.edges\.\w+\.weight$", name)]
    assert [name for name in silent if not name.endswith("bias")] == []


@pytest.mark.slow
def test_a_coupled_message_can_be_shuffled_or_constant() -> None:
    sender = Architecture.parse(spec("cbam", coupling="coupled"))
    for message in ("shuffled", "constant"):
        written = spec("cbam", coupling="coupled", message=message)
        assert cost(Architecture.parse(written), 32, CLASSES) == cost(sender, 32, CLASSES)
        assert torch.isfinite(ready(written).eval()(images())).all()
