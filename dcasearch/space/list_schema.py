"""JSON Schema of a list of architectures: what stands in a row, every choice made."""

from __future__ import annotations

from typing import Any

from dcasearch.architecture import Architecture, Connections, dimensions
from dcasearch.architecture.kinds.declaration import LARGEST
from dcasearch.space.grammar import ARGUMENTS, ATTENTION_INIT, Grammar, Values, grammar, keys
from dcasearch.space.list_reading import AGAINST, LABEL, LIST

_TEXT = {"type": "string", "pattern": "^\\S(.*\\S)?$"}


def list_schema() -> dict[str, Any]:
    """Return the schema of a space that is a list. A field of an architecture that is no axis takes anything here."""
    axes = grammar()
    kind, after = _fixed(axes, "attention"), _fixed(axes, "stage_attention")
    lists = {part: {"type": "array", "items": kind} for part in ("stages", "blocks")}
    properties: dict[str, Any] = {name: {} for name in Architecture.model_fields}
    properties |= {
        LABEL: _TEXT,
        AGAINST: _TEXT,
        "backbone": _with(_fixed(axes, "backbone"), {**arguments_of(), "trace": {"type": "object"}})
        | {"required": ["name"]},
        "attention": _with(kind, lists),
        "stage_attention": {"anyOf": [_with(after, {"stages": {"type": "array", "items": after}}), {"type": "null"}]},
        ATTENTION_INIT: {"anyOf": value_of(axes[ATTENTION_INIT], fixed=True)},
        "connections": {"anyOf": [_connections(axes), {"type": "null"}]},
    }
    row = {**object_of(properties), "required": [LABEL, "backbone"]}
    return {**object_of({LIST: {"type": "array", "items": row, "minItems": 2}}), "required": [LIST]}


def _connections(axes: Grammar) -> dict[str, Any]:
    flag = {"type": "boolean"}
    flags = {part: {"type": "array", "items": flag} for part in ("stages", "blocks", "after_stages")}
    receivers = {"anyOf": [flag, object_of(flags), {"type": "null"}]}
    fields: dict[str, Any] = {name: {} for name in Connections.model_fields}
    fields |= _fixed(axes, "connections")["properties"]
    fields |= {
        "dimensions": object_of(dict.fromkeys(dimensions(), receivers)),
        "alpha": _fixed(axes, "connections.alpha"),
        "edges": edges_of(),
    }
    return object_of(fields)


def _fixed(axes: Grammar, prefix: str) -> dict[str, Any]:
    """Return a part in which every axis has one value."""
    return object_of({key: {"anyOf": value_of(axes[name], fixed=True)} for key, name in keys(axes, prefix).items()})


def _with(part: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return object_of({**part["properties"], **more})


# Shared with the schema of choices


def object_of(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a mapping with these keys and no other."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def arguments_of() -> dict[str, Any]:
    """Return the schema of the arguments of a library's constructor, under their key."""
    scalar: list[dict[str, Any]] = [{"type": name} for name in ("boolean", "number", "string")]
    value = {"anyOf": [*scalar, {"type": "array", "items": {"anyOf": scalar}}]}
    return {ARGUMENTS: {"type": "object", "additionalProperties": value}}


def edges_of() -> dict[str, Any]:
    """Return the schema of custom edges."""
    edge = {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2}
    return object_of({dimension: {"type": "array", "items": edge} for dimension in dimensions()})


def several_of(values: Values) -> dict[str, Any]:
    """Return the schema of a list of choices."""
    return {"type": "array", "items": {"anyOf": value_of(values)}, "minItems": 1}


def value_of(values: Values, *, fixed: bool = False) -> list[dict[str, Any]]:
    """Return the forms of one value; `fixed`: the options of a named one are no lists."""
    forms: list[dict[str, Any]] = [{"enum": list(values.words)}] if values.words else []
    forms += [{"type": "string", "pattern": f"^{values.pattern}$"}] if values.pattern else []
    types = {"boolean": values.flag, "null": values.null}
    forms += [{"type": name} for name, allowed in types.items() if allowed]
    bounds = {} if values.low <= -LARGEST else {"minimum" if values.from_low else "exclusiveMinimum": values.low}
    bounds |= {} if values.high >= LARGEST else {"maximum": values.high}
    forms += [{"type": "integer", **bounds}] if values.integer else []
    forms += [{"type": "number", **bounds}] if values.number else []
    for word, options in (values.named or {}).items():
        nested = {
            key: {"anyOf": [*value_of(option), *([] if fixed else [several_of(option)])]}
            for key, option in options.items()
        }
        forms.append({**object_of({word: object_of(nested)}), "required": [word]})
        if fixed:
            forms.append({**object_of({**nested, "name": {"const": word}}), "required": ["name"]})
    return forms
