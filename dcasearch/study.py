"""The one loop that knows everyone: a study from its YAML to its winner. Read this first.

For each fidelity: the baselines, then the trials (sampled in the first fidelity, promoted in the others);
at the end the winner and its baselines once more, with fresh seeds, on the test split. The database is the
only truth, so the same call starts a study, resumes it after any interruption, and extends it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal

from dcasearch.analysis.announcing import facts_of, plan_events, pruning_of, run_event
from dcasearch.analysis.data import as_begun, dangers, described, split_fingerprints
from dcasearch.analysis.starts import check_starts, fetched, store_starts
from dcasearch.architecture import Architecture
from dcasearch.artifacts import open_artifacts
from dcasearch.config.study import Fidelity
from dcasearch.data import DataInfo
from dcasearch.errors import StudyFailed, TimeOver
from dcasearch.evaluation import EvaluationProtocol
from dcasearch.executors import Executor, open_executor
from dcasearch.meaning import check_unchanged, meaning_of
from dcasearch.search.claims import Claims
from dcasearch.search.costing import Costs, costs_of
from dcasearch.search.ledger import Ledger
from dcasearch.search.objectives import headline_at
from dcasearch.search.parents import WithParents
from dcasearch.search.pipeline import Phase, Pipeline
from dcasearch.search.planning import Promoter, Racer, plan_grid, plan_users
from dcasearch.search.requests import Requests
from dcasearch.search.retention import Disk
from dcasearch.search.roles import Roles, release_moved
from dcasearch.search.stopping import out_of_time
from dcasearch.search.trials import Trials
from dcasearch.search.winner import Winner, winner_of
from dcasearch.search.work import Event, Job, Observer, Source
from dcasearch.space import LoadedStudy, check_variables, load_study, size
from dcasearch.store import Store, storage_of
from dcasearch.trial import Value


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
    data: DataInfo | None = None,
) -> Outcome:
    """Run a study to its end, or to the end of its time; what is stored already is not done again.

    Args:
        study: The study, or its YAML.
        store: Its database; else the one it names.
        executor: Where its jobs run; else the one it names.
        observe: Is told what happens.
        data: What is known of the data, for an executor that does not need it; else it is looked at.

    Raises:
        UserError: a variable, the data or a weights file is missing, or the study no longer means what its database
            holds.
        StudyLocked: another driver runs it.
        StudyFailed: no trial of a fidelity could be completed.
        Interrupted: by the executor; the same call resumes.
    """
    loaded = study if isinstance(study, LoadedStudy) else load_study(Path(study))
    check_variables(loaded)
    with ExitStack() as stack:
        if store is None:
            with loaded.telling_place(("storage",)):
                store = stack.enter_context(Store.open(storage_of(loaded.study), create=True))
        loaded = fetched(as_begun(loaded, store))
        lease = stack.enter_context(store.lease(loaded.study.name))
        executor = executor or stack.enter_context(open_executor(loaded.study, secret=store.secret))

        def watched(event: Event) -> None:
            lease.check()
            observe(event)

        claims = Claims(store, lease, watched)
        outcome = _Run(loaded, store, executor, watched, claims, data).run()
        lease.outcome = outcome.stopped or lease.outcome
        return outcome


class _Run:
    """One run of one study: what every part of it needs."""

    def __init__(
        self,
        loaded: LoadedStudy,
        store: Store,
        executor: Executor,
        observe: Observer,
        claims: Claims,
        data: DataInfo | None,
    ) -> None:
        self.loaded, self.store, self.executor, self.observe = loaded, store, executor, observe
        self.claims = claims
        self.study, self.space = loaded.study, loaded.space
        self.artifacts = open_artifacts(self.study.artifacts)
        self.data = data or described(loaded)
        self.starts = check_starts(loaded, self.data)
        self.costs = Costs(store, self.study.fidelities[-1].resolution, self.data.classes, costs_of(self.study))
        self.split_fingerprints = split_fingerprints(self.study, self.data)
        self.disk = Disk(self.study, self.store, self.artifacts, self.data.fingerprint, self.split_fingerprints)
        self.requests = Requests(store, self.study.name, observe)
        self.started = datetime.now().astimezone()
        self.stopped: str | None = None
        """Why no further job is started: set where there was one to start and no time for it."""

    def run(self) -> Outcome:
        self._register()
        self.observe(run_event(self.study, self.space, self.started))
        for planned in plan_events(self.study, self.space, self.data, self.store):
            self.observe(planned)
        starts = [line for start in self.starts for line in start.lines]
        for note in (*self.loaded.notes, *self.data.notes, *dangers(self.study, self.data), *starts):
            self.observe(Event("note", self.study.name, note))
        store_starts(self.loaded, self.artifacts)
        self.disk.clear()
        pipeline = Pipeline(
            self._parts(),
            attend=self._attend,
            stopped=lambda: self.stopped is not None,
            make_room=self.disk.make_room,
            observe=self.observe,
            claims=self.claims,
            most_waiting=self.study.executor.max_concurrent,
            out_of_time=lambda: self._out_of_time() is not None,
        )
        try:
            self.executor.run(pipeline)
        except TimeOver as over:
            return Outcome(None, str(over))
        return Outcome(None if self.stopped is not None else winner_of(self.study, self.store), self.stopped)

    def _attend(self, running: Sequence[Job]) -> Sequence[Job]:
        """Return the running jobs that a user cancelled.

        Raises:
            Interrupted: a user asked that the run stops.
            TimeOver: its time is over while jobs run: they write their checkpoints.
        """
        cancelled = self.requests.attend(running)
        over = self._out_of_time() if running else None
        if over is not None:
            raise TimeOver(over)
        return cancelled

    def _parts(self) -> list[Phase]:
        """Return the study as a pipeline: per fidelity its baselines and its trials, then the final trainings."""
        parts: list[Phase] = []
        previous: Phase | None = None
        for fidelity in self.study.fidelities:
            parts.append(Phase(partial(self._baselines_of, fidelity)))
            part = Phase(partial(self._trials, fidelity, previous))
            if previous is not None and fidelity.promote is not None and fidelity.promote.asynchronous:
                part.overtakes = previous
            elif previous is not None:
                part.after = (previous,)
            part.end = partial(self._end_trials, part)
            parts.append(part)
            previous = part
        if self.study.final is not None and previous is not None:
            parts.append(Phase(partial(self._finals, self.study.final.seeds), (previous,)))
        return parts

    def _register(self) -> None:
        """Store what the study means, or refuse it if its database holds something else under its name."""
        meaning = meaning_of(self.study, self.space, self.data)
        known = self.store.get_study(self.study.name)
        if known is not None:
            check_unchanged(self.study.name, known.meaning, meaning)
        # As it is resolved, without the storage's URL, which may hold a password.
        source = None if self.data.source is None else self.data.source.model_dump(mode="json")
        self.store.put_study(self.study.name, meaning, self.study.model_dump_json(exclude={"storage"}), source)
        release_moved(self.store, self.study.name, self.split_fingerprints)

    def _baselines(self) -> list[tuple[str, Architecture]]:
        return [(b.name, b.architecture) for b in self.space.baselines(self.study.baselines)]

    def _baselines_of(self, fidelity: Fidelity) -> Source:
        return self._roles("baseline", fidelity, self._baselines(), fidelity.seeds, self.study.data.protocol)

    def _finals(self, seeds: tuple[int, ...]) -> Source:
        winner = winner_of(self.study, self.store)
        candidates = [("winner", winner.architecture), *self._baselines()]
        return self._roles("final", self.study.fidelities[-1], candidates, seeds, "test")

    def _roles(
        self,
        role: Literal["baseline", "final"],
        fidelity: Fidelity,
        candidates: list[tuple[str, Architecture]],
        seeds: tuple[int, ...],
        protocol: EvaluationProtocol,
    ) -> Source:
        done = [r for r in self.store.roles(self.study.name) if (r.role, r.fidelity) == (role, fidelity.name)]
        ended = sum(r.evaluation is not None or r.failure not in (None, "lost") for r in done)
        if candidates:
            self._begin(f"{fidelity.name} {role}s", fidelity, len(candidates) * len(seeds), {"complete": ended})
        source = Roles(
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
            split_fingerprints=self.split_fingerprints if role == "final" else {},
        )
        return self._with_parents(source, fidelity)

    def _with_parents(self, source: Source, fidelity: Fidelity) -> Source:
        """Let the jobs of a source wait for their vanilla parents; a score has none."""
        if fidelity.kind == "zero_cost":
            return source
        return WithParents(
            source,
            study=self.study,
            fidelity=fidelity,
            known=self._baselines(),
            store=self.store,
            artifacts=self.artifacts,
            observe=self.observe,
        )

    def _trials(self, fidelity: Fidelity, previous: Phase | None) -> Source:
        """Return the trials of one fidelity; `previous` are those of the fidelity before it."""
        ledger = Ledger(self.store, self.study, fidelity)
        plans: list[Callable[[], int]] = []
        if previous is None:
            plan_users(self.study, ledger)
            plan_grid(self.study, self.space, ledger)
        else:
            images = self.data.validation_images
            before = _trials_of(previous).ledger
            promoter = Promoter(self.study, before, ledger, lambda: previous.ended, images, points=size(self.space))
            promoter()
            plans = [promoter, Racer(self.study, ledger, images, self.observe)]
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
            ledger=ledger,
            plan=lambda: sum(plan() for plan in plans),
            look=self.requests.look,
        )
        return self._with_parents(trials, fidelity)

    def _end_trials(self, part: Phase) -> None:
        """Say why the trials of a fidelity ended.

        Raises:
            StudyFailed: none of them was completed.
        """
        trials = _trials_of(part)
        ledger = trials.ledger
        if trials.ended is not None:
            self.observe(Event("note", ledger.fidelity.name, trials.ended))
        if ledger.fidelity.kind == "zero_cost" and _all_equal(ledger):
            self.observe(Event("note", ledger.fidelity.name, "every score is equal: it cannot tell these apart"))
        if not ledger.complete():
            raise StudyFailed(
                f"{ledger.fidelity.name}: no trial was completed; `dcasearch status {self.study.name}` says why"
            )
        self.disk.drop_beginnings(ledger.fidelity)

    def _begin_search(self, ledger: Ledger) -> None:
        """Say how many trials there will be, and what is known of those that ended already."""
        counts: dict[str, Value] = {str(s): n for s, n in Counter(t.state for t in ledger.trials.values()).items()}
        metric = headline_at(self.study, ledger.fidelity)
        curves = self.store.curves([t.evaluation for t in ledger.complete() if t.evaluation is not None], metric.name)
        if curves:
            counts["best"] = max((curve[-1] for curve in curves.values()), key=lambda value: metric.sign * value)
        promotion, total = ledger.fidelity.promote, ledger.fidelity.trials
        if promotion is not None and promotion.asynchronous:
            total = (promotion.top + promotion.random) * len(ledger.fidelity.seeds)
        elif promotion is not None or len(ledger.fidelity.seeds) > 1:
            total = len(ledger.planned()) + len(ledger.trials)
        self._begin(f"{ledger.fidelity.name} trials", ledger.fidelity, total, pruning_of(ledger.fidelity) | counts)

    def _begin(self, label: str, fidelity: Fidelity, total: int | None, known: Mapping[str, Value]) -> None:
        """Announce a phase: `total` trainings, of which `known` (by state) ended before this run."""
        fields = {"total": total, **facts_of(self.study, fidelity, self.data), **known}
        self.observe(Event("phase", label, fields=fields))

    def _out_of_time(self) -> str | None:
        self.stopped = out_of_time(self.study.stop, self.started, datetime.now().astimezone())
        return self.stopped


def _all_equal(ledger: Ledger) -> bool:
    """Return whether several networks were scored and all of them alike."""
    scores = [curve[-1] for curve in ledger.curves.values() if curve]
    return len(scores) > 1 and len(set(scores)) == 1


def _trials_of(part: Phase) -> Trials:
    source = part.source.source if isinstance(part.source, WithParents) else part.source
    if not isinstance(source, Trials):
        raise RuntimeError("the part was not begun, or holds no trials")
    return source
