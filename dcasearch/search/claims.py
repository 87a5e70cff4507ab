"""Who may train a key at this moment, among all the studies of a database."""

from __future__ import annotations

from typing import Literal

from dcasearch.evaluation import EvaluationKey
from dcasearch.search.work import Event, Job, Observer
from dcasearch.store import Lease, Store


class Claims:
    """What one driver trains, claimed under its lease."""

    def __init__(self, store: Store, lease: Lease, observe: Observer) -> None:
        self._store, self._lease, self._observe = store, lease, observe
        self._told: set[EvaluationKey] = set()
        self._recorded: set[EvaluationKey] = set()
        """Whose source was told of a record; if it wants the training still, e.g. for its weights, it gets it."""

    def take(self, job: Job) -> Literal["taken", "recorded", "elsewhere"]:
        """Claim a job's training, unless its record has come meanwhile or another study trains it just now."""
        key = job.assignment.key
        other = self._lease.claim(key.id)
        if other is not None:
            if key not in self._told:
                self._told.add(key)
                self._observe(Event("note", job.label, f"is being trained by study {other}: its record is waited for"))
            return "elsewhere"
        # Only now can nobody else be about to store it.
        record = self._store.find(key)
        if record is None or len(record.history) < job.assignment.fidelity.epochs or key in self._recorded:
            return "taken"
        self._recorded.add(key)
        self.release(key)
        return "recorded"

    def release(self, key: EvaluationKey) -> None:
        """Give the claim of a training back, once its record is stored or it has failed."""
        self._lease.release(key.id)
