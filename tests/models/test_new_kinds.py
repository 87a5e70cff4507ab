"""Kinds that nothing in the package knows: built, connected and counted from their declaration and module alone."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch

from dcasearch.architecture import Architecture
from dcasearch.models import build_model, cost
from dcasearch.models.attention import AttentionBlock
from dcasearch.models.cost import measure
from tests.kinds import enter
from tests.models.samples import CLASSES, FUNCTIONS, MATCHINGS, SMALL, built, images, loss_of

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


@pytest.mark.parametrize("resize", ["average", "max", "conv"])
@pytest.mark.parametrize("topology", ["chain", "dense"])
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
    model = built({"backbone": {"name": "resnet18", "stem": "small"}, "attention": {"name": "after"}}).eval()
    backbone: Any = model.backbone
    x = backbone.stem(images())
    with torch.no_grad():
        for n, (host, name) in enumerate(zip(backbone.blocks(), model.names, strict=True)):
            attention = cast(AttentionBlock, model.attention[name])
            expected = host(x)
            assert attention.after_block == (n % 2 == 1)
            if n % 2:
                part: Any = attention.channel
                expected = expected * torch.sigmoid(part.slope * expected.mean((2, 3)))[:, :, None, None]
                expected = expected * torch.sigmoid(expected.mean(1, keepdim=True))
            x, _ = attention(host, x, lambda dimension, raw, read: raw, {})
            torch.testing.assert_close(x, expected)


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
