from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dcasearch.config import load_yaml, study_schema
from tests.config.support import FIRST, undescribed, written

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "studies").glob("*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(study_schema())


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(study_schema())


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_shipped_study_fits_the_schema(path: Path) -> None:
    VALIDATOR.validate(load_yaml(path).data)


@pytest.mark.parametrize(
    "changes",
    [
        {"space": "space.yaml"},
        {"constraints": {"params": {"max": "5.0M"}, "macs": {"min": 1e6}}},
        {"throughput": "1.5T"},
        {"fidelities": [{**FIRST, "recipe": "light"}]},
        {"fidelities": [{**FIRST, "recipe": {"base": "light", "schedule": {"every": 3}}}]},
        {"enqueue": [{"connections.function": "direct"}]},
        {"baselines": False},
        {"fidelities": [{"name": "zero", "kind": "zero_cost", "score": "snip", "trials": 3, "resolution": 16}, FIRST]},
    ],
)
def test_what_the_reader_accepts_fits_the_schema(changes: dict[str, Any]) -> None:
    VALIDATOR.validate(written(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"sampller": {}},
        {"sampler": {"name": "tpee"}},
        {"constraints": {"params": {"max": "5Q"}}},
        {"constraints": {"params": {"max": -5}}},
        {"constraints": {"latency": {"max": 5}}},
        {"fidelities": []},
        {"fidelities": [{**FIRST, "recipe": "lite"}]},
        {"fidelities": [{**FIRST, "recipe": {"base": "light", "learning_rate": 1}}]},
        {"fidelities": [{**FIRST, "epochs": 0}]},
        {"fidelities": [{name: value for name, value in FIRST.items() if name != "epochs"}]},
        {"fidelities": [{**FIRST, "kind": "zero_cost", "score": "snipe"}]},
        {"space": 3},
        {"name": "a b"},
    ],
)
def test_typos_do_not_fit_the_schema(changes: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(written(**changes))


@pytest.mark.parametrize("key", ["name", "space", "data", "fidelities"])
def test_what_a_study_needs_is_required(key: str) -> None:
    with pytest.raises(jsonschema.ValidationError, match=f"'{key}' is a required property"):
        VALIDATOR.validate({k: v for k, v in written().items() if k != key})


def test_every_key_has_words_for_an_editor() -> None:
    assert undescribed(study_schema()) == []
