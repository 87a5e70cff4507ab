"""optuna-dashboard on a study's database, with a note on each fidelity: the leader against its baselines."""

from __future__ import annotations

import optuna

from dcasearch.analysis.standing import Compared, FidelityStanding, standing_of
from dcasearch.errors import UserError
from dcasearch.store import Store


def serve(store: Store, name: str, host: str, port: int) -> None:
    """Write the notes and serve the dashboard until it is interrupted; safe while a study runs.

    Raises:
        UserError: optuna-dashboard is not installed, or there is no such study.
    """
    try:
        from optuna_dashboard import run_server, save_note
    except ImportError:
        raise UserError("the dashboard is an extra: pip install 'dcasearch[dashboard]'") from None
    for fidelity in standing_of(store, name).fidelities:
        if fidelity.trials:
            study = optuna.load_study(study_name=f"{name}.{fidelity.name}", storage=store.optuna)
            save_note(study, note(fidelity))
    run_server(store.optuna, host=host, port=port)


def note(fidelity: FidelityStanding) -> str:
    """Return a fidelity's leader and baselines as Markdown."""
    rows = [*([fidelity.leader] if fidelity.leader else []), *fidelity.baselines]
    lines = ["| | top-1 % | seeds | leader − | architecture |", "|---|---|---|---|---|"]
    lines += [_row(row, fidelity.leader) for row in rows if row.top1]
    counts = ", ".join(f"{n} {state}" for state, n in sorted(fidelity.counts.items()))
    return f"**{fidelity.name}**: {counts}\n\n" + "\n".join(lines)


def _row(row: Compared, leader: Compared | None) -> str:
    difference = "" if leader is None or row is leader else f"{leader.mean - row.mean:+.2f}"
    return (
        f"| {row.name} | {row.mean:.2f} | {', '.join(map(str, row.seeds))} | {difference} | `{row.architecture_id}` |"
    )
