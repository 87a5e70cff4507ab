"""From pydantic's errors to mistakes that say what was got, what is allowed and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from dcasearch.config.document import Key, KeyPath, Report
from dcasearch.errors import nearest, shortened

_WEIGHED = 500
"""Mistakes of one document that are compared with each other and with known words."""
Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], data: Any, report: Report) -> Model | None:
    """Return the data as a model, or None after reporting everything that is wrong with it."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        looked_at = details[:_WEIGHED]
        for detail in looked_at:
            if not _outdone(detail, looked_at):
                report(_path(data, detail), _message(model, detail))
        for detail in details[_WEIGHED:]:  # they are counted, not read
            report(_path(data, detail), str(detail["msg"]))
        return None


def _outdone(detail: Mapping[str, Any], details: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a mistake only follows from another one.

    A list of which no entry is right is not also too short; and where `true` or a mapping may stand, a mapping
    is judged as a mapping and anything else as a flag.
    """
    kind, union = detail["type"], detail["loc"][:-1]
    if kind == "too_short":
        return bool(detail["ctx"]["actual_length"] != len(detail["input"]))
    beside = [other for other in details if other is not detail and other["loc"][: len(union)] == union]
    if kind in ("model_type", "tuple_type"):
        return any(other["type"] == "bool_type" and len(other["loc"]) == len(union) + 1 for other in beside)
    return kind == "bool_type" and any(len(other["loc"]) > len(union) + 1 for other in beside)


def _path(data: Any, detail: Mapping[str, Any]) -> KeyPath:
    """Return where a mistake stands in the data; pydantic's names for the forms of a union stand nowhere."""
    loc, path, here = tuple(detail["loc"]), [], data
    if loc[-1:] == ("[key]",):
        return (*loc[:-2], Key(loc[-2]))
    for n, part in enumerate(loc):
        if _holds(here, part):
            here = here[part]
        elif not (isinstance(here, Mapping) and n == len(loc) - 1 and detail["type"] == "missing"):
            continue
        path.append(Key(part) if detail["type"] == "extra_forbidden" and n == len(loc) - 1 else part)
    return tuple(path)


def _holds(data: Any, part: object) -> bool:
    if isinstance(data, list | tuple):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, Mapping) and part in data


def _message(model: type[BaseModel], detail: Mapping[str, Any]) -> str:
    kind, got, loc = detail["type"], detail["input"], tuple(detail["loc"])
    if kind == "extra_forbidden":
        known = _fields(model, loc[:-1])
        return f"'{loc[-1]}' is not a known key; {nearest(loc[-1], known)}"
    if kind == "missing":
        return f"has no entry {loc[-1] + 1}" if isinstance(loc[-1], int) else "is missing"
    if kind == "literal_error":
        words = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
        return f"'{shortened(str(got), 200)}' is not allowed; {nearest(got, words)}"
    said = re.sub(r"valid dictionary( or instance of \w+)?", "mapping", str(detail["msg"]))
    return f"{said[:1].lower()}{said[1:]}; got {shortened(repr(got), 400)}"


def _fields(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the known keys at a path into a model."""
    here: type[BaseModel] = model
    others: list[type[BaseModel]] = []
    for part in path:
        field = here.model_fields.get(str(part))
        named = [other for other in others if part == _name_of(other)]
        if named:  # pydantic names the form of a union that was meant
            here, others = named[0], []
        elif field is not None:
            found = models_in(field.annotation)
            here, others = (found[0] if found else here), found
    return list(here.model_fields)


def _name_of(model: type[BaseModel]) -> Any:
    """Return what tells a model from the others of its union: the default of its `name`."""
    field = model.model_fields.get("name")
    return None if field is None else field.default


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models inside an annotation such as `tuple[Fidelity, ...]` or `Final | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]
