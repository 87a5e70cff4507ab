"""optuna-dashboard on a study's database, with a note on each fidelity: the leader against its baselines."""

from __future__ import annotations

import logging
import statistics
import threading

import optuna

from dcasearch.analysis.naming import Sentences
from dcasearch.analysis.races import verdict
from dcasearch.analysis.standing import Compared, FidelityStanding, explained, standing_of
from dcasearch.analysis.words import LEADS, counts, in_numbers
from dcasearch.errors import StorageError, UserError
from dcasearch.store import Store

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 15.0
"""How old a note may be while a study runs."""


def serve(store: Store, name: str, host: str, port: int) -> None:
    """Serve the dashboard until it is interrupted, keeping its notes up to date; safe while a study runs.

    Raises:
        UserError: optuna-dashboard is not installed, or there is no such study.
    """
    try:
        from optuna_dashboard import run_server
    except ImportError:
        raise UserError("the dashboard is an extra: pip install 'dcasearch[dashboard]'") from None
    write_notes(store, name)
    ended = threading.Event()
    thread = threading.Thread(target=_refresh, args=(store, name, ended), name="notes", daemon=True)
    thread.start()
    try:
        run_server(store.optuna, host=host, port=port)
    finally:
        ended.set()
        thread.join()


def _refresh(store: Store, name: str, ended: threading.Event) -> None:
    while not ended.wait(REFRESH_SECONDS):
        try:
            write_notes(store, name)
        except StorageError as error:
            logger.warning("The notes of study '%s' were not brought up to date: %s", name, error)


def write_notes(store: Store, name: str) -> None:
    """Write the note of each fidelity that has begun, where it is not written so already or is the user's own."""
    from optuna_dashboard import get_note, save_note

    standing = standing_of(store, name)
    for fidelity in standing.fidelities:
        if not fidelity.trials:
            continue
        study = optuna.load_study(study_name=f"{name}.{fidelity.name}", storage=store.optuna)
        written, text = get_note(study), note(fidelity, standing.networks)
        if written != text and (not written or written.startswith(_head(fidelity))):
            save_note(study, text)


def note(fidelity: FidelityStanding, networks: Sentences | None = None) -> str:
    """Return a fidelity's leader and baselines as Markdown, with what each network is in words."""
    rows = [*([fidelity.leader] if fidelity.leader else []), *fidelity.baselines]
    value = fidelity.score or (rows[0].headline.heading if rows else "")
    lines = [_cells("", value, "seeds", *LEADS, "architecture"), "|---|--:|--:|--:|---|---|"]
    lines += [_row(row, fidelity.leader) for row in rows if row.seeds]
    lines += [f"\n{line}" for line in explained(rows)]
    counts = ", ".join(f"{n} {state}" for state, n in sorted(fidelity.counts.items()))
    known = {} if networks is None else networks.of
    said = {row.architecture_id: row.shown for row in reversed(rows) if row.architecture_id in known}
    title = "" if networks is None else f"\n\n{networks.title}:\n"
    words = title + "".join(f"\n- {name}: {known[id]}" for id, name in reversed(said.items())) if said else ""
    raced = f"\n\n{verdict(fidelity.race)}" if fidelity.race is not None and fidelity.race.candidates else ""
    return f"{_head(fidelity)}: {counts}\n\n" + "\n".join(lines) + words + raced


def _head(fidelity: FidelityStanding) -> str:
    """Return what our notes begin with; one that does not was written by the user."""
    return f"**{fidelity.name}**"


def _row(row: Compared, leader: Compared | None) -> str:
    digits = row.headline.digits
    difference = in_numbers(row.behind)
    if row.scored and leader is not None and row is not leader:
        difference = f"{leader.ahead_of(row):+{digits}}"
    seeds = ", ".join(map(str, row.seeds))
    spread = f" ± {statistics.stdev(row.compared):{digits}}" if row.trained and len(row.seeds) > 1 else ""
    counted = counts(row.behind)
    return _cells(row.shown, f"{row.mean:{digits}}{spread}", seeds, difference, counted, f"`{row.architecture_id}`")


def _cells(*cells: str) -> str:
    """Return a row; the dashboard leaves no room between columns."""
    return f"| {' | &emsp;'.join(cells)} |"
