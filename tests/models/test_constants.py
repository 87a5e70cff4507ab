"""Constant messages: what is measured in the vanilla parent, and what keeps it."""

from __future__ import annotations

import copy
import io
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dcasearch.architecture import Architecture
from dcasearch.errors import UserError
from dcasearch.models import DCANet, build_model, set_constants
from dcasearch.models.constants import is_measured
from dcasearch.models.controls import Constant
from tests.models.samples import CLASSES, built, copied, images, perturb, ready, spec


def constants(model: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if name.endswith("control.values")}


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("sk", "gc", "ge_theta_2", "coord")]


@pytest.mark.parametrize("kind", ["cbam", *SLOW])
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


def test_a_constant_takes_images_of_any_size_and_is_the_same_for_all_of_them() -> None:
    model = ready(spec("cbam", message="constant")).eval()
    before = constants(model)
    for pixels in (24, 40, 33):
        assert torch.isfinite(model(images(2, pixels))).all()
    control = next(module for module in model.modules() if isinstance(module, Constant))
    shape = (3, len(control.values), 4, 5) if len(control._shape) == 4 else (3, len(control.values))
    given = control(torch.randn(shape), torch.empty(0))
    assert given.shape == shape
    assert torch.equal(given[0], given[2])
    torch.testing.assert_close(constants(model), before)


def test_a_constant_that_was_not_measured_refuses_with_what_to_do() -> None:
    model = copied(spec("se", message="constant"))
    assert not is_measured(model)
    for training in (True, False):
        with pytest.raises(UserError, match=r"trained vanilla parent; dcasearch\.models\.set_constants measures it"):
            model.train(training)(images())


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


@pytest.mark.slow
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


def test_a_networks_parent_is_itself_without_edges() -> None:
    """Also where the messages have another form than the vanilla network's: what is measured has the receiver's."""
    written = spec("ge_theta_2", message="constant", ge_message="upsampled")
    network = Architecture.parse(written).network
    assert replace(network, edges=()).nodes != Architecture.parse(spec("ge_theta_2")).network.nodes
    assert is_measured(ready(written))
