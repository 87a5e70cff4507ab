"""`ge_message: upsampled`: GE-θ's message at its block's resolution."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from dcasearch.architecture import KINDS, Architecture, Port
from dcasearch.architecture.kinds.ge import UPSAMPLED
from dcasearch.errors import ArchitectureError
from dcasearch.models import build_model, cost
from dcasearch.models.cost import measure
from tests.models.samples import CLASSES, SMALL, built, images, loss_of

GE = {"name": "ge_theta", "extent": 4}


def ge(attention: Any = GE, message: str | None = "upsampled", **connections: Any) -> dict[str, Any]:
    said = {} if message is None else {"ge_message": message}
    return {"backbone": SMALL, "attention": attention, "connections": {**said, **connections}}


def test_the_default_form_is_not_in_the_id() -> None:
    assert Architecture.parse(ge(message=None)).id == Architecture.parse(ge(message="gathered")).id
    assert "ge_message" not in Architecture.parse(ge(message=None)).written_out()["connections"]
    upsampled = Architecture.parse(ge())
    assert upsampled.id != Architecture.parse(ge(message=None)).id
    assert Architecture.parse(upsampled.to_dict()).id == Architecture.parse(upsampled.written_out()).id == upsampled.id


def test_where_nobody_listens_the_form_makes_no_other_network() -> None:
    vanilla = {"backbone": SMALL, "attention": GE}
    assert Architecture.parse(ge(dimensions={"channel": False})).id == Architecture.parse(vanilla).id


def test_nodes_that_neither_send_nor_receive_keep_their_own_form() -> None:
    edges = {"topology": "custom", "edges": {"channel": [[2, 4]]}}
    network = Architecture.parse(ge(**edges)).network
    assert [n for n, node in enumerate(network.nodes) if node.form == UPSAMPLED] == [1, 3]
    assert network.nodes[1].ports["channel"] == Port(8, 2, ("H", "W"))
    assert network.nodes[2].ports["channel"] == Port(8, 8, ("H", "W"))


def test_a_message_is_the_gated_map_at_the_blocks_resolution() -> None:
    node = Architecture.parse(ge(topology="custom", edges={"channel": [[2, 4]]})).network.nodes[1]
    model = built(ge(topology="custom", edges={"channel": [[2, 4]]})).eval()
    part: Any = model.get_submodule("attention.features_2.channel")
    x = torch.randn(2, node.layout.channels, 12, 12)
    raw = part.extract(x)
    assert torch.equal(raw[0], F.interpolate(part.gather(x), size=(12, 12)))
    transformed = part.transform(raw)
    assert part.message(raw, transformed)[0].shape == x.shape
    assert torch.equal(part.fuse(x, transformed), x * torch.sigmoid(raw[0]))


@pytest.mark.parametrize("function", ["direct", "weighted"])
def test_zero_alpha_equals_the_vanilla_network_to_the_last_bit(function: str) -> None:
    connected = built(ge(function=function, topology="dense", alpha={"init": 0})).eval()
    vanilla = built({"backbone": SMALL, "attention": GE}).eval()
    assert torch.equal(connected(images()), vanilla(images()))


@pytest.mark.parametrize("function", ["direct", "learned", "concat"])
def test_it_trains_beside_other_kinds_and_is_counted(function: str) -> None:
    stages = [GE, {"name": "se", "reduction": 2}, GE, {"name": "none"}, {"name": "ge_theta", "extent": 2}, GE, GE]
    written = ge({"stages": stages}, function=function)
    model = built(written)
    loss_of(model, images()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    with torch.device("meta"):
        whole = measure(build_model(written, CLASSES), torch.empty(1, 3, 33, 33))
    assert cost(Architecture.parse(written), 33, CLASSES) == whole


def test_a_form_is_refused_where_no_kind_has_it() -> None:
    for attention, form, message in (
        ({"name": "se"}, "upsampled", "upsampled exists for ge_theta alone"),
        (GE, "upsmapled", "'upsmapled' is not a form of messages; did you mean 'upsampled'"),
    ):
        with pytest.raises(ArchitectureError, match=message) as error:
            Architecture.parse(ge(attention, form))
        assert error.value.path == ("connections", "ge_message")


def test_a_form_states_the_shapes_of_the_dimensions_that_it_changes() -> None:
    having = [kind.forms[UPSAMPLED]["channel"] for kind in KINDS.values() if UPSAMPLED in kind.forms]
    assert having
    assert all(state.g == state.t == ("B", "C", "H", "W") for state in having)
