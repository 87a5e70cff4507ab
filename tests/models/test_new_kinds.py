"""Kinds that nothing in the package knows: built, connected and counted from their declaration and module alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dcasearch.architecture import Architecture
from dcasearch.models import build_model, cost
from dcasearch.models.backbones import Passage
from dcasearch.models.cost import measure
from tests.kinds import enter
from tests.models.samples import CLASSES, FUNCTIONS, KINDS, MATCHINGS, SMALL, built, images, loss_of

ROWS = ["tall", "whole", "se", "none", "tall", "whole", "tall"]
"""Kinds of MobileNetV2's stages: rows meet rows and whole maps, at equal and at other resolutions."""


def stages(*kinds: str, **connections: Any) -> dict[str, Any]:
    return {"backbone": SMALL, "attention": {"stages": [{"name": kind} for kind in kinds]}, "connections": connections}


def one(kind: str, **connections: Any) -> dict[str, Any]:
    return {"backbone": SMALL, "attention": {"name": kind}, "connections": connections}


def assert_trains(written: dict[str, Any]) -> None:
    model = built(written)
    loss_of(model, images()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    for pixels in (24, 33):
        with torch.device("meta"):
            whole = measure(build_model(written, CLASSES), torch.empty(1, 3, pixels, pixels))
        assert cost(Architecture.parse(written), pixels, CLASSES) == whole


@pytest.mark.filterwarnings("ignore:weighted. literal is Eq. 5 as printed")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_dimension_of_its_own_connects_by_every_function(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "tall", "whole")
    assert_trains(stages(*ROWS, function=FUNCTIONS[function], alpha={"shape": "channel"}))


@pytest.mark.parametrize(
    ("resize", "topology"),
    [
        ("average", "dense"),
        ("max", "chain"),
        ("conv", "dense"),
        *(
            pytest.param(*row, marks=pytest.mark.slow)
            for row in [("average", "chain"), ("max", "dense"), ("conv", "chain")]
        ),
    ],
)
def test_rows_are_resized_along_their_own_axis(resize: str, topology: str, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "tall", "whole")
    matching = MATCHINGS["fc2_bn_inner"]
    assert_trains(stages(*ROWS, spatial_matching=resize, topology=topology, channel_matching=matching))


@pytest.mark.parametrize("function", ["direct", "learned", "concat"])
def test_planes_of_other_numbers_are_sent_as_their_mean(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "planes")
    kinds: list[dict[str, Any]] = [
        {"name": "cbam", "reduction": 2},
        {"name": "planes", "groups": 2},
        {"name": "planes"},
    ]
    written = stages(function=function, dimensions={"channel": False})
    written["attention"] = {"stages": [*kinds, *kinds, {"name": "planes", "groups": 8}]}
    assert_trains(written)


@pytest.mark.slow
def test_new_kinds_are_traced_symbolically_and_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "tall", "whole", "after")
    written = stages("tall", "whole", "after", "se", "tall", "whole", "after", topology="dense", function="learned")
    model = built(written).eval()
    traced = torch.fx.symbolic_trace(model)
    free = torch.export.Dim.AUTO
    program = torch.export.export(model, (images(4, 64),), dynamic_shapes=({0: free, 2: free, 3: free},))
    for batch in (images(2, 64), images(3, 48)):
        torch.testing.assert_close(traced(batch), model(batch))
        torch.testing.assert_close(program.module()(batch), model(batch))


def test_a_kind_after_a_stage_gates_the_stages_output(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "after")
    written = {"backbone": {"name": "resnet18", "stem": "small"}, "stage_attention": {"name": "after"}}
    model = built(written).eval()
    backbone: Any = model.backbone
    assert [name for name in model.attention if name.startswith("stage")] == ["stage1", "stage2", "stage3", "stage4"]
    with torch.no_grad():
        x = backbone.stem(images())
        for n, host in enumerate(backbone.blocks()):
            x = host(x)
            if n % 2:
                attention: Any = model.attention[f"stage{n // 2 + 1}"]
                x = x * torch.sigmoid(attention.channel.slope * x.mean((2, 3)))[:, :, None, None]
                x = x * torch.sigmoid(attention.energy.slope * x.mean(1, keepdim=True))
        torch.testing.assert_close(model(images()), backbone.head(x))


def test_attention_after_a_stage_has_no_convolution_to_replace() -> None:
    with pytest.raises(TypeError, match="no convolution to replace"):
        _ = Passage().convolution


def beside(kind: str = "between", attention: Any = "se", **connections: Any) -> dict[str, Any]:
    """Return a small network with one kind in its blocks and another after its stages."""
    written = one(attention, **connections)
    return {**written, "attention": KINDS[attention], "stage_attention": {"name": kind}}


@pytest.mark.filterwarnings("ignore:weighted. literal is Eq. 5 as printed")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_messages_flow_between_blocks_and_ends_of_stages_by_every_function(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, "between")
    assert_trains(beside(function=FUNCTIONS[function]))


@pytest.mark.parametrize(
    ("attention", "topology"),
    [
        ("cbam", "dense"),
        ("sk", "tree"),
        ("ge_theta_2", "dense"),
        *(
            pytest.param(*row, marks=pytest.mark.slow)
            for row in [("cbam", "tree"), ("sk", "dense"), ("ge_theta_2", "tree")]
        ),
    ],
)
def test_every_form_of_message_reaches_the_end_of_a_stage_and_leaves_it(
    attention: str, topology: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, "after")
    written = beside("after", attention, topology=topology)
    network = Architecture.parse(written).network
    ends = {n for n, node in enumerate(network.nodes) if node.after_stage}
    assert any(e.source in ends and e.target not in ends for e in network.edges)
    assert any(e.target in ends and e.source not in ends for e in network.edges)
    assert_trains(written)


def test_parameters_of_the_blocks_do_not_depend_on_attention_after_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "between")
    ours = built({**beside(), "connections": None}).state_dict()
    theirs = built({**beside(), "connections": None, "stage_attention": {"name": "none"}}).state_dict()
    assert ours.keys() - theirs.keys() == {f"attention.stage{n}.channel.slope" for n in range(1, 7)}
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_a_connection_of_the_end_of_a_stage_is_named_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "between")
    names = {name for name, _ in built(beside()).named_parameters()}
    assert "connections.stage1.channel.branches.0.edges.features_1.alpha" in names
    assert "connections.features_2.channel.branches.0.edges.stage1.alpha" in names


@pytest.mark.parametrize("function", ["direct", "weighted"])
def test_zero_alpha_beside_attention_in_blocks_equals_the_vanilla_network(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, "after")
    connected = built(beside("after", "cbam", function=function, alpha={"init": 0})).eval()
    vanilla = built({**beside("after", "cbam"), "connections": None}).eval()
    assert torch.equal(connected(images()), vanilla(images()))


@pytest.mark.parametrize("function", ["direct", "learned", "concat"])
@pytest.mark.parametrize("kind", ["after", "between"])
def test_messages_go_from_stage_to_stage(kind: str, function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, kind)
    assert_trains(one(kind, function=function))


def test_a_kind_without_dimensions_is_trained_and_counted_beside_connected_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enter(monkeypatch, "alone")
    assert_trains(stages("se", "alone", "se", "alone", "cbam", "none", "alone"))
    assert Architecture.parse(one("alone")).network.edges == ()


def test_a_kind_after_a_stage_sends_to_kinds_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "after")
    assert_trains(stages("se", "after", "se", "after", "cbam", "none", "after"))


@pytest.mark.parametrize("function", ["direct", "weighted"])
def test_zero_alpha_of_new_kinds_equals_the_vanilla_network(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "tall", "whole", "after")
    kinds = ["tall", "whole", "se", "after", "tall", "whole", "after"]
    connected = built(stages(*kinds, function=function, alpha={"init": 0})).eval()
    vanilla = stages(*kinds)
    del vanilla["connections"]
    assert torch.equal(connected(images()), built(vanilla).eval()(images()))


def test_a_buffer_that_a_kind_wrote_when_it_was_made_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enter(monkeypatch, "mine")
    with pytest.raises(TypeError, match=r"not drawn: attention\.layer1_0\.channel\.scale, attention\.layer1_1\."):
        build_model({"backbone": {"name": "resnet18"}, "attention": {"name": "mine"}}, CLASSES)
