"""What is added to the page of each of Optuna's studies: read from our tables, kept while nothing has changed."""

from __future__ import annotations

import textwrap
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from dcasearch.analysis.findings import findings_of
from dcasearch.analysis.standing import Standing, standing_of
from dcasearch.analysis.story import story_of
from dcasearch.analysis.trust import trust_of
from dcasearch.dashboard.graphs import Graph, graphs_of
from dcasearch.dashboard.networks import Networks
from dcasearch.dashboard.notes import StudyNotes, TrialNotes
from dcasearch.store import Store
from dcasearch.trial import Trial

FRESH_SECONDS = 5.0
"""How old a page may be while its study runs."""
SHARE = 0.2
"""Of its time at most that a dashboard spends on reading a study that runs: pages of large studies are older."""


@dataclass(frozen=True)
class TrialPage:
    """What is added to one trial."""

    trial: Trial
    notes: TrialNotes

    @property
    def note(self) -> str:
        """Markdown, written when it is asked for: a page asks again and again, mostly for the trials that go on."""
        return self.notes.of(self.trial)

    @property
    def architecture_id(self) -> str:
        """The network's id."""
        return self.trial.architecture_id


@dataclass(frozen=True, kw_only=True)
class Page:
    """What is added to the page of one of Optuna's studies: of one fidelity."""

    heading: str
    """What the study's note begins with; older versions stored notes that begin so."""
    note: str
    """Of the study, Markdown."""
    objectives: tuple[str, ...]
    graphs: tuple[Graph, ...]
    trials: Mapping[int, TrialPage]
    """By number."""


@dataclass(frozen=True)
class _Kept:
    """The pages of one study."""

    state: object
    """Equal as long as nothing has changed."""
    pages: Mapping[str, Page]
    """By fidelity."""
    made: float
    took: float


class Pages:
    """The pages of a database. Threads may share it.

    Args:
        store: The database.
        name: The study that is shown; None: all of them.
    """

    def __init__(self, store: Store, name: str | None = None) -> None:
        self._store, self._name = store, name
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._networks = Networks(store)

    def shows(self, optuna_name: str) -> bool:
        """Return whether one of Optuna's studies is shown: any but those of other studies, where one was named."""
        return self._name is None or optuna_name.rpartition(".")[0] == self._name

    def of(self, optuna_id: int) -> Page | None:
        """Return what is added to one of Optuna's studies; None of a study that is not ours, or not begun.

        Raises:
            StorageError: the database cannot be read.
        """
        try:
            optuna_name = self._store.optuna.get_study_name_from_id(optuna_id)
        except KeyError:
            return None
        study, _, fidelity = optuna_name.rpartition(".")
        if not study or self._store.get_study(study) is None:
            return None
        with self._lock:  # who asks second gets what the first has made
            return self._pages_of(study).get(fidelity)

    def _pages_of(self, study: str) -> Mapping[str, Page]:
        kept, now = self._kept.get(study), time.monotonic()
        if kept is not None and now - kept.made < max(FRESH_SECONDS, kept.took / SHARE):
            return kept.pages
        state = (self._store.counts(study), self._store.last_activity(study))
        if kept is None or kept.state != state:
            pages = self._make(study)
            kept = _Kept(state, pages, time.monotonic(), time.monotonic() - now)
            self._kept[study] = kept
        return kept.pages

    def _make(self, name: str) -> dict[str, Page]:
        standing = standing_of(self._store, name)
        study = standing.study
        ids = self._optuna_ids(standing)
        shown = {trial.architecture_id for fidelity in standing.fidelities for trial in fidelity.trials}
        record = self._store.get_study(name)
        classes = 0 if record is None else int(record.meaning.get("data.classes", 0))
        costs = self._store.costs(shown, study.fidelities[-1].resolution, classes)
        of_trials = TrialNotes(standing, self._networks, costs, ids)
        trust = trust_of(study, self._store)
        findings = findings_of(self._store, standing)
        trained = {network.architecture_id for at in findings.networks for network in at.networks}
        self._networks.read({*shown, *standing.networks.of, *trained})
        story = story_of(self._store, standing, trust)
        of_study = StudyNotes(standing, story, trust, ids, findings.importance.why_not)
        return {
            fidelity.name: Page(
                heading=of_study.heading(fidelity),
                note=of_study.of(fidelity),
                objectives=tuple(fidelity.objectives),
                graphs=tuple(graphs_of(findings, fidelity.name, self._named)),
                trials={t.number: TrialPage(t, of_trials) for t in fidelity.trials},
            )
            for fidelity in standing.fidelities
        }

    def _optuna_ids(self, standing: Standing) -> dict[str, int]:
        """Return by fidelity the id of its study in Optuna's tables, of those that have begun."""
        ids = {}
        for fidelity in standing.fidelities:
            with suppress(KeyError):
                ids[fidelity.name] = self._store.optuna.get_study_id_from_name(f"{standing.study.name}.{fidelity.name}")
        return ids

    def _named(self, id: str) -> str:
        """Return what says of a network what it is, under the pointer."""
        return "<br>".join(textwrap.wrap(self._networks.sentence(id, backbone=False), 60))
