"""Controls: equal in parameters and multiply-adds to the sender's message, and each what it says by its numbers."""

from __future__ import annotations

import copy
import io
import re
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dcasearch.architecture import KINDS as DECLARED
from dcasearch.architecture import Architecture
from dcasearch.architecture.kinds import Port
from dcasearch.errors import UserError
from dcasearch.evaluation import Cost
from dcasearch.models import DCANet, build_model, cost, set_constants
from dcasearch.models.constants import is_measured
from dcasearch.models.controls import Constant, Control, Own, Shuffled
from dcasearch.models.cost import measure
from tests.models.samples import (
    CLASSES,
    FUNCTIONS,
    KINDS,
    built,
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
    """Return every row; those that are not slow have every value of both axes, if `step` is at most their length."""
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


@pytest.mark.parametrize(("kind", "message"), some(5, ["se", "sk", "cbam", "ge_theta_2", "coord"], CONTROLS))
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


@pytest.mark.parametrize(("kind", "message"), some(3, ["se", "sk", "ge_theta_2"], CONTROLS))
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


@pytest.mark.parametrize(("kind", "message"), some(3, ["se", "cbam", "sk", "coord"], CONTROLS))
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


# A constant


def constants(model: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if name.endswith("control.values")}


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("gc", "ge_theta_2", "coord")]


@pytest.mark.parametrize("kind", ["se", "cbam", "sk", *SLOW])
def test_a_constant_is_the_messages_mean_over_images_and_positions_in_the_vanilla_parent(kind: str) -> None:
    parent = copied(spec(kind))
    perturb(parent)
    written = spec(kind, topology="dense", message="constant")
    model = built(written)
    batches = [images(3), torch.empty(0, 3, 24, 24), images(2, seed=1)]
    set_constants(model, parent.state_dict(), batches)
    # With α = 0 a connected network is the parent, and sends what it would send.
    listening = built(spec(kind, topology="dense", alpha={"init": 0.0}))
    listening.load_state_dict(parent.state_dict(), strict=False)
    heard: dict[str, list[Tensor]] = {}
    for name, module in listening.named_modules():
        if name.rpartition(".")[0].endswith(".edges"):
            hear(module, heard.setdefault(f"{name}.control.values", []))
    with torch.no_grad():
        for batch in batches:
            if len(batch):
                listening.eval()(batch)
    expected = {name: torch.cat(found).mean(0).float() for name, found in heard.items()}
    torch.testing.assert_close(constants(model), expected, rtol=1e-5, atol=1e-6)
    assert any(value.abs().max() > 1e-3 for value in expected.values())


def hear(edge: Any, found: list[Tensor]) -> None:
    """Keep each image's mean message, of the branch that the edge belongs to."""

    def keep(module: Any, arguments: tuple[Any, ...]) -> None:
        message = module._pick(arguments[0]).double()
        found.append(message.flatten(2).mean(2) if message.dim() > 2 else message)

    edge.register_forward_pre_hook(keep)


@pytest.mark.parametrize("kind", ["se", "cbam"])
def test_a_constant_takes_images_of_any_size_and_is_the_same_for_all_of_them(kind: str) -> None:
    model = ready(spec(kind, message="constant")).eval()
    before = constants(model)
    for pixels in (24, 40, 33):
        assert torch.isfinite(model(images(2, pixels))).all()
    control = next(module for module in model.modules() if isinstance(module, Constant))
    shape = (3, len(control.values), 4, 5) if len(control._shape) == 4 else (3, len(control.values))
    given = control(torch.randn(shape), torch.empty(0))
    assert given.shape == shape
    assert torch.equal(given[0], given[2])
    torch.testing.assert_close(constants(model), before)


@pytest.mark.parametrize("training", [True, False])
def test_a_constant_that_was_not_measured_refuses_with_what_to_do(training: bool) -> None:
    model = copied(spec("se", message="constant")).train(training)
    assert not is_measured(model)
    with pytest.raises(UserError, match=r"trained vanilla parent; dcasearch\.models\.set_constants measures it"):
        model(images())


def through_a_file(model: DCANet) -> DCANet:
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = build_model(Architecture.parse(spec("se", message="constant")), CLASSES, seed=1)
    other.load_state_dict(torch.load(file, weights_only=True))
    return other


@pytest.mark.parametrize("survives", [copy.deepcopy, through_a_file], ids=["deepcopy", "state_dict"])
def test_a_constant_survives(survives: Any) -> None:
    model = ready(spec("se", message="constant")).eval()
    other = survives(model).eval()
    assert is_measured(other)
    assert torch.equal(other(images()), model(images()))


def test_a_state_without_constants_leaves_them_unmeasured() -> None:
    """A loaded file of a network that was never measured is refused like the network itself."""
    unmeasured, measured = copied(spec("se", message="constant")), ready(spec("se", message="constant"))
    measured.load_state_dict(unmeasured.state_dict())
    with pytest.raises(UserError, match="not measured yet"):
        measured(images())


def test_constants_of_several_processes_are_those_of_all_images() -> None:
    """Each process measures its share; `total` adds what the other has found."""
    parent, whole = copied(spec("se")), built(spec("se", message="constant"))
    set_constants(whole, parent.state_dict(), [images(4)])
    totals: list[Tensor] = []

    def remember(value: Tensor) -> Tensor:
        totals.append(value)
        return value

    set_constants(built(spec("se", message="constant")), parent.state_dict(), [images(4)[2:]], total=remember)
    others = iter(totals)
    shared = built(spec("se", message="constant"))
    set_constants(shared, parent.state_dict(), [images(4)[:2]], total=lambda value: value + next(others))
    torch.testing.assert_close(constants(shared), constants(whole))


def test_constants_need_images_and_the_right_parent() -> None:
    model = built(spec("se", message="constant"))
    with pytest.raises(ValueError, match="no images"):
        set_constants(model, copied(spec("se")).state_dict(), [])
    with pytest.raises(RuntimeError, match="Unexpected key"):
        set_constants(model, copied(spec("gc")).state_dict(), [images()])
    assert not is_measured(model)


def test_a_coupled_message_can_be_shuffled_or_constant() -> None:
    sender = Architecture.parse(spec("cbam", coupling="coupled"))
    for message in ("shuffled", "constant"):
        written = spec("cbam", coupling="coupled", message=message)
        assert cost(Architecture.parse(written), 32, CLASSES) == cost(sender, 32, CLASSES)
        assert torch.isfinite(ready(written).eval()(images())).all()


def test_a_networks_parent_is_itself_without_edges() -> None:
    """Also where the messages have another form than the vanilla network's: what is measured has the receiver's."""
    written = spec("ge_theta_2", message="constant", ge_message="upsampled")
    network = Architecture.parse(written).network
    assert replace(network, edges=()).nodes != Architecture.parse(spec("ge_theta_2")).network.nodes
    assert is_measured(ready(written))


def test_a_control_is_abstract() -> None:
    assert getattr(Control, "__abstractmethods__", None) == {"forward"}
