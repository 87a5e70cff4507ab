"""Trainings that are no trials and lost their worker: how often they are tried again."""

from __future__ import annotations

import dataclasses
from collections import Counter

from dcasearch.errors import TrialFailure
from dcasearch.search.work import Job, Observer, event_of


class Attempts:
    """Counts the lost workers of a source's jobs, for as long as a driver lives; a trial's stand in the ledger."""

    def __init__(self, retries: int, observe: Observer) -> None:
        self._retries, self._observe = retries, observe
        self._lost: Counter[int] = Counter()

    def again(self, job: Job, failure: TrialFailure) -> Job | None:
        """Return the job as it is to be handed out again; None where its failure is final."""
        if failure.kind != "lost" or self._lost[job.number] >= self._retries:
            return None
        self._lost[job.number] += 1
        self._observe(event_of("lost", job, str(failure)))
        return dataclasses.replace(job, resumed=True)
