from __future__ import annotations

from typing import Any

import pytest

from dcasearch.config import KeyPath
from dcasearch.space import read_space
from tests.space.test_reading import RESNET, SE, attentive, connected, mistakes

TWO = ["mnasnet0_5", "mobilenet_v2"]


def by_kind(choose: Any, otherwise: Any) -> dict[str, Any]:
    return {"when": {"attention.name": "ge_theta"}, "choose": choose, "else": otherwise}


IMPOSSIBLE: dict[str, tuple[dict[str, Any], KeyPath, str]] = {
    "spatial on SE": (
        connected(dimensions={"spatial": [False, True]}),
        ("connections", "dimensions", "spatial", 1),
        "no spatial connection is possible: se has no spatial dimension; Known to have it: bam, cbam, sge.",
    ),
    "reduction of GE": (
        attentive(name="ge_theta", reduction=4),
        ("attention", "reduction"),
        "ge_theta has no reduction",
    ),
    "extent of SE": (attentive(**SE, extent=8), ("attention", "extent"), "se has no extent"),
    "extent": (attentive(name="ge_theta", extent=[2, 3]), ("attention", "extent", 1), "ge_theta has no extent 3"),
    "a global learned gather": (
        attentive(name=["ge_theta_minus", "ge_theta"], extent=None),
        ("attention", "extent"),
        "ge_theta has no extent None; Known: 2, 4, 8.",
    ),
    "a global learned gather by condition": (
        attentive(name=["ge_theta_minus", "ge_theta"], extent=by_kind(None, 8)),
        ("attention", "extent", "choose"),
        "ge_theta has no extent None",
    ),
    "width of a MnasNet": (
        {"backbone": {"name": "mnasnet0_5", "width": [1, 0.5]}},
        ("backbone", "width", 1),
        "a mnasnet takes no width",
    ),
    "width of one of two": ({"backbone": {"name": TWO, "width": 0.5}}, ("backbone", "width"), "its own is in its name"),
    "width by condition": (
        {"backbone": {"name": TWO, "width": {"when": {"backbone.name": "mnasnet0_5"}, "choose": 0.5, "else": 1}}},
        ("backbone", "width", "choose"),
        "its own is in its name",
    ),
    "coupled SE": (
        connected(coupling="coupled"),
        ("connections", "coupling"),
        "coupled exists for cbam alone, not for se",
    ),
    "own and coupled": (
        {
            "backbone": RESNET,
            "attention": {"name": "cbam"},
            "connections": {"coupling": ["decoupled", "coupled"], "message": ["sender", "own"]},
        },
        ("connections", "message", 1),
        "own has no coupled form: the receiver's G is no gated map, which coupled sends; choose it where "
        "connections.coupling is decoupled",
    ),
    "connections of nothing": (
        {"backbone": RESNET, "connections": {"topology": "chain"}},
        ("connections",),
        "there is no attention to connect",
    ),
    "custom without edges": (
        connected(topology=["chain", "custom"]),
        ("connections", "topology", 1),
        "custom needs `edges`",
    ),
    "edges without custom": (connected(edges={"channel": [[1, 2]]}), ("connections", "edges"), "belongs to topology"),
    "edges' dimension": (
        connected(topology="custom", edges={"chanel": [[1, 2]]}),
        ("connections", "edges", "chanel"),
        "did you mean 'channel'?",
    ),
    "an edge of three": (
        connected(topology="custom", edges={"channel": [[1, 2], [1, 2, 3]]}),
        ("connections", "edges", "channel", 1),
        "at most 2 items",
    ),
    "an edge backwards": (
        connected(topology="custom", edges={"channel": [[1, 2], [3, 2]]}),
        ("connections", "edges", "channel", 1),
        "[3, 2] is not 1 <= j < k <= 8",
    ),
    "an edge beyond the smaller backbone": (
        {
            "backbone": {"name": ["resnet18", "mobilenet_v2"]},
            "attention": SE,
            "connections": {"topology": "custom", "edges": {"channel": [[1, 9]]}},
        },
        ("connections", "edges", "channel", 0),
        "[1, 9] is not 1 <= j < k <= 8",
    ),
    "edges between blocks that come and go": (
        {
            "backbone": RESNET,
            "attention": {"granularity": "stage", "name": ["none", "se"]},
            "connections": {"topology": "custom", "edges": {"channel": [[1, 2]]}},
        },
        ("connections", "edges"),
        "custom edges need the same dimensions in every block",
    ),
    "where alpha starts as a choice": (
        connected(alpha={"init": [0, 1]}),
        ("connections", "alpha", "init", 1),
        "makes no other architecture",
    ),
    "weighted from alpha 0": (
        connected(function=["direct", "weighted"], alpha={"init": 0}),
        ("connections", "alpha", "init"),
        "weighted never leaves alpha 0",
    ),
}


@pytest.mark.parametrize(("written", "path", "message"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_an_impossible_choice_is_told_at_its_place(written: dict[str, Any], path: KeyPath, message: str) -> None:
    [(at, said)] = mistakes(written)
    assert at == path
    assert message in said


POSSIBLE: dict[str, dict[str, Any]] = {
    "extents by kind": attentive(name=["ge_theta", "ge_theta_minus"], extent=by_kind([2, 8], None)),
    "width by backbone": {
        "backbone": {
            "name": TWO,
            "width": {"when": {"backbone.name": "mobilenet_v2"}, "choose": [0.5, 0.75], "else": 1},
        }
    },
    "alpha by function": connected(
        function=["direct", "weighted"],
        alpha={"init": {"when": {"connections.function": "direct"}, "choose": 0, "else": 1}},
    ),
    "spatial for one of the kinds": {
        "backbone": RESNET,
        "attention": {"name": ["se", "cbam"]},
        "connections": {"dimensions": {"spatial": [True, False]}, "coupling": ["decoupled", "coupled"]},
    },
    "own where it is not coupled": {
        "backbone": RESNET,
        "attention": {"name": "cbam"},
        "connections": {
            "coupling": ["decoupled", "coupled"],
            "message": {"when": {"connections.coupling": "decoupled"}, "choose": ["sender", "own"], "else": "shuffled"},
        },
    },
    "custom edges": connected(topology=["chain", "custom"], edges={"channel": [[1, 3], [2, 8]]}),
    "custom edges between blocks of one kind each": {
        "backbone": RESNET,
        "attention": {"granularity": "stage", "name": ["se", "gc"]},
        "connections": {"topology": "custom", "edges": {"channel": [[1, 8]]}},
    },
}


@pytest.mark.parametrize("written", POSSIBLE.values(), ids=POSSIBLE)
def test_what_is_possible_makes_architectures(written: dict[str, Any]) -> None:
    assert all(point.architecture.id for point in read_space(written).enumerate())


def test_an_unknown_kind_brings_no_further_mistakes() -> None:
    written = {
        "backbone": RESNET,
        "attention": {"name": "cbaam", "reduction": 4},
        "connections": {"dimensions": {"spatial": True}, "coupling": "coupled"},
    }
    assert [path for path, _ in mistakes(written)] == [("attention", "name")]
