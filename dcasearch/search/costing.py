"""The gate: what an architecture costs, computed once and kept in the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dcasearch.architecture import Architecture
from dcasearch.config.study import Study
from dcasearch.metrics import METRICS, cost_function, costs
from dcasearch.store import Store


def costs_of(study: Study) -> tuple[str, ...]:
    """Return the costs that a study wants to know: all that hold for every device, and those that it names."""
    named = {*study.objectives, *study.constraints}
    return tuple(name for name in costs() if not METRICS[name].of_device or name in named)


class Costs:
    """Costs at one resolution and number of classes: those of the last fidelity, in every fidelity."""

    def __init__(
        self, store: Store, resolution: int, classes: int, names: Iterable[str] | None = None, device: str = ""
    ) -> None:
        """Compute nothing yet.

        Args:
            store: Where the costs are kept.
            resolution: Pixels per side.
            classes: Width of the classifier.
            names: Which costs; by default those that hold for every device.
            device: What a cost of one device is measured on.
        """
        self._store = store
        self._resolution = resolution
        self._classes = classes
        self._names = tuple(name for name in costs() if not METRICS[name].of_device) if names is None else tuple(names)
        self._device = device

    def of(self, architecture: Architecture) -> Mapping[str, float]:
        """Return the costs by name, from the database where they were computed before."""
        known = self._store.get_costs(architecture.id, self._resolution, self._classes, self._device)
        while missing := [name for name in self._names if name not in known]:
            found = cost_function(missing[0])(architecture, self._resolution, self._classes)
            if missing[0] not in found:
                raise RuntimeError(f"{METRICS[missing[0]].computed_by} computes no {missing[0]}")
            self._store.put_architecture(architecture)
            self._store.put_costs(architecture.id, self._resolution, self._classes, found, self._device)
            known = {**known, **found}
        return known
