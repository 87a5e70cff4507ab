from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings

from dcasearch.config import load_yaml
from dcasearch.space import space_schema
from tests.config.support import undescribed
from tests.space.strategies import spaces

ROOT = Path(__file__).parents[2]
COUNTS = ROOT / "tests" / "models" / "paper_counts.json"
SPACES = sorted((ROOT / "search_spaces").glob("*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(space_schema())
CONDITION = {"when": {"connections.topology": "chain"}, "choose": ["direct", "softmax"], "else": "direct"}


def make(**connections: Any) -> dict[str, Any]:
    return {"backbone": {"name": "resnet18"}, "attention": {"name": "se"}, "connections": connections}


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(space_schema())


def test_every_key_has_words_for_an_editor() -> None:
    assert undescribed(space_schema()) == []


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_every_shipped_space_fits_the_schema(path: Path) -> None:
    VALIDATOR.validate(load_yaml(path).data)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(written=spaces())
def test_every_random_space_fits_the_schema(written: dict[str, Any]) -> None:
    VALIDATOR.validate(written)


@pytest.mark.parametrize(
    "written",
    [
        make(function=CONDITION),
        make(channel_matching=[{"fc2": {"reduction": [4, 8], "norm": "ln"}}, "fc"]),
        make(function={"learned": {"bias": [True, False]}}),
        make(topology="custom", edges={"channel": [[1, 2]]}),
        make(alpha={"init": 0}),
        {"backbone": {"name": "resnet18"}, "connections": "none"},
        {
            "backbone": {"name": "mobilenet_v2", "width": [0.5, 1]},
            "attention": {"name": "ge_theta_minus", "extent": [None, 8]},
        },
    ],
)
def test_conditions_and_nested_options_fit_the_schema(written: dict[str, Any]) -> None:
    VALIDATOR.validate(written)


def listed(**row: Any) -> dict[str, Any]:
    resnet = {"name": "resnet18"}
    return {"architectures": [{"label": "plain", "backbone": resnet}, {"label": "SE", "backbone": resnet, **row}]}


def test_every_row_of_the_paper_fits_the_schema() -> None:
    rows = json.loads(COUNTS.read_text())
    VALIDATOR.validate({"architectures": [{"label": row["row"], **row["architecture"]} for row in rows]})


@pytest.mark.parametrize(
    "written",
    [
        listed(attention={"stages": [{"name": "se"}, {"name": "none"}]}),
        listed(connections={"function": {"name": "learned", "bias": False}, "channel_matching": {"name": "fc2"}}),
        listed(connections={"dimensions": {"channel": {"stages": [True, False]}}, "ge_message": "gathered"}),
        listed(against="plain"),
        listed(attention_init="identity"),
    ],
)
def test_rows_of_a_list_fit_the_schema(written: dict[str, Any]) -> None:
    VALIDATOR.validate(written)


@pytest.mark.parametrize(
    "written",
    [
        listed(label=16),
        listed(label=" "),
        listed(attention_init=["usual", "identity"]),
        listed(atention={}),
        listed(attention={"name": ["se", "gc"]}),
        listed(connections={"function": ["direct", "learned"]}),
        listed(connections={"channel_matching": {"fc2": {"reduction": [4, 8]}}}),
        {**listed(), "backbone": {"name": "resnet18"}},
        {"architectures": listed()["architectures"][:1]},
    ],
)
def test_mistakes_in_a_list_do_not_fit_the_schema(written: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(written)


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"backbone": {}},
        {"backbone": {"name": "resnet5"}},
        {"backbone": {"name": "resnet18"}, "atention": {}},
        {"backbone": {"name": "resnet18"}, "attention_init": "identify"},
        make(functions="direct"),
        make(function="directt"),
        make(function=[]),
        make(function={"when": {}, "choose": "direct"}),
        make(function={"when": {}, "choose": ["direct", "softmax"], "else": "direct"}),
        make(channel_matching={"fc2": {"reductoin": 4}}),
        make(channel_matching={"fc2": {"reduction": 0}}),
        make(granularity="stages"),
        make(edges={"channel": [[1]]}),
        make(dimensions={"chanel": True}),
    ],
)
def test_typos_do_not_fit_the_schema(written: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(written)
