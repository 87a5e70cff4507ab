"""The gate: what an architecture costs, computed once and kept in the database."""

from __future__ import annotations

from dcasearch.architecture import Architecture
from dcasearch.evaluation import Cost
from dcasearch.models import cost
from dcasearch.store import Store


class Costs:
    """Costs at one resolution and number of classes: those of the last fidelity, in every fidelity."""

    def __init__(self, store: Store, resolution: int, classes: int) -> None:
        self._store = store
        self._resolution = resolution
        self._classes = classes

    def of(self, architecture: Architecture) -> Cost:
        """Return the cost, from the database where it was computed before."""
        known = self._store.get_cost(architecture.id, self._resolution, self._classes)
        if known is None:
            known = cost(architecture, self._resolution, self._classes)
            self._store.put_architecture(architecture)
            self._store.put_cost(architecture.id, self._resolution, self._classes, known)
        return known
