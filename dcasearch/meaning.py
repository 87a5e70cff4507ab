"""What a study's values mean: what may not change between two runs of one name, and how a change is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dcasearch.config.study import COSTS, Study
from dcasearch.data import DataInfo
from dcasearch.errors import StudyChanged
from dcasearch.space import Space


def meaning_of(study: Study, space: Space, data: DataInfo) -> dict[str, Any]:
    """Return, by dotted path, everything that gives a stored value its meaning.

    Trials, promotion, further seeds and fidelities, executor, storage, stop rules and what is kept may change.
    """
    meaning: dict[str, Any] = {
        "space": space.fingerprint,
        "data": data.fingerprint,
        "data.classes": data.classes,
        "data.protocol": study.data.protocol,
        "objectives": [f"{metric} {direction}" for metric, direction in study.objectives.items()],  # the first leads
        "constraints": {name: bound.model_dump() for name, bound in study.constraints.items()},
        "sampler": study.sampler.model_dump(),
        "on_duplicate": study.on_duplicate,
    }
    if study.constraints or any(metric in COSTS for metric in study.objectives):
        meaning["resolution of params and macs"] = study.fidelities[-1].resolution
    meaning["seed of sampled trials"] = study.fidelities[0].seeds[0]
    for fidelity in study.fidelities:
        if fidelity.parent is not None:
            meaning[f"fidelities.{fidelity.name}.initialize"] = fidelity.initialize.model_dump(
                mode="json", exclude_defaults=True, exclude={"max_parents"}
            )
        for name in ("kind", "resolution", "epochs", "train_fraction"):
            meaning[f"fidelities.{fidelity.name}.{name}"] = getattr(fidelity, name)
        if fidelity.kind == "zero_cost":
            meaning[f"fidelities.{fidelity.name}.score"] = f"{fidelity.score}, {fidelity.batches} batches"
        for part in (fidelity.recipe, fidelity.pruner):
            for name, value in part.model_dump(mode="json").items():
                meaning[f"fidelities.{fidelity.name}.{type(part).__name__.lower()}.{name}"] = value
    return meaning


def check_unchanged(name: str, stored: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuse a study that no longer means what its database holds.

    Raises:
        StudyChanged: with one line per difference.
    """
    changed = [path for path in stored if path not in new or new[path] != stored[path]]
    if changed:
        lines = [
            f"  {path}: {stored[path]} in the database, {new.get(path, 'nothing')} in the YAML" for path in changed
        ]
        raise StudyChanged(
            f"study '{name}' holds values that mean something else:\n"
            + "\n".join(lines)
            + "\nGive the study another `name`, or change these back."
        )
