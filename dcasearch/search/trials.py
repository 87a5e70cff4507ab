"""The executor-neutral core of one fidelity, as a source of jobs.

Everything it knows it can read back from the database, so a driver that dies at any moment is followed by
one that goes on at the same place: a trial whose parameters were half drawn is drawn again under its number,
one that was training goes on from its checkpoint, one whose record is stored is told from the record.

Suggestions (`suggestions`) are admitted (`admission`) and run their course (`course`); `recovery` takes up what an
earlier driver left.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from dcasearch.artifacts import Place
from dcasearch.config.study import Fidelity, Study
from dcasearch.errors import TrialFailure
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.search.admission import Admission
from dcasearch.search.costing import Costs
from dcasearch.search.course import Course
from dcasearch.search.ledger import Ledger
from dcasearch.search.objectives import objectives_at
from dcasearch.search.recovery import plan_lost, recover
from dcasearch.search.retention import Retention
from dcasearch.search.sharing import kept_weights, weights_needed
from dcasearch.search.suggestions import Suggestions
from dcasearch.search.work import Job, Observer
from dcasearch.space import Space
from dcasearch.store import Store
from dcasearch.training import later_continues


class Trials:
    """The trials of one fidelity, as a source of jobs (see `dcasearch.search.work.Work`)."""

    def __init__(
        self,
        *,
        study: Study,
        fidelity: Fidelity,
        space: Space,
        store: Store,
        costs: Costs,
        data_fingerprint: str,
        artifacts: Place,
        observe: Observer,
        out_of_time: Callable[[], str | None] = lambda: None,
        ledger: Ledger | None = None,
        plan: Callable[[], int] = lambda: 0,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        self._fidelity, self._store = fidelity, store
        self.ledger = ledger or Ledger(store, study, fidelity)
        self._admission = Admission(
            study=study,
            fidelity=fidelity,
            space=space,
            store=store,
            costs=costs,
            data_fingerprint=data_fingerprint,
            ledger=self.ledger,
            observe=observe,
        )
        plan_lost(self.ledger, study.executor.retries)
        self._suggestions = Suggestions(
            study=study,
            fidelity=fidelity,
            space=space,
            costs=costs,
            ledger=self.ledger,
            out_of_time=out_of_time,
            plan=plan,
            look=look,
        )
        self._course = Course(
            study=study,
            fidelity=fidelity,
            costs=costs,
            ledger=self.ledger,
            admission=self._admission,
            retention=_retention(study, fidelity, store, artifacts, self.ledger),
            observe=observe,
        )
        self._course.tell_leaders()
        recover(self.ledger, self._admission)
        self._course.check_failures()

    @property
    def ended(self) -> str | None:
        """Why no further trial is sampled; None while one may be."""
        return self._suggestions.ended

    def ask(self) -> Job | None:
        """Return the next job; infeasible and duplicate suggestions are settled on the way."""
        ready = self._admission.ready
        while True:
            while not ready:
                suggested = self._suggestions.next()
                if suggested is None:
                    return None
                self._admission.admit(suggested)
            job = ready.popleft()
            known = self._store.find(job.assignment.key)
            if known is None or len(known.history) < self._fidelity.epochs:
                return job
            self._course.reuse(job, known)

    def put_back(self, job: Job) -> None:
        """Hand this job out again by and by: its training runs already for someone else."""
        self._admission.ready.append(job)

    def report(self, job: Job, epoch: Epoch) -> bool:
        """Store one epoch of the curve and decide whether the trial goes on."""
        return self._course.report(job, epoch)

    def finish(self, job: Job, evaluation: Evaluation) -> None:
        """Record a training that ran to its end, or to the rung that stopped it; then tell Optuna."""
        self._course.finish(job, evaluation)

    def fail(self, job: Job, failure: TrialFailure) -> None:
        """Store a failure; a trial that lost its worker goes on from its checkpoint while it has retries."""
        self._course.fail(job, failure)


def _retention(study: Study, fidelity: Fidelity, store: Store, artifacts: Place, ledger: Ledger) -> Retention:
    return Retention(
        artifacts,
        kept_weights(study, fidelity),
        objectives_at(study, fidelity),
        ledger.trials.values(),
        continued=later_continues(study, fidelity),
        needed=partial(weights_needed, store, study.name),
    )
