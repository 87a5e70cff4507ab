"""Which database a command reads.

With a study's YAML: `--storage`, else the study's, else DCASEARCH_STORAGE, else ./dcasearch.db. With a study's
name: `--storage`, else DCASEARCH_STORAGE, else the database it was last run in, else ./dcasearch.db. A run writes
that link (name, database) to a small file in the user's state folder.

A relative path of a SQLite file or of `artifacts` follows the folder of the study's first run, so that the same YAML
goes on with the same study from every folder. That folder is remembered by the resolved path of the YAML: a copy of
the YAML elsewhere is another study.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from dcasearch.errors import UserError
from dcasearch.files import write_whole
from dcasearch.space import LoadedStudy, load_study
from dcasearch.store import Store, anchored, default_url, exists, redact, storage_of

_PACKAGE = Path(__file__).parents[1]


def locate(study: str, option: str | None) -> tuple[str, str]:
    """Return a study's name and the URL of its database, from its name or its YAML."""
    if study.endswith((".yaml", ".yml")):
        loaded = placed(load_study(Path(study))).study
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


def placed(loaded: LoadedStudy, *, anew: bool = False) -> LoadedStudy:
    """Return a study whose relative storage and artifacts are those of its first run's folder, as absolute paths.

    Args:
        loaded: The study; where its YAML was not run before, it is as if this folder were its first run's.
        anew: Forget the folder of its first run.
    """
    folder = Path.cwd()
    if not anew and (known := _runs().get(_key(loaded))) is not None:
        folder = Path(known["folder"])
    storage, artifacts = storage_of(loaded.study), loaded.study.artifacts
    if "://" not in artifacts:
        artifacts = str((folder / artifacts).absolute())
    update = {"artifacts": artifacts}
    if (absolute := anchored(storage, folder)) != storage:  # a URL with a password stays where it was
        update["storage"] = absolute
    return replace(loaded, study=loaded.study.model_copy(update=update))


def refuse_lost(loaded: LoadedStudy) -> None:
    """Look whether a placed study's database is still there, where it was run before.

    Raises:
        UserError: the database is gone, or the study would be written into the package.
    """
    known = _runs().get(_key(loaded))
    if known is not None and known["database"] == storage_of(loaded.study) and not exists(known["database"]):
        raise UserError(
            f"{redact(known['database'])}, the database of {loaded.path}, is gone. Nothing was started. Put the file "
            f"back, name another database with --storage, or begin anew with `dcasearch run {loaded.path} --anew`."
        )
    if known is None and Path.cwd().is_relative_to(_PACKAGE):
        raise UserError("A study is not run in the package's own folder. `dcasearch init FOLDER` copies the studies.")


def remember_run(loaded: LoadedStudy, option: str | None, *, anew: bool = False) -> None:
    """Remember the folder of a YAML's first run, and its database unless that was given or holds a password."""
    key, runs = _key(loaded), _runs()
    known = runs.get(key)
    folder = str(Path.cwd()) if anew or known is None else known["folder"]
    database = None if known is None or anew else known["database"]
    url = storage_of(loaded.study)
    if option is None and redact(url) == url:
        database = url
    entry = {"folder": folder, "database": database}
    if entry != known:
        _write("runs.json", {**runs, key: entry})


def remember(study: str, url: str) -> None:
    """Link a study's name to its database (its whole URL), unless that holds a password."""
    if redact(url) != url:
        return
    _write("studies.json", {**_links(), study: url})


def _key(loaded: LoadedStudy) -> str:
    return str(loaded.path.resolve())


def _links() -> dict[str, str]:
    return _read("studies.json")


def _runs() -> dict[str, dict[str, Any]]:
    return _read("runs.json")


def _file(name: str) -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "dcasearch" / name


def _read(name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(_file(name).read_text())
    except FileNotFoundError:
        return {}
    return found


def _write(name: str, content: dict[str, Any]) -> None:
    write_whole(_file(name), json.dumps(content, indent=1).encode())
