"""What a network costs at the input size of a study's last fidelity: from its database, else counted now."""

from __future__ import annotations

from dcasearch.architecture import Architecture
from dcasearch.config.study import Study
from dcasearch.evaluation import Cost
from dcasearch.metrics import TASKS
from dcasearch.store import Store

_CLASSES = 1000
"""Of a study whose data set was never looked at."""


def stored_cost(study: Study, store: Store, architecture_id: str) -> Cost | None:
    """Return the cost of a network as the database holds it; None where nobody has counted it."""
    known = store.get_costs(architecture_id, study.fidelities[-1].resolution, _outputs(study, store))
    if not {"params", "macs"} <= known.keys():
        return None
    return Cost(int(known["params"]), int(known["macs"]))


def cost_of(study: Study, store: Store, architecture: Architecture) -> Cost:
    """Return the cost of a network; it is counted where the database does not hold it, which imports torch."""
    known = stored_cost(study, store, architecture.id)
    if known is not None:
        return known
    from dcasearch.models import cost  # who reads a finished table needs no torch

    return cost(architecture, study.fidelities[-1].resolution, _outputs(study, store))


def _outputs(study: Study, store: Store) -> int:
    """Return the width of the classifier."""
    record = store.get_study(study.name)
    classes = 0 if record is None else int(record.meaning.get("data.classes", 0))
    return TASKS[study.task].width(classes or _CLASSES)
