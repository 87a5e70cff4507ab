"""`attention_init: identity`: a network starts as the one without attention, to the bit, and leaves that start."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dcasearch.architecture import KINDS as DECLARED
from dcasearch.architecture import Architecture
from dcasearch.errors import ArchitectureError
from dcasearch.models import DCANet, build_model, cost
from dcasearch.models.attention import Branch
from dcasearch.models.attention.base import Gain
from tests.kinds import enter
from tests.models.samples import CLASSES, FUNCTIONS, KINDS, images, loss_of, perturb, ready, spec
from tests.models.test_cost import whole
from tests.models.traced.support import needs_timm

TINY: dict[str, Any] = {"name": "timm/test_byobnet"}
RESNET: dict[str, Any] = {"name": "resnet18", "width": 0.125, "stem": "small"}
IDENTITY: dict[str, Any] = {"attention_init": "identity"}
BY_THEMSELVES = [kind for kind in KINDS if DECLARED[KINDS[kind]["name"]].starts_as_identity]
WITH_GAINS = [kind for kind in KINDS if kind not in BY_THEMSELVES]


def without_attention(model: DCANet, written: dict[str, Any]) -> DCANet:
    """Return the same network without attention and connections, both backbones in one state, as after a training.

    timm starts the last BatchNorm of a residual branch at weight 0, which would hide all attention there.
    """
    perturb(model.backbone)
    plain = build_model({"backbone": written["backbone"]}, model.classes)
    plain.backbone.load_state_dict(model.backbone.state_dict())
    return plain


def assert_equal_to_the_bit(model: DCANet, other: DCANet, batch: Tensor) -> None:
    """Compare two networks in training, which moves running statistics, and then in evaluation."""
    for mode in (True, False):
        answers = []
        for each in (model, other):
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                torch.manual_seed(0)  # of dropout
                answers.append(each.train(mode)(batch))
        assert torch.isfinite(answers[0]).all()
        assert torch.equal(*answers), "training" if mode else "evaluation"


def gains_of(model: nn.Module) -> dict[str, Gain]:
    return {name: module for name, module in model.named_modules() if isinstance(module, Gain)}


@pytest.mark.filterwarnings("ignore:weighted. literal")
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_network_starts_as_the_one_without_attention(kind: str, function: str) -> None:
    written = spec(kind, function=FUNCTIONS[function], topology="dense") | IDENTITY
    model = ready(written)
    assert_equal_to_the_bit(model, without_attention(model, written), images())


HOW: list[dict[str, Any]] = [
    *({"message": message} for message in ("own", "shuffled", "constant")),
    {"coupling": "coupled"},
    {"alpha": {"shape": "channel"}},
    {"spatial_matching": "conv", "channel_matching": {"fc2": {"norm": "bn"}}},
]


@pytest.mark.parametrize("how", HOW, ids=str)
def test_however_it_is_connected_a_network_starts_as_the_one_without_attention(how: dict[str, Any]) -> None:
    written = spec("cbam", **how) | IDENTITY
    model = ready(written)
    assert_equal_to_the_bit(model, without_attention(model, written), images())


@pytest.mark.parametrize("kind", ["se", "sk", "coord"])
def test_a_resnet_whose_blocks_add_their_shortcut_in_place_starts_as_the_one_without_attention(kind: str) -> None:
    written = spec(kind, RESNET, topology="chain") | IDENTITY
    model = ready(written)
    assert_equal_to_the_bit(model, without_attention(model, written), images())
    loss_of(model.train(), images()).backward()


def test_attention_in_blocks_and_after_stages_starts_as_the_network_without_attention() -> None:
    written = spec("cbam", RESNET, topology="chain") | IDENTITY | {"stage_attention": {"name": "bam", "reduction": 2}}
    model = ready(written)
    assert_equal_to_the_bit(model, without_attention(model, written), images())


@needs_timm
@pytest.mark.parametrize("kind", KINDS)
def test_a_library_network_starts_as_the_one_without_attention(kind: str) -> None:
    written = spec(kind, TINY, topology="dense") | IDENTITY
    model = ready(written)
    assert_equal_to_the_bit(model, without_attention(model, written), images(pixels=64))


@needs_timm
@pytest.mark.filterwarnings("ignore:weighted. literal")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_library_network_starts_as_the_one_without_attention_whatever_the_function(function: str) -> None:
    written = spec("cbam", TINY, function=FUNCTIONS[function]) | IDENTITY
    model = ready(written)
    assert_equal_to_the_bit(model, without_attention(model, written), images(pixels=64))


@needs_timm
def test_in_the_place_of_own_attention_a_network_starts_as_the_one_that_has_lost_it() -> None:
    replaced = {"backbone": {**TINY, "own_attention": "replace"}, "attention": {"name": "se"}, **IDENTITY}
    model = ready(replaced)
    perturb(model.backbone)
    lost = build_model({"backbone": {**TINY, "own_attention": "remove"}}, CLASSES)
    assert list(lost.backbone.state_dict()) == list(model.backbone.state_dict())
    lost.backbone.load_state_dict(model.backbone.state_dict())
    assert_equal_to_the_bit(model, lost, images(pixels=64))


@pytest.mark.parametrize("kind", KINDS)
def test_under_autocast_a_network_starts_as_the_one_without_attention(kind: str) -> None:
    written = spec(kind) | IDENTITY
    model = ready(written).eval()
    plain = without_attention(model, written).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        found, expected = model(images()), plain(images())
    if kind == "non_local":  # adds zeros in fp32, so the shortcut is added in fp32 and rounds less
        torch.testing.assert_close(found, expected, rtol=0, atol=0.01 * expected.abs().max().item())
    else:
        assert torch.equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_the_identity_as_it_is_drawn_where_it_declares_so_and_nowhere_else(kind: str) -> None:
    model = ready(spec(kind)).eval()
    plain = without_attention(model, spec(kind)).eval()
    with torch.no_grad():
        equal = torch.equal(model(images()), plain(images()))
    assert equal == DECLARED[KINDS[kind]["name"]].starts_as_identity


@pytest.mark.parametrize("kind", WITH_GAINS)
def test_at_s_of_1_it_is_the_papers_block(kind: str) -> None:
    usual, model = ready(spec(kind, topology="chain")).eval(), ready(spec(kind, topology="chain") | IDENTITY).eval()
    for gain in gains_of(model).values():
        nn.init.ones_(gain.s)
    with torch.no_grad():
        torch.testing.assert_close(model(images()), usual(images()))


@pytest.mark.parametrize("kind", KINDS)
def test_each_part_has_one_s_and_a_joint_block_has_one(kind: str) -> None:
    usual, model = ready(spec(kind)), ready(spec(kind) | IDENTITY)
    declared = DECLARED[KINDS[kind]["name"]]
    wanted = [
        f"attention.{name}.{part}gain"
        for name, node in zip(model.names, model.network.nodes, strict=True)
        if node.kind != "none" and not declared.starts_as_identity
        for part in ([""] if declared.joint else [f"{dimension}." for dimension in declared.dimensions])
    ]
    assert sorted(gains_of(model)) == sorted(wanted)
    assert set(model.state_dict()) - set(usual.state_dict()) == {f"{name}.s" for name in wanted}


@pytest.mark.parametrize("kind", KINDS)
def test_all_but_s_is_drawn_as_usual(kind: str) -> None:
    usual, model = ready(spec(kind, topology="chain")), ready(spec(kind, topology="chain") | IDENTITY)
    state = model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in usual.state_dict().items())
    assert all(gain.s.item() == 0 for gain in gains_of(model).values())


@pytest.mark.parametrize("kind", KINDS)
def test_s_is_counted(kind: str) -> None:
    written = spec(kind, {"name": "resnet18"}, topology="chain")
    usual, identity = (cost(Architecture.parse(each), 32, CLASSES) for each in (written, written | IDENTITY))
    with torch.device("meta"):
        gains = len(gains_of(build_model(written | IDENTITY, CLASSES)))
    assert identity == whole(written | IDENTITY, 32, CLASSES)
    assert (identity.params, identity.macs) == (usual.params + gains, usual.macs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_steps_move_s_and_the_weights_of_attention(kind: str) -> None:
    model = ready(spec(kind, {**RESNET, "width": 0.25}, topology="chain") | IDENTITY).train()
    before = copy.deepcopy(model.state_dict())
    learning = [*model.attention.parameters(), *model.connections.parameters()]  # the backbone would go its own way
    optimizer = torch.optim.SGD(learning, lr=0.3, momentum=0.9, weight_decay=0.0)
    for step in range(10):
        optimizer.zero_grad()
        loss_of(model, images(8, seed=step)).backward()
        optimizer.step()
    moved = {name: float((value.detach() - before[name]).abs().max()) for name, value in model.named_parameters()}
    gains = {f"{name}.s" for name in gains_of(model)}
    assert all(moved[name] > 1e-4 for name in gains), moved
    for name, block in model.attention.named_children():
        weights = {key for key, _ in block.named_parameters(prefix=f"attention.{name}")} - gains
        assert not weights or max(moved[key] for key in weights) > 1e-4, name


def test_while_s_is_0_it_alone_learns_in_its_block() -> None:
    model = ready(spec("se") | IDENTITY).train()
    loss_of(model, images()).backward()
    learning = {name for name, p in model.attention.named_parameters() if p.grad is not None and p.grad.any()}
    assert learning == {f"{name}.s" for name in gains_of(model.attention)}


def test_a_new_kind_starts_as_the_identity_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "tall", "after")
    written = spec("tall", RESNET, dimensions={"row": True}) | IDENTITY | {"stage_attention": {"name": "after"}}
    model = ready(written)
    assert len(gains_of(model)) == 8 + 2 * 4
    assert_equal_to_the_bit(model, without_attention(model, written), images())


def test_a_kind_without_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "alone")
    with pytest.raises(ArchitectureError, match="alone has no dimension, so nothing of it can start at s = 0"):
        Architecture.parse(spec("alone") | IDENTITY)


def test_a_gain_keeps_the_type_of_the_map() -> None:
    before, after = torch.ones(2, 3, dtype=torch.bfloat16), torch.full((2, 3), 3.0)
    gain = Gain()
    assert gain(before, after).dtype == torch.bfloat16
    nn.init.constant_(gain.s, 0.5)
    assert torch.equal(gain(before, after), torch.full((2, 3), 2.0, dtype=torch.bfloat16))


def test_a_usual_part_has_no_gain() -> None:
    model = ready(spec("cbam"))
    parts = [module for module in model.modules() if isinstance(module, Branch)]
    assert parts
    assert all(part.gain is None for part in parts)
