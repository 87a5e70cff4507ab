"""Optuna's own storage in the same database, with the same pragmas as ours."""

from __future__ import annotations

from optuna.storages import RDBStorage

from dcasearch.errors import StorageError
from dcasearch.store.engine import set_pragmas, translated
from dcasearch.store.urls import parse, redact


def open_optuna(url: str) -> RDBStorage:
    """Return Optuna's storage, creating its tables where there are none; reading wants `get_storage` around it.

    Raises:
        StorageError: Optuna's tables are of another version than the installed Optuna.
    """
    with translated(url):
        try:
            return _open(url)
        except RuntimeError as error:
            advice = f"Run `dcasearch db upgrade --storage {redact(url)}`, or upgrade Optuna if it is older."
            raise StorageError(f"{redact(url)}: {error} {advice}") from error


def upgrade(url: str) -> None:
    """Bring Optuna's tables to the installed Optuna's version."""
    with translated(url):
        storage = _open(url, skip_compatibility_check=True)
        storage.upgrade()
        storage.engine.dispose()


def _open(url: str, *, skip_compatibility_check: bool = False) -> RDBStorage:
    text = parse(url).render_as_string(hide_password=False)
    escaped = text.replace("{", "{{").replace("}", "}}")  # Optuna fills templates in its URLs
    storage = RDBStorage(escaped, skip_compatibility_check=skip_compatibility_check)
    set_pragmas(storage.engine)
    storage.engine.dispose()  # the connections of the creation have none of the pragmas
    return storage
