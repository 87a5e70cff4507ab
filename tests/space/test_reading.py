"""Every mistake in a space, at its place: by path in plain data here, by line and column in test_loaded_study.py."""

from __future__ import annotations

from typing import Any

import pytest

from dcasearch.config import KeyPath
from dcasearch.errors import ConfigError
from dcasearch.space import read_space

RESNET = {"name": "resnet18"}
SE = {"name": "se"}
FUNCTIONS = ["direct", "softmax"]


def connected(**connections: Any) -> dict[str, Any]:
    return {"backbone": RESNET, "attention": SE, "connections": connections}


def attentive(**attention: Any) -> dict[str, Any]:
    return {"backbone": RESNET, "attention": attention}


def mistakes(written: dict[str, Any]) -> list[tuple[KeyPath, str]]:
    found: list[tuple[KeyPath, str]] = []
    read_space(written, lambda path, message: found.append((path, message)))
    return found


CASES: dict[str, tuple[dict[str, Any], KeyPath, str]] = {
    # Words
    "part": ({"backbone": RESNET, "atention": SE}, ("atention",), "did you mean 'attention'?"),
    "no backbone": ({"attention": SE}, ("backbone",), "needs a name; Known: mnasnet0_5,"),
    "part that is no mapping": ({"backbone": ["resnet18"]}, ("backbone",), "must be a mapping, got ['resnet18']"),
    "backbone": ({"backbone": {"name": "resnet5"}}, ("backbone", "name"), "did you mean 'resnet50'?"),
    "backbone's key": (
        {"backbone": {**RESNET, "depth": 3}},
        ("backbone", "depth"),
        "Known: arguments, name, own_attention, stem, width.",
    ),
    "attention": (
        attentive(name=["se", "sse"]),
        ("attention", "name", 1),
        "'sse' is not an attention block; did you mean",
    ),
    "attention's key": (attentive(**SE, ratio=4), ("attention", "ratio"), "'ratio' is not a key of attention;"),
    "start of attention": (
        {"backbone": RESNET, "attention": SE, "attention_init": ["usual", "identify"]},
        ("attention_init", 1),
        "'identify' is not a start of attention; did you mean 'identity'?",
    ),
    "grain": (attentive(**SE, granularity="stages"), ("attention", "granularity"), "did you mean 'stage'?"),
    "grain of connections": (connected(granularity=3), ("connections", "granularity"), "Known: block, network, stage."),
    "function": (connected(function="directt"), ("connections", "function"), "did you mean 'direct'?"),
    "connections' key": (connected(functions="direct"), ("connections", "functions"), "did you mean 'function'?"),
    "dimension": (connected(dimensions={"chanel": True}), ("connections", "dimensions", "chanel"), "'channel'?"),
    "topology": (connected(topology=["chain", "trees"]), ("connections", "topology", 1), "did you mean 'tree'?"),
    "alpha's key": (connected(alpha={"initial": 1}), ("connections", "alpha", "initial"), "did you mean 'init'?"),
    # Types and values
    "flag": (
        connected(dimensions={"channel": "yes"}),
        ("connections", "dimensions", "channel"),
        "got 'yes', expected true or false",
    ),
    "integer": (attentive(**SE, reduction=4.0), ("attention", "reduction"), "got 4.0, expected a positive integer"),
    "positive": (
        attentive(**SE, reduction=[4, 0]),
        ("attention", "reduction", 1),
        "got 0, expected a positive integer",
    ),
    "true is no integer": (attentive(**SE, reduction=True), ("attention", "reduction"), "got True"),
    "word for number": (attentive(**SE, reduction="four"), ("attention", "reduction"), "got 'four'"),
    "list in a list": (attentive(**SE, reduction=[[4]]), ("attention", "reduction", 0), "got [4]"),
    "width": (
        {"backbone": {"name": "mobilenet_v2", "width": 0.0}},
        ("backbone", "width"),
        "got 0.0, expected a positive number",
    ),
    "infinite": ({"backbone": {"name": "mobilenet_v2", "width": float("inf")}}, ("backbone", "width"), "got inf"),
    "not a number": ({"backbone": {"name": "mobilenet_v2", "width": float("nan")}}, ("backbone", "width"), "got nan"),
    "too large to keep": (
        attentive(**SE, reduction=10**400),
        ("attention", "reduction"),
        "expected a positive integer",
    ),
    "negative alpha": (connected(alpha={"init": -1}), ("connections", "alpha", "init"), "expected a number from 0"),
    "empty list": (connected(function=[]), ("connections", "function"), "is an empty list of choices"),
    "twice": (connected(function=["direct", "softmax", "direct"]), ("connections", "function", 2), "stands twice"),
    "twice, one with options": (
        connected(channel_matching=["fc2", {"fc2": {"reduction": [4, 8]}}]),
        ("connections", "channel_matching", 1),
        "'fc2' stands twice",
    ),
    # Options of a choice
    "option": (
        connected(channel_matching={"fc2": {"reductoin": 4}}),
        ("connections", "channel_matching", "fc2", "reductoin"),
        "'reductoin' is not a key of fc2; did you mean 'reduction'?",
    ),
    "option of a choice without any": (
        connected(function={"direct": {"bias": True}}),
        ("connections", "function", "direct", "bias"),
        "'bias' is not a key of direct; it has none",
    ),
    "option's value": (
        connected(function=["direct", {"weighted": {"form": ["safe", "save"]}}]),
        ("connections", "function", 1, "weighted", "form", 1),
        "'save' is not a form of weighted; did you mean 'safe'?",
    ),
    "options that are no mapping": (
        connected(channel_matching={"fc2": 4}),
        ("connections", "channel_matching", "fc2"),
        "must be a mapping, got 4",
    ),
    # Conditions
    "half a condition": (
        connected(function={"when": {"attention.name": "se"}, "choose": FUNCTIONS}),
        ("connections", "function"),
        "a condition needs `else`",
    ),
    "condition's key": (
        connected(function={"when": {"attention.name": "se"}, "choose": FUNCTIONS, "else": "direct", "otherwise": 1}),
        ("connections", "function", "otherwise"),
        "Known: choose, else, when.",
    ),
    "empty condition": (
        connected(function={"when": {}, "choose": FUNCTIONS, "else": "direct"}),
        ("connections", "function", "when"),
        "is empty; name an axis that is chosen before",
    ),
    "condition inside a list of choices": (
        attentive(**SE, reduction=[4, {"when": {"backbone.name": "resnet18"}, "choose": 8, "else": 16}]),
        ("attention", "reduction", 1),
        "expected a positive integer",
    ),
    "condition on an axis with a mistake": (
        {
            "backbone": {"name": ["resnet18", {"resnet34": {}}]},
            "attention": {**SE, "reduction": {"when": {"backbone.name": "resnet18"}, "choose": [4, 8], "else": 16}},
        },
        ("backbone", "name", 1),
        "got {'resnet34': {}}, expected one of mnasnet0_5",
    ),
    "condition that is no mapping": (
        connected(function={"when": "se", "choose": FUNCTIONS, "else": "direct"}),
        ("connections", "function", "when"),
        "must be a mapping, got 'se'",
    ),
    "condition on a later axis": (
        connected(topology={"when": {"connections.function": "direct"}, "choose": ["chain", "tree"], "else": "chain"}),
        ("connections", "topology", "when", "connections.function"),
        "'connections.function' is no axis that is chosen before connections.topology",
    ),
    "condition on what is chosen by stage": (
        {
            "backbone": RESNET,
            "attention": {"granularity": "stage", "name": ["se", "gc"]},
            "connections": {"function": {"when": {"attention.name": "se"}, "choose": FUNCTIONS, "else": "direct"}},
        },
        ("connections", "function", "when", "attention.name"),
        "is no axis that is chosen before",
    ),
    "condition that never holds": (
        connected(function={"when": {"attention.name": ["se", "cbaam"]}, "choose": FUNCTIONS, "else": "direct"}),
        ("connections", "function", "when", "attention.name", 1),
        "attention.name is never 'cbaam'",
    ),
    "else is one value": (
        connected(function={"when": {"attention.name": "se"}, "choose": "direct", "else": FUNCTIONS}),
        ("connections", "function", "else"),
        "must be one value",
    ),
}


@pytest.mark.parametrize(("written", "path", "message"), CASES.values(), ids=CASES)
def test_a_mistake_is_told_at_its_place(written: dict[str, Any], path: KeyPath, message: str) -> None:
    [(at, said)] = mistakes(written)
    assert at == path
    assert message in said


def test_all_mistakes_of_plain_data_are_raised_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        read_space({"backbone": {"name": "resnet5"}, "attention": {"name": "sse"}, "connexions": {}})
    assert len(error.value.problems) == 3


@pytest.mark.parametrize("written", [{}, {"backbone": None}, {"backbone": 3, "attention": [], "connections": 5}])
def test_nonsense_is_mistakes_and_no_traceback(written: dict[str, Any]) -> None:
    assert mistakes(written)
