"""A study of a chosen network's variants: the spec's own data, resolution, epochs and recipe, with fresh seeds.

The study is an ordinary one, so whatever trains studies trains it: any executor, resume, retries, `status`, `report`.
Its seeds are none of those that the spec names, since the network may have been chosen for doing well with them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dcasearch.ablation.variants import Variant
from dcasearch.analysis.paired import ENOUGH
from dcasearch.config.data_set import Data
from dcasearch.config.recipe import KEEPS
from dcasearch.config.starts import named
from dcasearch.errors import UserError
from dcasearch.export.spec import Spec
from dcasearch.metrics import TASKS
from dcasearch.training.provenance import STARTED_FROM, STARTED_FROM_NAME

LEVEL = "ablation"
"""The study's one fidelity."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How and where the variants are trained, beside what the spec says."""

    root: str | None = None
    """Folder of the data; None where the data set needs none."""
    seeds: int = 5
    """Of each network."""
    epochs: int | None = None
    """In place of the spec's."""
    workers: int = 1
    """Trainings at a time."""
    weights: str | None = None
    """The file that the chosen network began with, where it began with one."""
    executor: str = "local"
    storage: str | None = None
    artifacts: str | None = None
    hours: float | None = None
    """Of one run, after which it stops; the same command goes on."""
    throughput: float | None = None
    """Multiply-adds per second of one training, where it is known."""


@dataclass(frozen=True)
class Plan:
    """A study of variants."""

    name: str
    variants: tuple[Variant, ...]
    """The chosen network first."""
    study: dict[str, Any]
    """As YAML has it."""

    @property
    def trainings(self) -> int:
        """How many networks are trained in all."""
        return len(self.variants) * len(self.study["fidelities"][-1]["seeds"])


def plan(spec: Spec, name: str, variants: Sequence[Variant], protocol: Protocol) -> Plan:
    """Return the study that trains a chosen network and its variants.

    Args:
        spec: the chosen network, as exported.
        name: of the study.
        variants: the chosen network first.
        protocol: how and where.

    Raises:
        UserError: the spec does not say how it was trained, nothing can be toggled, or the seeds are too few.
    """
    training, data = spec.training, spec.data
    if training is None or data is None:
        raise UserError(
            "the spec does not say how and on which data its network was trained: an older dcasearch wrote it, or its "
            "weights were imported; train the network here, or export it again"
        )
    if training.recipe.needs_start and STARTED_FROM not in spec.provenance:
        raise UserError(
            f"the network was fine-tuned, and an ablation trains from scratch: {KEEPS}; compare variants in a study "
            "with `initialize`"
        )
    if len(variants) < 2:
        raise UserError("nothing of this network can be toggled: it has neither attention nor connections")
    if protocol.seeds < ENOUGH:
        raise UserError(f"{protocol.seeds} seeds say too little of a network's noise; give at least {ENOUGH}")
    level = {
        "name": LEVEL,
        "seeds": _fresh(spec, protocol.seeds),
        "resolution": spec.resolution,
        "epochs": protocol.epochs or training.epochs,
        "train_fraction": training.train_fraction,
        "recipe": training.recipe.model_dump(mode="json"),
        **_start(spec, protocol.weights),
    }
    head = TASKS[spec.task].headline
    study: dict[str, Any] = {
        "name": name,
        "space": {"architectures": [_row(variant, variants[0]) for variant in variants]},
        "data": _written(data.at(protocol.root)),
        "task": spec.task,
        **({} if spec.detector is None else {"detector": spec.detector.model_dump(mode="json")}),
        "objectives": {head.name: head.direction},
        "sampler": {"name": "grid"},
        "baselines": False,
        "fidelities": [level],
        "keep_weights": 0,
        "executor": {"name": protocol.executor, "max_concurrent": protocol.workers},
    }
    if protocol.storage is not None:
        study["storage"] = protocol.storage
    if protocol.artifacts is not None:
        study["artifacts"] = protocol.artifacts
    if protocol.hours is not None:
        study["stop"] = {"wall_hours": protocol.hours}
    if protocol.throughput is not None:
        study["throughput"] = protocol.throughput
    return Plan(name, tuple(variants), study)


def _start(spec: Spec, weights: str | None) -> dict[str, Any]:
    """Return what the variants start from, as a fidelity says it: the very file that the chosen network began with.

    Raises:
        UserError: it is not named, or the network began without one.
    """
    name = spec.provenance.get(STARTED_FROM_NAME)
    if name is None and weights is not None:
        raise UserError("--weights: the chosen network began with random values, and so do its variants")
    if name is None:
        return {}
    if weights is None:
        raise UserError(f"the chosen network began with trained weights, {name}: add --weights FILE")
    return {"initialize": {"weights": named(weights), "sha256": spec.provenance[STARTED_FROM]}}


def fitted(seconds_of_a_seed: float, wanted: int, hours: float) -> int:
    """Return the most seeds, up to `wanted`, that a budget pays for; below three it pays for no answer.

    Args:
        seconds_of_a_seed: time that one seed of every network takes.
        wanted: seeds at most.
        hours: the budget.
    """
    return min(wanted, int(hours * 3600 // seconds_of_a_seed)) if seconds_of_a_seed > 0 else wanted


def study_name(stem: str) -> str:
    """Return the name of a study for a spec's file: letters, digits, `_` and `-`, a letter first."""
    cleaned = re.sub(r"[^A-Za-z0-9_-]", "_", stem)
    return f"{cleaned if cleaned[:1].isalpha() else f'spec_{cleaned}'}_ablation"


def _row(variant: Variant, chosen: Variant) -> dict[str, Any]:
    against = {} if variant is chosen else {"against": chosen.label}
    return {"label": variant.label, **against, **variant.architecture.to_dict()}


def _fresh(spec: Spec, count: int) -> list[int]:
    """Return the first seeds after all that the spec names."""
    first = max((metric.seed for metric in spec.metrics), default=-1) + 1
    return list(range(first, first + count))


def _written(data: Data) -> dict[str, Any]:
    """Return a data set as YAML says it; images are read as the spec's were, and not as the newest version does."""
    written = data.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    return {**written, "reading": data.reading}
