"""Which database a command reads: `--storage`, else the study's, else DCASEARCH_STORAGE, else ./dcasearch.db.

A study that is named rather than given as YAML is looked up in a small file of (name, storage) links, which a
run writes; a URL with a password is not remembered.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from dcasearch.store import default_url, redact


def _links_file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "dcasearch" / "studies.json"


def _links() -> dict[str, str]:
    try:
        links: dict[str, str] = json.loads(_links_file().read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return links


def remember(study: str, url: str) -> None:
    """Link a study's name to its database, unless the URL holds a password."""
    if redact(url) != url:
        return
    prefix = "sqlite:///"
    if url.startswith(prefix):  # relative to where the command was given
        url = prefix + str(Path(url.removeprefix(prefix)).absolute())
    file = _links_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps({**_links(), study: url}, indent=1))
    temporary.replace(file)


def storage_of(study: str, option: str | None) -> str:
    """Return the URL of the database that holds a study of this name, as far as is known."""
    return option or os.environ.get("DCASEARCH_STORAGE") or _links().get(study) or default_url()
