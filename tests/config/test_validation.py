from __future__ import annotations

from typing import Any

import pytest

from dcasearch.architecture import Architecture
from dcasearch.config import Key, KeyPath
from dcasearch.config.study import Study
from dcasearch.config.validation import validate
from tests.config.support import FIRST, written

CASES: dict[str, tuple[dict[str, Any], KeyPath, str]] = {
    "unknown key": (
        {"sampller": {}},
        (Key("sampller"),),
        "'sampller' is not a known key; did you mean 'sampler'? Known: artifacts, baselines,",
    ),
    "unknown key of a part": (
        {"fidelities": [{**FIRST, "epoch": 3}]},
        ("fidelities", 0, Key("epoch")),
        "'epoch' is not a known key; did you mean 'epochs'?",
    ),
    "unknown key of a recipe": (
        {"fidelities": [{**FIRST, "recipe": {"augmentation": {"flop": True}}}]},
        ("fidelities", 0, "recipe", "augmentation", Key("flop")),
        "did you mean 'flip'? Known: area, aspect, crop, flip.",
    ),
    "unknown word": (
        {"sampler": {"name": "tpee"}},
        ("sampler", "name"),
        "'tpee' is not allowed; did you mean 'tpe'? Known: grid, nsga2, random, tpe.",
    ),
    "unknown metric": ({"objectives": {"top3": "maximize"}}, (Key("objectives"), Key("top3")), "did you mean 'top"),
    "direction": ({"objectives": {"top1": "max"}}, ("objectives", "top1"), "Known: maximize, minimize."),
    "missing": ({"data": {}}, ("data", "name"), "is missing"),
    "number": ({"fidelities": [{**FIRST, "epochs": "ten"}]}, ("fidelities", 0, "epochs"), "valid integer; got 'ten'"),
    "no silent conversion": ({"fidelities": [{**FIRST, "epochs": 3.0}]}, ("fidelities", 0, "epochs"), "got 3.0"),
    "range": ({"fidelities": [{**FIRST, "epochs": 0}]}, ("fidelities", 0, "epochs"), "greater than 0; got 0"),
    "name": ({"name": "a b"}, ("name",), "got 'a b'"),
    "mapping": ({"data": ["digits"]}, ("data",), "should be a mapping; got ['digits']"),
    "empty list": ({"fidelities": []}, ("fidelities",), "at least 1 item"),
    "bound that nothing meets": ({"constraints": {"params": {"max": -1}}}, ("constraints", "params", "max"), "got -1"),
    "no number": ({"constraints": {"params": {"max": float("nan")}}}, ("constraints", "params", "max"), "got nan"),
    "infinite": ({"stop": {"wall_hours": float("inf")}}, ("stop", "wall_hours"), "finite number; got inf"),
    "flag or list": ({"baselines": "plain"}, ("baselines",), "got 'plain'"),
    "bound": ({"constraints": {"params": {"max": "5Q"}}}, ("constraints", "params", "max"), "got '5Q'"),
}


@pytest.mark.parametrize(("changes", "path", "message"), CASES.values(), ids=CASES)
def test_a_mistake_says_where_it_is_what_was_got_and_what_is_allowed(
    changes: dict[str, Any], path: KeyPath, message: str
) -> None:
    found: list[tuple[KeyPath, str]] = []
    assert validate(Study, written(**changes), lambda path, said: found.append((path, said))) is None
    [(at, said)] = found
    assert at == path
    assert message in said
    assert isinstance(at[-1], Key) == isinstance(path[-1], Key)


def test_all_mistakes_are_reported() -> None:
    found: list[KeyPath] = []
    data = written(name=3, sampler={"seed": -1}, fidelities=[{"name": "proxy"}], colour="red")
    validate(Study, data, lambda path, said: found.append(path))
    assert set(found) == {
        ("name",),
        ("sampler", "seed"),
        ("fidelities", 0, "resolution"),
        ("fidelities", 0, "epochs"),
        ("colour",),
    }


@pytest.mark.parametrize(
    ("channel", "path"),
    [
        ({"stagess": [True]}, ("connections", "dimensions", "channel", "stagess")),
        ({"stages": [1]}, ("connections", "dimensions", "channel", "stages", 0)),
        ("yes", ("connections", "dimensions", "channel")),
    ],
)
def test_of_two_forms_the_one_that_was_meant_is_judged(channel: Any, path: KeyPath) -> None:
    found: list[KeyPath] = []
    data = {"backbone": {"name": "resnet18"}, "connections": {"dimensions": {"channel": channel}}}
    assert validate(Architecture, data, lambda path, said: found.append(path)) is None
    assert found == [path]


def test_a_list_that_is_too_short_says_which_entry_it_has_not() -> None:
    found: list[str] = []
    data = {"backbone": {"name": "resnet18"}, "connections": {"edges": {"channel": [[1]]}}}
    validate(Architecture, data, lambda path, said: found.append(said))
    assert found == ["has no entry 2"]


def test_what_is_right_is_returned() -> None:
    study = validate(Study, written(), lambda path, said: pytest.fail(said))
    assert study is not None
    assert study.fidelities[0].epochs == 4
