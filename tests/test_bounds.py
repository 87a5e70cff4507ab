"""Every number and every list of what a stranger's file may hold has limits; what a database holds is read without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from dcasearch.architecture import KINDS, Architecture, Option
from dcasearch.architecture.kinds.declaration import LARGEST
from dcasearch.config.probe import FileProbe
from dcasearch.config.study import Study
from dcasearch.export import Spec

LOW, HIGH = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}
OPTIONS = [(name, option) for name, kind in KINDS.items() for option in kind.options if option.type in (int, float)]


def unbounded(schema: Any, path: str = "") -> Iterator[str]:
    """Every number of a JSON Schema that lacks a limit, and every list that may have any length."""
    if isinstance(schema, list):
        for n, part in enumerate(schema):
            yield from unbounded(part, f"{path}[{n}]")
    elif isinstance(schema, dict):
        number = schema.get("type") in ("integer", "number") and not schema.keys() & {"enum", "const"}
        if number and not (schema.keys() & LOW and schema.keys() & HIGH):
            yield path
        if schema.get("type") == "array" and "maxItems" not in schema:
            yield path
        for key, part in schema.items():
            if key not in ("default", "examples"):
                yield from unbounded(part, f"{path}.{key}")


@pytest.mark.parametrize("model", [Study, Architecture, Spec, FileProbe])
def test_every_number_and_every_list_of_a_document_has_limits(model: type[BaseModel]) -> None:
    assert list(unbounded(model.model_json_schema())) == []


def test_a_number_or_a_list_without_a_limit_is_found() -> None:
    class Open(BaseModel):
        count: int
        names: tuple[str, ...]

    assert list(unbounded(Open.model_json_schema())) == [".properties.count", ".properties.names"]


@pytest.mark.parametrize(("kind", "option"), OPTIONS, ids=[f"{kind}-{option.name}" for kind, option in OPTIONS])
def test_every_number_that_a_kind_takes_has_limits(kind: str, option: Option) -> None:
    low, high = option.bounds
    assert -LARGEST <= low <= high <= LARGEST
    assert not option.is_typed(10**400)
    assert not option.is_typed(-(10**400))
