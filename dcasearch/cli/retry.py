"""`dcasearch retry`: failed trials are taken up again."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from dcasearch.cli.arguments import Storage, StudyName
from dcasearch.cli.console import make_console
from dcasearch.errors import FailureKind, UserError, nearest


def retry(
    study: StudyName,
    failed: Annotated[
        str | None,
        typer.Option(help="Only what failed so: oom, nan, lost, timeout, bug or cancelled; else all but cancelled."),
    ] = None,
    storage: Storage = None,
) -> None:
    """Take up failed trials, baselines and final trainings of a study again; `run` then trains them."""
    kinds: tuple[FailureKind, ...] = get_args(FailureKind)
    chosen = [kind for kind in kinds if kind == failed or (failed is None and kind != "cancelled")]
    if not chosen:
        raise UserError(f"--failed: '{failed}' is not a kind of failure; {nearest(failed, kinds)}")
    import optuna

    from dcasearch.analysis.standing import load_study_of
    from dcasearch.cli.storage import open_located
    from dcasearch.search.retrying import take_up_again

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name, store = open_located(study, storage)
    console = make_console()
    with store, store.lease(name, noted=False):
        console.print(f"study {name}, database {store.url}")
        found = take_up_again(load_study_of(store, name), store, chosen)
    for fidelity, counts in found.items():
        console.print(f"{fidelity}: {', '.join(f'{count} {kind}' for kind, count in counts.items())} taken up again")
    if not found:
        console.print(f"nothing has failed{f' as {failed}' if failed else ''} that was not taken up again already")
    else:
        console.print(f"`dcasearch run {study if study.endswith(('.yaml', '.yml')) else 'STUDY.yaml'}` trains it")
