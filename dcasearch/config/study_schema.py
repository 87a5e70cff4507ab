"""JSON Schema of a study's YAML, so that editors complete and check it."""

from __future__ import annotations

from typing import Any

from dcasearch.config.descriptions import describe_fields
from dcasearch.config.numbers import PATTERN
from dcasearch.config.study import Study
from dcasearch.config.study_files import recipe_names

_HUMAN = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": PATTERN}]}


def study_schema() -> dict[str, Any]:
    """Return the schema of a study: what pydantic checks, and the short forms that the loader accepts."""
    schema = Study.model_json_schema()
    describe_fields(schema, Study)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    definitions = schema["$defs"]
    base = {"enum": recipe_names(), "description": "A shipped recipe; what stands beside it is changed."}
    recipe = {
        "type": "object",
        "properties": {"base": base, **definitions["Recipe"]["properties"]},
        "additionalProperties": False,
    }
    fidelity = definitions["Fidelity"]
    _replace(fidelity, "recipe", {"anyOf": [{"enum": recipe_names()}, recipe]})
    # A score has no epochs.
    fidelity["required"].remove("epochs")
    kind = {**fidelity["properties"]["kind"], "const": "zero_cost"}
    fidelity["anyOf"] = [{"required": ["epochs"]}, {"required": ["kind", "score"], "properties": {"kind": kind}}]
    _replace(schema, "space", {"anyOf": [{"type": "string"}, {"type": "object"}]})
    for bound in ("min", "max"):
        _replace(definitions["Bound"], bound, _HUMAN)
    _replace(schema, "disk", _HUMAN)
    _replace(schema, "throughput", {"anyOf": [*_HUMAN["anyOf"], {"type": "object", "additionalProperties": _HUMAN}]})
    _replace(definitions["Data"], "stage_limit", _HUMAN)
    return schema


def _replace(model: dict[str, Any], name: str, form: dict[str, Any]) -> None:
    """Give a property another form, which pydantic does not know; its description stays."""
    model["properties"][name] = {"description": model["properties"][name]["description"], **form}
