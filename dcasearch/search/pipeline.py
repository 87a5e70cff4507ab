"""Several sources of jobs as one work: the parts of a study in their order, each begun when it can be.

Earlier parts come first. While the jobs of one part still run and it has no further ones to hand out, free
slots go to a later part that does not wait for it, e.g. the baselines of the next fidelity. A training that
two parts ask for, e.g. a baseline that is promoted too, runs once; the other waits for its record. So does
one that another study of the database trains at that moment.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from dcasearch.errors import TrialFailure
from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey
from dcasearch.search.claims import Claims
from dcasearch.search.work import Event, Job, Observer, Source, event_of
from dcasearch.trial import Value

LOOK_SECONDS = 2.0
"""How often a training that another study holds is asked for again."""


@dataclass(eq=False)
class Phase:
    """One source of a pipeline, made when it is begun."""

    begin: Callable[[], Source]
    after: tuple[Phase, ...] = ()
    """Parts that must have ended before: what they found decides what this one does."""
    end: Callable[[], None] = lambda: None
    """Called once, when the part has no more jobs and none of its jobs runs."""
    overtakes: Phase | None = None
    """Once that part has begun, this one is asked before all others."""
    source: Source | None = field(default=None, init=False)
    running: int = field(default=0, init=False)
    waiting: list[Job] = field(default_factory=list, init=False)
    """Jobs whose training runs already, for another part or another study."""
    ended: bool = field(default=False, init=False)

    @property
    def idle(self) -> bool:
        """Whether nothing of it runs or waits."""
        return self.running == 0 and not self.waiting


class Pipeline:
    """See `dcasearch.search.work.Work`.

    Args:
        parts: in their order.
        attend: returns those of the running jobs that are cancelled.
        stopped: whether no further part is begun or ended, since time is over.
        make_room: is given what runs and what is about to, before each job; it raises where there is no room for it.
        observe: is told when a job starts, and of the machines.
        claims: what this driver may train; None where no other one has the database.
        most_waiting: no further jobs are asked for while so many wait for other studies.
        out_of_time: whether what other studies train is waited for no longer.
    """

    def __init__(
        self,
        parts: Sequence[Phase],
        *,
        attend: Callable[[Sequence[Job]], Sequence[Job]] = lambda running: (),
        stopped: Callable[[], bool] = lambda: False,
        make_room: Callable[[Collection[EvaluationKey]], None] = lambda running: None,
        observe: Observer = lambda event: None,
        claims: Claims | None = None,
        most_waiting: int = 1,
        out_of_time: Callable[[], bool] = lambda: False,
    ) -> None:
        self._parts = tuple(parts)
        self._claims, self._most_waiting, self._out_of_time = claims, most_waiting, out_of_time
        self._elsewhere: dict[EvaluationKey, float] = {}
        """What other studies train, and when to ask again."""
        self._attend, self._stopped, self._make_room = attend, stopped, make_room
        self._observe = observe
        self._running: dict[EvaluationKey, Job] = {}

    def ask(self) -> Job | None:
        """Return the next job of the first part that has one; of those that overtake others first."""
        if self._stopped():
            return None
        for number, part in enumerate(self._parts):
            if part.overtakes is not None and part.overtakes.source is not None and not part.ended:
                job = self._next(number, part)
                if job is not None:
                    return job
        return self._ask_in_order()

    def _ask_in_order(self) -> Job | None:
        ended = True  # all parts so far
        for number, part in enumerate(self._parts):
            if part.ended:
                continue
            if self._stopped() or not all(needed.ended for needed in part.after):
                return None
            job = self._next(number, part)
            if job is not None:
                return job
            if ended and part.idle and not self._stopped():
                part.ended = True
                part.end()
            ended = part.ended
        return None

    def _next(self, number: int, part: Phase) -> Job | None:
        job = self._ask(part)
        if job is None:
            return None
        self._make_room([*self._running, job.assignment.key])
        part.running += 1
        job = dataclasses.replace(job, source=number)
        self._running[job.assignment.key] = job
        return job

    def started(self, job: Job) -> None:
        """Say that a job has a place."""
        # Here and not in the sources, which hand out jobs that have to wait for another's end.
        fields: dict[str, Value] = {"number": job.number} if job.trial else {}
        self._observe(event_of("resumed" if job.resumed else "started", job, fields=fields))

    def put_back(self, job: Job) -> None:
        """Hand the job back to the part that it is of."""
        self._source(job).put_back(dataclasses.replace(job, resumed=True))
        self._over(job)

    def note(self, message: str) -> None:
        """Say what happens to the machines."""
        self._observe(Event("note", "cluster", message))

    def _ask(self, part: Phase) -> Job | None:
        part.source = part.source or part.begin()
        free = [job for job in part.waiting if not self._held(job.assignment.key)]
        part.waiting = [job for job in part.waiting if self._held(job.assignment.key)]
        for waited in free:
            self._elsewhere.pop(waited.assignment.key, None)
            part.source.put_back(waited)
        while len(self._elsewhere) < self._most_waiting and (job := part.source.ask()) is not None:
            if self._held(job.assignment.key):
                part.waiting.append(job)
                continue
            claimed = "taken" if self._claims is None else self._claims.take(job)
            if claimed == "taken":
                return job
            if claimed == "recorded":
                part.source.put_back(job)
            else:
                part.waiting.append(job)
                self._elsewhere[job.assignment.key] = time.monotonic() + LOOK_SECONDS
        return None

    def _held(self, key: EvaluationKey) -> bool:
        """Return whether a training runs, here or as far as is known elsewhere."""
        return key in self._running or self._elsewhere.get(key, 0.0) > time.monotonic()

    def waits(self) -> bool:
        """Return whether there may be a job once another study has stored a record."""
        return bool(self._elsewhere) and not self._running and not self._stopped() and not self._out_of_time()

    def report(self, job: Job, epoch: Epoch) -> bool:
        """Pass an epoch on to the part that the job is of."""
        return self._source(job).report(job, epoch)

    def finish(self, job: Job, evaluation: Evaluation) -> None:
        """Pass a record on to the part that the job is of."""
        self._source(job).finish(job, evaluation)
        self._over(job)

    def fail(self, job: Job, failure: TrialFailure) -> None:
        """Pass a failure on to the part that the job is of."""
        self._source(job).fail(job, failure)
        self._over(job)

    def attend(self) -> Sequence[Job]:
        """Return the running jobs that a user cancelled."""
        return self._attend(list(self._running.values()))

    def _source(self, job: Job) -> Source:
        source = self._parts[job.source].source
        if source is None:
            raise RuntimeError(f"{job.label} is of a part that was never begun")
        return source

    def _over(self, job: Job) -> None:
        self._parts[job.source].running -= 1
        del self._running[job.assignment.key]
        if self._claims is not None:
            self._claims.release(job.assignment.key)
