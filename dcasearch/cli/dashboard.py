"""`dcasearch dashboard`: a database in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from dcasearch.cli.arguments import Storage
from dcasearch.cli.console import make_console


def dashboard(
    study: Annotated[
        str | None,
        typer.Argument(help="The study's name, or its YAML; else all studies of the database.", show_default=False),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 is any free one.")] = 8080,
    storage: Storage = None,
) -> None:
    """Show studies in the browser, also while they run: trials with drawings and notes, and what was found."""
    from dcasearch.analysis.standing import standing_of
    from dcasearch.cli.storage import open_located
    from dcasearch.dashboard import serve
    from dcasearch.store import Store, default_url

    name, store = (None, Store.open(storage or default_url())) if study is None else open_located(study, storage)
    # Where there is no such study nothing is served; and a damaged row is met here, not in a page.
    if name is not None:
        standing_of(store, name)
    for stored in store.studies():
        store.trials(stored.name)
    console = make_console()
    console.print(f"{'all studies' if name is None else f'study {name}'}, database {store.url}")
    serve(store, name, port, lambda address: console.print(f"{address} until Ctrl-C", soft_wrap=True))
