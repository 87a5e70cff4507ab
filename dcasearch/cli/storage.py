"""Which database a command reads.

With a study's YAML: `--storage`, else the study's, else DCASEARCH_STORAGE, else ./dcasearch.db. With a study's
name: `--storage`, else DCASEARCH_STORAGE, else the database it was last run in, else ./dcasearch.db. A run writes
that link (name, database) to a small file in the user's state folder.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from rich.console import Console

from dcasearch.space import load_study
from dcasearch.store import Store, default_url, redact, storage_of


def locate(study: str, option: str | None) -> tuple[str, str]:
    """Return a study's name and the URL of its database, from its name or its YAML."""
    if study.endswith((".yaml", ".yml")):
        loaded = load_study(Path(study)).study
        return loaded.name, option or storage_of(loaded)
    return study, named_storage(study, option)


def open_study(study: str, option: str | None, console: Console) -> tuple[str, Store]:
    """Open the database of a study, say which one it is, and return the study's name with it."""
    name, url = locate(study, option)
    store = Store.open(url)
    console.print(f"study {name}, database {store.url}")
    return name, store


def named_storage(study: str, option: str | None) -> str:
    """Return the URL of the database that holds a study of this name, as far as is known."""
    if option or os.environ.get("DCASEARCH_STORAGE"):
        return option or default_url()
    return _links().get(study) or default_url()


def remember(study: str, url: str) -> None:
    """Link a study's name to its database (its whole URL), unless that holds a password."""
    if redact(url) != url:
        return
    file = _links_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps({**_links(), study: url}, indent=1))
    temporary.replace(file)


def _links_file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "dcasearch" / "studies.json"


def _links() -> dict[str, str]:
    try:
        links: dict[str, str] = json.loads(_links_file().read_text())
    except FileNotFoundError:
        return {}
    return links
