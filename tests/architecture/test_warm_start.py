from __future__ import annotations

from typing import Any

import pytest

from dcasearch.architecture import Architecture, ConnectionFunction, alpha_of_vanilla, started_as_vanilla, vanilla_of


def connected(function: Any, **alpha: Any) -> Architecture:
    written = {
        "backbone": {"name": "resnet18"},
        "attention": {"name": "se", "reduction": 8},
        "connections": {"function": function, **({"alpha": alpha} if alpha else {})},
    }
    return Architecture.parse(written)


def test_the_vanilla_network_has_the_same_backbone_and_attention_and_no_edge() -> None:
    architecture = connected("softmax")
    vanilla = vanilla_of(architecture)
    assert (vanilla.backbone, vanilla.attention) == (architecture.backbone, architecture.attention)
    assert vanilla.network.edges == ()
    assert vanilla_of(vanilla) is vanilla


@pytest.mark.parametrize("start", ["usual", "identity"])
def test_the_vanilla_network_and_the_warm_start_keep_how_attention_starts(start: str) -> None:
    architecture = Architecture.parse({**connected("direct").to_dict(), "attention_init": start})
    vanilla, started = vanilla_of(architecture), started_as_vanilla(architecture)
    assert (vanilla.network.attention_init, started.network.attention_init) == (start, start)
    assert started.id == architecture.id


@pytest.mark.parametrize(("function", "alpha"), [("direct", 0.0), ("weighted", 0.01)])
def test_a_warm_start_sets_alpha_alone_and_keeps_the_id(function: str, alpha: float) -> None:
    architecture = connected(function, shape="channel", init=0.7)
    started = started_as_vanilla(architecture)
    assert started.id == architecture.id
    assert started.network.alpha_init == alpha
    assert started.connections is not None
    assert started.connections.alpha.shape == "channel"


@pytest.mark.parametrize("function", ["softmax", "learned", "concat", {"weighted": {"form": "literal"}}])
def test_functions_without_such_an_alpha_keep_their_own(function: Any) -> None:
    architecture = connected(function)
    assert started_as_vanilla(architecture) == architecture


def test_only_direct_and_weighted_can_start_as_their_parent() -> None:
    functions = ("direct", "weighted", "softmax", "learned", "concat")
    able = [
        name for name in functions if alpha_of_vanilla(ConnectionFunction.model_validate({"name": name})) is not None
    ]
    assert able == ["direct", "weighted"]
    assert alpha_of_vanilla(ConnectionFunction(name="weighted", form="literal")) is None
