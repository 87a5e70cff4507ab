"""The one loop that knows everyone: a study from its YAML to its winner. Read this first.

For each fidelity: the baselines, then the trials (sampled in the first fidelity, promoted in the others);
at the end the winner and its baselines once more, with fresh seeds, on the test split. The database is the
only truth, so the same call starts a study, resumes it after any interruption, and extends it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from dcasearch.architecture import Architecture
from dcasearch.config.study import Fidelity
from dcasearch.data import DataInfo, describe
from dcasearch.errors import StudyFailed, UserError
from dcasearch.evaluation import Protocol as DataProtocol
from dcasearch.evaluation import fingerprint
from dcasearch.executors import LocalExecutor
from dcasearch.meaning import check_unchanged, meaning_of
from dcasearch.search.costing import Costs
from dcasearch.search.ledger import Ledger
from dcasearch.search.promotion import promote
from dcasearch.search.pruning import rungs
from dcasearch.search.roles import Roles
from dcasearch.search.stopping import out_of_time
from dcasearch.search.trials import Trials
from dcasearch.search.winner import Winner, winner_of
from dcasearch.search.work import Event, Observer, Work
from dcasearch.space import LoadedStudy, load_study
from dcasearch.store import Store, storage_of
from dcasearch.trial import Value


class Executor(Protocol):
    """What runs a work to its end; see `dcasearch.executors`."""

    def run(self, work: Work) -> None:
        """Return when the work has no more jobs and none is running."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    winner: Winner | None
    """None where the run stopped before the last fidelity had a complete trial."""
    stopped: str | None
    """Why the run ended early (its time is over); the same command goes on."""


def run(
    study: LoadedStudy | Path | str,
    store: Store | None = None,
    executor: Executor | None = None,
    observe: Observer = lambda event: None,
) -> Outcome:
    """Run a study to its end, or to the end of its time; what is stored already is not done again.

    Args:
        study: The study, or its YAML.
        store: Its database; else the one it names.
        executor: Where its jobs run; else this machine.
        observe: Is told what happens.

    Raises:
        UserError: a variable or the data is missing, or the study no longer means what its database holds.
        StudyLocked: another driver runs it.
        StudyFailed: no trial of a fidelity could be completed.
        Interrupted: by the executor; the same call resumes.
    """
    loaded = study if isinstance(study, LoadedStudy) else load_study(Path(study))
    check_variables(loaded)
    with ExitStack() as stack:
        store = store or stack.enter_context(Store.open(storage_of(loaded.study), create=True))
        lease = stack.enter_context(store.lease(loaded.study.name))
        executor = executor or stack.enter_context(
            LocalExecutor(Path(loaded.study.artifacts), loaded.study.executor.max_concurrent).open()
        )

        def watched(event: Event) -> None:
            lease.check()
            observe(event)

        return _Run(loaded, store, executor, watched).run()


def check_variables(loaded: LoadedStudy) -> None:
    """Raise UserError where the YAML names an environment variable that is not set and has no default."""
    if loaded.missing_variables:
        raise UserError(f"{loaded.path}: not set: {', '.join(sorted(loaded.missing_variables))}")


class _Run:
    """One run of one study: what every step of it needs."""

    def __init__(self, loaded: LoadedStudy, store: Store, executor: Executor, observe: Observer) -> None:
        self.loaded, self.store, self.executor, self.observe = loaded, store, executor, observe
        self.study, self.space = loaded.study, loaded.space
        self.artifacts = Path(self.study.artifacts)
        self.data: DataInfo = describe(self.study.data, self.artifacts)
        self.costs = Costs(store, self.study.fidelities[-1].resolution, self.data.classes)
        self.started = datetime.now().astimezone()
        self.stopped: str | None = None
        """Why no further job is started: set where there was one to start and no time for it."""

    def run(self) -> Outcome:
        self._register()
        trials: Trials | None = None
        for fidelity in self.study.fidelities:
            self._evaluate("baseline", fidelity, self._baselines(), fidelity.seeds, self.study.data.protocol)
            trials = self._search(fidelity, trials)
            if self.stopped is not None:
                return Outcome(None, self.stopped)
            if not trials.ledger.complete():
                raise StudyFailed(
                    f"{fidelity.name}: no trial was completed; `dcasearch status {self.study.name}` says why"
                )
        winner = winner_of(self.study, self.store)
        if self.study.final is not None:
            candidates = [("winner", winner.architecture), *self._baselines()]
            self._evaluate("final", self.study.fidelities[-1], candidates, self.study.final.seeds, "test")
        return Outcome(winner, self.stopped)

    def _register(self) -> None:
        """Store what the study means, or refuse it if its database holds something else under its name."""
        meaning = meaning_of(self.study, self.space, self.data)
        known = self.store.get_study(self.study.name)
        if known is not None:
            check_unchanged(self.study.name, known.meaning, meaning)
        # As it is resolved, without the storage's URL, which may hold a password.
        self.store.put_study(self.study.name, meaning, self.study.model_dump_json(exclude={"storage"}))

    def _baselines(self) -> list[tuple[str, Architecture]]:
        return [(b.name, b.architecture) for b in self.space.baselines(self.study.baselines)]

    def _evaluate(
        self,
        role: Literal["baseline", "final"],
        fidelity: Fidelity,
        candidates: list[tuple[str, Architecture]],
        seeds: tuple[int, ...],
        protocol: DataProtocol,
    ) -> None:
        if not candidates:
            return
        roles = Roles(
            study=self.study,
            fidelity=fidelity,
            role=role,
            candidates=candidates,
            seeds=seeds,
            protocol=protocol,
            store=self.store,
            data_fingerprint=self.data.fingerprint,
            artifacts=self.artifacts,
            observe=self.observe,
            out_of_time=self._out_of_time,
        )
        done = [r for r in self.store.roles(self.study.name) if (r.role, r.fidelity) == (role, fidelity.name)]
        ended = sum(r.evaluation is not None or r.failure is not None for r in done)
        self._begin(f"{fidelity.name} {role}s", fidelity, len(candidates) * len(seeds), {"complete": ended})
        self.executor.run(roles)

    def _search(self, fidelity: Fidelity, previous: Trials | None) -> Trials:
        """Run the trials of one fidelity; `previous` are those of the fidelity before it."""
        ledger = Ledger(self.store, self.study, fidelity)
        if previous is None:
            self._enqueue_users(ledger)
        else:
            self._promote(previous.ledger, ledger)
        self._begin_search(ledger)
        trials = Trials(
            study=self.study,
            fidelity=fidelity,
            space=self.space,
            store=self.store,
            costs=self.costs,
            data_fingerprint=self.data.fingerprint,
            artifacts=self.artifacts,
            observe=self.observe,
            out_of_time=self._out_of_time,
        )
        self.executor.run(trials)
        if trials.ended is not None:
            self.observe(Event("note", fidelity.name, trials.ended))
        return trials

    def _begin_search(self, ledger: Ledger) -> None:
        """Say how many trials there will be, and what is known of those that ended already."""
        counts: dict[str, Value] = {str(s): n for s, n in Counter(t.state for t in ledger.trials.values()).items()}
        records = self.store.evaluations(t.evaluation for t in ledger.complete() if t.evaluation is not None)
        if records:
            counts["best"] = max(record.last.top1 for record in records.values())
        planned = len(ledger.planned()) + len(ledger.trials)
        total = planned if ledger.fidelity.promote is not None else ledger.fidelity.trials
        self._begin(f"{ledger.fidelity.name} trials", ledger.fidelity, total, counts)

    def _begin(self, label: str, fidelity: Fidelity, total: int | None, known: Mapping[str, Value]) -> None:
        """Announce a phase: `total` trainings, of which `known` (by state) ended before this run."""
        steps = rungs(fidelity.pruner, fidelity.epochs)
        fields = {"total": total, "epochs": fidelity.epochs, "rungs": ", ".join(map(str, steps)), **known}
        self.observe(Event("phase", label, fields=fields))

    def _enqueue_users(self, ledger: Ledger) -> None:
        """Plan the user's own configurations, each once, whatever their order in the YAML is by now."""
        known = ledger.attributes("enqueued")
        for params in self.study.enqueue:
            if fingerprint(params) not in known:
                ledger.enqueue(params, origin="enqueued", enqueued=fingerprint(params))

    def _promote(self, previous: Ledger, ledger: Ledger) -> None:
        """Plan the promoted trials that are not planned yet, one per seed."""
        promotion = ledger.fidelity.promote
        if promotion is None:
            raise RuntimeError("a later fidelity without `promote` passed the check of the YAML")
        known = ledger.attributes("of", "seed")
        chosen = promote(list(previous.trials.values()), promotion, self.study.objectives, self.study.sampler.seed)
        for promoted in chosen:
            for seed in ledger.fidelity.seeds:
                if (promoted.trial.number, seed) not in known:
                    ledger.enqueue(
                        promoted.trial.params,
                        origin=promoted.origin,
                        seed=seed,
                        of=promoted.trial.number,
                        reason=promoted.reason,
                        probability=promoted.probability,
                    )

    def _out_of_time(self) -> str | None:
        self.stopped = out_of_time(self.study.stop, self.started, datetime.now().astimezone())
        return self.stopped
