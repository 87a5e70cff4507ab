"""Which trainings are the beginning of a longer one, so that it may go on from their checkpoint. No torch.

Up to a shorter one's last epoch both do the same steps on the same batches only where the learning rate does not know
how many epochs there are, and where both measure the same images: `step` schedules, and not the test split.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from dcasearch.assignment import Assignment
from dcasearch.config.study import Fidelity, Study


def beginnings(assignment: Assignment) -> Mapping[str, int]:
    """Return the ids of the keys of all trainings that are this one with fewer epochs, and their epochs."""
    fidelity = assignment.fidelity
    if fidelity.kind != "training" or fidelity.recipe.schedule.name != "step" or assignment.protocol == "test":
        return {}
    shorter = (fidelity.model_copy(update={"epochs": epochs}) for epochs in range(1, fidelity.epochs))
    return {dataclasses.replace(assignment, fidelity=less).key.id: less.epochs for less in shorter}


def continues(longer: Fidelity, shorter: Fidelity) -> bool:
    """Return whether trainings of one fidelity begin as those of another, given equal seeds."""
    return (
        longer.kind == "training"
        and longer.recipe.schedule.name == "step"
        and shorter.epochs < longer.epochs
        and _training(shorter, longer.epochs) == _training(longer, longer.epochs)
        and _parent(shorter) == _parent(longer)
        and _file(shorter) == _file(longer)
    )


def _training(fidelity: Fidelity, epochs: int) -> Fidelity:
    """Return a fidelity of so many epochs without what no training depends on, and without its parents."""
    beside = ("trials", "promote", "pruner", "seeds", "initialize")
    defaults = {name: Fidelity.model_fields[name].get_default() for name in beside}
    return fidelity.model_copy(update={**defaults, "name": "", "epochs": epochs})


def _parent(fidelity: Fidelity) -> Fidelity | None:
    return None if fidelity.parent is None else _training(fidelity.parent, fidelity.parent.epochs)


def _file(fidelity: Fidelity) -> tuple[object, ...]:
    """Return what identifies the weights file that the trainings, or their parents, start from."""
    start = fidelity.initialize
    return (start.name, start.weights, start.sha256, start.class_names)


def later_continues(study: Study, fidelity: Fidelity) -> bool:
    """Return whether a later fidelity of a study goes on from the trainings of this one."""
    later = study.fidelities[study.fidelities.index(fidelity) + 1 :]
    return any(continues(other, fidelity) for other in later)
