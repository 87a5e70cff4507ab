"""What a study's values mean: what may not change between two runs of one name, and how a change is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from dcasearch.config.recipe import Recipe
from dcasearch.config.starts import read_start
from dcasearch.config.study import Fidelity, Pruner, Sampler, Study
from dcasearch.data import DataInfo
from dcasearch.errors import StorageError, StudyChanged
from dcasearch.metrics import CLASSIFICATION, is_cost
from dcasearch.space import Space


def meaning_of(study: Study, space: Space, data: DataInfo) -> dict[str, Any]:
    """Return, by dotted path, everything that gives a stored value its meaning.

    Trials, promotion, further seeds and fidelities, executor, storage, stop rules and what is kept may change.
    """
    meaning: dict[str, Any] = {
        "space": space.fingerprint,
        "data": data.fingerprint,
        "data.classes": data.classes,
        "data.validation_images": data.validation_images,  # from them: what can be told apart
        "data.test_images": data.test_images,
        "data.protocol": study.data.protocol,
        "objectives": [f"{metric} {direction}" for metric, direction in study.objectives.items()],  # the first leads
        "constraints": {name: bound.model_dump() for name, bound in study.constraints.items()},
        "sampler": study.sampler.model_dump(),
        "on_duplicate": study.on_duplicate,
    }
    if study.task != CLASSIFICATION.name:  # which studies of before did not say
        meaning["task"] = study.task
    if study.detector is not None:
        meaning["detector"] = study.detector.meaning()
    if study.further_metrics:  # they are in the keys of all its trainings
        meaning["metrics"] = sorted(study.further_metrics)
    if study.constraints or any(map(is_cost, study.objectives)):
        meaning["resolution of params and macs"] = study.fidelities[-1].resolution
    meaning["seed of sampled trials"] = study.fidelities[0].seeds[0]
    for fidelity in study.fidelities:
        if fidelity.parent is not None:
            meaning[f"fidelities.{fidelity.name}.initialize"] = fidelity.initialize.model_dump(
                mode="json", exclude_defaults=True, exclude={"max_parents", *_NOT_OF_THE_MEANING}
            )
        elif fidelity.initialize.weights is not None:
            meaning[f"fidelities.{fidelity.name}.initialize"] = fidelity.initialize.model_dump(
                mode="json", exclude_defaults=True, exclude=_NOT_OF_THE_MEANING
            )
        if fidelity.initialize.specs:
            starts = map(read_start, fidelity.initialize.specs)
            weights = {start.architecture_id: start.sha256 for start in starts}
            meaning[f"fidelities.{fidelity.name}.initialize"] = {"name": "exported", "weights": weights}
        for name in ("kind", "resolution", "epochs", "train_fraction"):
            meaning[f"fidelities.{fidelity.name}.{name}"] = getattr(fidelity, name)
        if fidelity.promote is not None and fidelity.race is not None:
            meaning[f"fidelities.{fidelity.name}.race"] = {
                "confidence": fidelity.race.confidence,
                "by": fidelity.promote.by,
                "seeds": list(fidelity.seeds),
                "images": data.validation_images,
            }
            meaning[f"fidelities.{fidelity.name}.race.max_seeds"] = fidelity.race.max_seeds
        if fidelity.kind == "zero_cost":
            meaning[f"fidelities.{fidelity.name}.score"] = f"{fidelity.score}, {fidelity.batches} batches"
        for part in (fidelity.recipe, fidelity.pruner):
            for name, value in part.model_dump(mode="json").items():
                meaning[f"fidelities.{fidelity.name}.{type(part).__name__.lower()}.{name}"] = value
    return meaning


_NOT_OF_THE_MEANING = {"weights", "probe", "mean", "std", "interpolation", "crop"}
"""Of a weights file: its SHA-256 says which it is, wherever it lies; how images are prepared is in the data's."""


def check_unchanged(name: str, stored: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuse a study that no longer means what its database holds.

    A field that the study was stored without, since this version added it, had its default then.

    Raises:
        StudyChanged: with one line per difference.
        StorageError: what is stored is damaged.
    """
    if missing := sorted(_ALWAYS - stored.keys()):
        raise StorageError(
            f"study '{name}' is damaged: its stored meaning lacks {', '.join(missing)}; put a copy of the database back"
        )
    stored = _completed(stored, new)
    changed = [path for path in stored if path not in new or not _holds(path, stored[path], new[path])]
    if changed:
        lines = [
            f"  {path}: {stored[path]} in the database, {new.get(path, 'nothing')} in the YAML" for path in changed
        ]
        raise StudyChanged(
            f"study '{name}' holds values that mean something else:\n"
            + "\n".join(lines)
            + "\nGive the study another `name`, or change these back."
        )


def _holds(path: str, stored: Any, new: Any) -> bool:
    """Return whether a value means what it meant; the length of a race may grow, and only grow."""
    if path.endswith(".race.max_seeds"):
        return bool(new >= stored)
    return bool(new == stored)


_ALWAYS = {"space", "data", "objectives", "sampler"}
"""What every version has stored."""
_PARTS: dict[str, type[BaseModel]] = {"recipe": Recipe, "pruner": Pruner}
"""Of a fidelity, by their names in a dotted path."""
_NEW = object()
"""Stands for what an older version could not have said otherwise."""


def _completed(stored: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored meaning with the defaults of the fields that did not exist when it was stored."""
    fidelities = {path.split(".")[1] for path in stored if path.startswith("fidelities.")}
    completed = {path: _filled(value, _default(path)) for path, value in stored.items()}
    if "metrics" in new:
        completed.setdefault("metrics", [])  # which a study that asks for none does not say
    for path in new.keys() - stored.keys() - {"metrics"}:
        # Such a study drew as torchvision. It goes on with either: `small` gives its later trainings other keys.
        default = new[path] if path.endswith(".recipe.classifier_init") else _default(path)
        if default is not _NEW and path.split(".")[1] in fidelities:
            completed[path] = default
    return completed


def _filled(value: Any, default: Any) -> Any:
    """Return a stored value with what its nested parts lack."""
    if not (isinstance(value, Mapping) and isinstance(default, Mapping)):
        return value
    return {**default, **{name: _filled(part, default.get(name)) for name, part in value.items()}}


def _default(path: str) -> Any:
    """Return the default of what a dotted path names, as the database would give it back."""
    match path.split("."):
        case ["sampler"]:
            return Sampler().model_dump(mode="json")
        case ["fidelities", _, part, name] if part in _PARTS:
            return _PARTS[part]().model_dump(mode="json").get(name, _NEW)
        case ["fidelities", _, name] if name in Fidelity.model_fields:
            field = Fidelity.model_fields[name]
            return _NEW if field.is_required() else field.get_default(call_default_factory=True)
    return _NEW
