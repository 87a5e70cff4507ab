"""A study's results in Python and in notebooks: its story, where it stands, its trials."""

from __future__ import annotations

from functools import cached_property
from html import escape
from pathlib import Path
from typing import Self

from dcasearch.analysis.standing import Standing, load_study_of, standing_of
from dcasearch.analysis.story import Story, story_of
from dcasearch.analysis.trials import TrialTable, trials_of
from dcasearch.drawing.notebook import network_html
from dcasearch.errors import UserError
from dcasearch.space import load_study
from dcasearch.store import Store, default_url, storage_of


class Results:
    """What a study's database holds, as it is when it is first asked for; in a notebook it shows itself."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self.name = store, name
        load_study_of(store, name)

    def close(self) -> None:
        """Let go of the database."""
        self._store.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Let go of the database."""
        self.close()

    @cached_property
    def standing(self) -> Standing:
        """What became of the trials and baselines, and who leads by how much."""
        return standing_of(self._store, self.name)

    @cached_property
    def story(self) -> Story:
        """The six answers: found, differs, better, sure, cost, next."""
        return story_of(self._store, self.standing)

    def trials(self, fidelity: str | None = None) -> TrialTable:
        """Return the trials of the study, or of one of its fidelities, as a table with every column.

        Raises:
            UserError: the study has no such fidelity.
        """
        return trials_of(self._store, self.name, fidelity)

    def _repr_html_(self) -> str:
        chosen, drawing = self.story.chosen, ""
        if chosen is not None:
            network = self._store.get_architecture(chosen.architecture_id).network
            drawing = network_html(network, resolution=self.standing.study.fidelities[-1].resolution)
        answers = (
            f"<dt><b>{escape(question)}</b></dt><dd>{escape(answer)}</dd>" for question, answer in self.story.lines
        )
        return f"<div><b>study {escape(self.name)}</b>{drawing}<dl>{''.join(answers)}</dl></div>"


def load_results(study: str | Path, storage: str | None = None) -> Results:
    """Open the results of a study, also while it runs; nothing is written.

    Args:
        study: Its name, or its YAML.
        storage: URL of its database; else the YAML's, else DCASEARCH_STORAGE, else `dcasearch.db` in this folder.

    Raises:
        UserError: the database holds no such study.
        StorageError: there is no such database, or an older version wrote it.
    """
    name = str(study)
    if name.endswith((".yaml", ".yml")):
        loaded = load_study(Path(name)).study
        name, storage = loaded.name, storage or storage_of(loaded)
    store = Store.open(storage or default_url())
    try:
        return Results(store, name)
    except UserError:
        store.close()
        raise
