"""JSON Schema of a space's YAML, made from the grammar that reads it."""

from __future__ import annotations

from typing import Any

from dcasearch.architecture import dimensions
from dcasearch.space.descriptions import describe_keys
from dcasearch.space.grammar import ATTENTION_INIT, GRAINS, STAGE_GRAINS, Grammar, Values, dimension_axis, grammar, keys
from dcasearch.space.list_reading import LIST
from dcasearch.space.list_schema import arguments_of, edges_of, list_schema, object_of, several_of, value_of


def space_schema() -> dict[str, Any]:
    """Return the schema of a search space: a list of architectures where there is one, else choices along axes."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Search space",
        "if": {"required": [LIST]},
        "then": list_schema(),
        "else": _choices(),
    }
    return describe_keys(schema)


def _choices() -> dict[str, Any]:
    axes = grammar()
    grain = {"enum": list(GRAINS)}
    receives = object_of({dimension: _axis(axes[dimension_axis(dimension)]) for dimension in dimensions()})
    alpha = _part(axes, "connections.alpha", {})
    parts = {"granularity": grain, "dimensions": receives, "alpha": alpha, "edges": edges_of()}
    properties = {
        "backbone": _part(axes, "backbone", arguments_of()) | {"required": ["name"]},
        "attention": _part(axes, "attention", {"granularity": grain}),
        "stage_attention": _part(axes, "stage_attention", {"granularity": {"enum": list(STAGE_GRAINS)}}),
        ATTENTION_INIT: _axis(axes[ATTENTION_INIT]),
        "connections": {"anyOf": [{"enum": ["none", None]}, _part(axes, "connections", parts)]},
    }
    return {**object_of(properties), "required": ["backbone"]}


def _part(axes: Grammar, prefix: str, more: dict[str, Any]) -> dict[str, Any]:
    return object_of({key: _axis(axes[name]) for key, name in keys(axes, prefix).items()} | more)


def _axis(values: Values) -> dict[str, Any]:
    """A scalar, a list of them, or a condition."""
    one, several = {"anyOf": value_of(values)}, several_of(values)
    condition = object_of(
        {"when": {"type": "object", "minProperties": 1}, "choose": {"anyOf": [one, several]}, "else": one}
    )
    return {"anyOf": [*value_of(values), several, {**condition, "required": ["when", "choose", "else"]}]}
