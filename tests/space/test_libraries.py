"""Networks of libraries among the choices of a space."""

from __future__ import annotations

from typing import Any

import pytest

from dcasearch.config import KeyPath
from dcasearch.space import read_space
from tests.models.traced.support import needs_timm
from tests.space.test_reading import mistakes

pytestmark = needs_timm
PLAIN, GATED = "timm/test_resnet", "timm/test_byobnet"
IMPOSSIBLE: dict[str, tuple[dict[str, Any], KeyPath, str]] = {
    "a misspelt network": ({"name": "timm/test_resnett"}, ("name",), "did you mean 'test_resnet'?"),
    "a library that does not exist": ({"name": ["resnet18", "tim/x"]}, ("name", 1), "'tim' is not a library"),
    "an alias beside its own name": (
        {"name": ["resnet18", "torchvision/resnet18"]},
        ("name", 1),
        "'resnet18' stands twice among the choices",
    ),
    "a network without convolutions": ({"name": "timm/test_vit"}, ("name",), "no blocks for attention"),
    "a stem": ({"name": PLAIN, "stem": "small"}, ("stem",), "networks of timm and torchvision take no stem"),
    "arguments of a prepared backbone": ({"name": "resnet18", "arguments": {"a": 1}}, ("arguments",), "belongs to"),
    "an unknown argument": ({"name": PLAIN, "arguments": {"colour": 1}}, ("arguments",), "colour"),
    "an argument of a wrong type": (
        {"name": PLAIN, "arguments": {"depths": {}}},
        ("arguments", "depths"),
        "must be a number",
    ),
    "attention of its own that is not there": (
        {"name": PLAIN, "own_attention": ["keep", "remove"]},
        ("own_attention", 1),
        "has no attention of its own",
    ),
    "own attention of a prepared backbone": (
        {"name": "resnet18", "own_attention": "remove"},
        ("own_attention",),
        "belongs to networks of",
    ),
}


@pytest.mark.parametrize(("backbone", "path", "message"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_cannot_be_is_reported_where_it_stands(backbone: dict[str, Any], path: KeyPath, message: str) -> None:
    found = mistakes({"backbone": backbone})
    assert any(where == ("backbone", *path) and message in said for where, said in found), found


def test_networks_of_libraries_and_prepared_ones_are_chosen_among() -> None:
    space = read_space({
        "backbone": {"name": [PLAIN, "resnet18"], "arguments": {"drop_path_rate": 0.1}},
        "attention": {"name": "se"},
        "connections": {"granularity": "block", "dimensions": {"channel": [True, False]}},
    })  # fmt: skip
    first = space.sample(lambda name, choices: choices[0]).architecture
    last = space.sample(lambda name, choices: choices[-1]).architecture
    assert (first.backbone.name, first.backbone.arguments) == (PLAIN, (("drop_path_rate", 0.1),))
    assert (last.backbone.name, last.backbone.arguments) == ("resnet18", ())
    sites = [name for name in space.parameters() if ".block" in name]
    assert len(sites) == 8  # ResNet-18 has more blocks than the other


def test_what_becomes_of_own_attention_may_be_a_choice() -> None:
    own = ["keep", "remove", "replace"]
    space = read_space({"backbone": {"name": GATED, "own_attention": own}, "attention": {"name": "se"}})
    found = {point.architecture.backbone.own_attention: point.architecture for point in space.enumerate()}
    assert set(found) == {"keep", "remove", "replace"}
    assert len({architecture.id for architecture in found.values()}) == 3


def test_baselines_stand_on_the_library_s_network_too() -> None:
    space = read_space({"backbone": {"name": PLAIN}, "attention": {"name": "se"}, "connections": {}})
    assert [baseline.name for baseline in space.baselines()] == ["plain", "vanilla se", "dca se"]
