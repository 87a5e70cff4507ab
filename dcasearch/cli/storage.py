"""Which database a command reads.

With a study's YAML: `--storage`, else the study's, else DCASEARCH_STORAGE, else ./dcasearch.db. With a study's
name: `--storage`, else DCASEARCH_STORAGE, else the database it was last run in, else ./dcasearch.db. A run writes
that link (name, database) to a small file in the user's state folder.

A relative path of a SQLite file or of `artifacts` follows the folder of the study's first run, so that the same YAML
goes on with the same study from every folder. That folder is remembered by the resolved path of the YAML: a copy of
the YAML elsewhere is another study.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console

from dcasearch.errors import UserError
from dcasearch.files import private_folder, state_folder, write_whole
from dcasearch.masking import holds_secret
from dcasearch.space import LoadedStudy, load_study
from dcasearch.store import Store, anchored, default_url, exists, redact, storage_of, unmasked, without_password

logger = logging.getLogger(__name__)
_PACKAGE = Path(__file__).parents[1]


def locate(study: str, option: str | None) -> tuple[str, str]:
    """Return a study's name and the URL of its database, from its name or its YAML."""
    name, url, _ = _located(study, option)
    return name, url


def open_located(study: str, option: str | None) -> tuple[str, Store]:
    """Open the database of a study, and return the study's name with it."""
    name, url, told = _located(study, option)
    with told:
        return name, Store.open(url)


def open_study(study: str, option: str | None, console: Console) -> tuple[str, Store]:
    """Open the database of a study, say which one it is, and return the study's name with it."""
    name, store = open_located(study, option)
    console.print(f"study {name}, database {store.url}")
    return name, store


def telling(loaded: LoadedStudy, option: str | None) -> AbstractContextManager[None]:
    """Let errors about a study's database say where its YAML names it, unless an option names another."""
    return loaded.telling_place(("storage",)) if option is None else nullcontext()


def _located(study: str, option: str | None) -> tuple[str, str, AbstractContextManager[None]]:
    """Return a study's name, its database's URL, and what lets errors about that URL say where it stands."""
    if not study.endswith((".yaml", ".yml")):
        return study, named_storage(study, option), nullcontext()
    loaded = load_study(Path(study))
    with telling(loaded, option):
        loaded = placed(loaded)
        return loaded.study.name, unmasked(option or storage_of(loaded.study)), telling(loaded, option)


def named_storage(study: str, option: str | None) -> str:
    """Return the URL of the database that holds a study of this name, as far as is known."""
    if option or os.environ.get("DCASEARCH_STORAGE"):
        return unmasked(option or default_url())
    linked = _links().get(study)
    return default_url() if linked is None else unmasked(linked)


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
    if option is None and not holds_secret(url):
        database = url
    entry = {"folder": folder, "database": database}
    if entry != known:
        _write("runs.json", {**runs, key: entry})


def remember(study: str, url: str) -> None:
    """Link a study's name to its database: the whole URL, but for its password."""
    _write("studies.json", {**_links(), study: without_password(url) if holds_secret(url) else url})


def relink(old: str, new: str | None, url: str) -> None:
    """Let the link of a study's name to this database follow its new name; with None, forget the link."""
    links = _links()
    linked = links.get(old)
    if linked is None or _bare(linked) != _bare(url):
        return
    del links[old]
    _write("studies.json", links if new is None else {**links, new: linked})


def _bare(url: str) -> str:
    return anchored(without_password(url), Path.cwd())


def _key(loaded: LoadedStudy) -> str:
    return str(loaded.path.resolve())


def _links() -> dict[str, str]:
    return {name: url for name, url in _read("studies.json").items() if isinstance(url, str)}


def _runs() -> dict[str, dict[str, Any]]:
    return {key: run for key, run in _read("runs.json").items() if _is_run(run)}


def _is_run(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("folder"), str)
        and isinstance(entry.get("database", ""), str | None)
    )


def _read(name: str) -> dict[str, Any]:
    """Return what is remembered; nothing, with a warning, where the file is damaged or another user's."""
    state = state_folder()
    if state is None:
        return {}
    file = state / "dcasearch" / name
    try:
        if file.stat().st_uid not in (os.getuid(), 0):
            raise PermissionError(errno.EPERM, "belongs to another user")
        found = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        _warn(f"{file} is left out: {error.strerror if isinstance(error, OSError) else 'it is no JSON'}")
        return {}
    if not isinstance(found, dict):
        _warn(f"{file} is left out: it holds no mapping")
        return {}
    return found


def _write(name: str, content: dict[str, Any]) -> None:
    """Remember something; where that cannot be done a study is still found by its YAML and its storage."""
    state = state_folder()
    try:
        if state is None:
            raise FileNotFoundError(errno.ENOENT, "there is no home folder", "~")
        write_whole(private_folder(state / "dcasearch") / name, json.dumps(content, indent=1).encode())
    except OSError as error:
        _warn(
            f"where this study was run is not remembered ({error.filename}: {error.strerror}): set XDG_STATE_HOME to a "
            "folder that can be written, or name the database with --storage"
        )


@cache
def _warn(message: str) -> None:
    """Say something once in a process."""
    logger.warning("%s", message)
