"""The copy of a study that is run and killed: its meaning is the study's, its places are a scratch folder's."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import inspect

from dcasearch.config.study import Resources, Study
from dcasearch.errors import UserError
from dcasearch.store import redact
from dcasearch.store.engine import is_sqlite, make_engine
from dcasearch.store.outage import translated
from dcasearch.store.urls import parse

RETRIES = 1000
"""Of a copy: each kill of a worker costs its trial one, and no trial may fail of that."""


@dataclass(frozen=True)
class Copy:
    """One copy in a folder of its own."""

    file: Path
    storage: str
    """Given to the command by its environment, so that no password stands in a file or a command line."""
    artifacts: Path
    log: Path
    """What the commands print for people."""

    @property
    def environment(self) -> dict[str, str]:
        """What the command's own environment has in place of the user's: nothing of the user's is touched."""
        return {
            "DCASEARCH_STORAGE": self.storage,
            "XDG_STATE_HOME": str(self.file.parent / "state"),
            "CUDA_VISIBLE_DEVICES": "",  # values are compared to the last bit, which GPUs do not promise
            "TMPDIR": str(self.file.parent / "tmp"),  # what killed processes cannot clear away goes with the copy
            "RAY_TMPDIR": os.environ.get("RAY_TMPDIR", tempfile.gettempdir()),  # its sockets want short paths
        }


def refuse_used(url: str) -> None:
    """Raise UserError where a database holds anything at all, StorageError where it cannot be reached."""
    engine = make_engine(parse(url))
    used = is_sqlite(engine) and Path(engine.url.database or "").exists()
    try:
        if not used:
            with translated(url):
                used = not is_sqlite(engine) and bool(inspect(engine).get_table_names())
    finally:
        engine.dispose()
    if used:
        raise UserError(f"{redact(url)} is not empty; chaos needs a database of its own, e.g. a new one")


def make_copy(study: Study, folder: Path, executor: str, concurrent: int, storage: str | None = None) -> Copy:
    """Write a study's copy into a new folder.

    Args:
        study: what is copied.
        folder: of the copy, of its artifacts and, where `storage` is None, of its database.
        executor: where its trials run; `ray` is a local Ray, never the study's cluster.
        concurrent: trials at a time.
        storage: the URL of an empty database.
    """
    folder.mkdir(parents=True)
    copy = Copy(
        file=folder / "study.yaml",
        storage=storage or f"sqlite:///{folder / 'study.db'}",
        artifacts=folder / "artifacts",
        log=folder / "run.log",
    )
    Path(copy.environment["TMPDIR"]).mkdir()
    written = study.model_dump(mode="json", exclude_unset=True)
    written.pop("storage", None)
    written["data"]["reading"] = study.data.reading  # else the copy would read as the newest version does
    written["artifacts"] = str(copy.artifacts)
    written["executor"] = _executor(study, executor, concurrent)
    # Hours of one run mean little to one that is killed all the time.
    written["stop"] = {name: value for name, value in written.get("stop", {}).items() if name == "no_improvement"}
    copy.file.write_text(yaml.safe_dump(written, sort_keys=False), encoding="utf-8")
    return copy


def _executor(study: Study, executor: str, concurrent: int) -> dict[str, Any]:
    cpus = max(1, (os.cpu_count() or 1) // concurrent)
    settings: dict[str, Any] = {
        "name": executor,
        "max_concurrent": concurrent,
        "retries": RETRIES,
        # No GPUs and no ranks: all of it runs on this machine's CPUs, so that it can be compared.
        "resources": {
            fidelity.name: {"cpu": min(cpus, study.executor.resources.get(fidelity.name, Resources()).cpu)}
            for fidelity in study.fidelities
        },
    }
    if study.executor.epoch_seconds is not None:
        settings["epoch_seconds"] = study.executor.epoch_seconds
    return settings
