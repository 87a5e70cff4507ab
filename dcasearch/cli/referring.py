"""From what a user writes for a network, a short form or a file, to the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dcasearch.analysis.references import FORMS, Referred, is_reference, resolve
from dcasearch.cli.storage import named_storage
from dcasearch.config import load_architecture
from dcasearch.errors import UserError
from dcasearch.store import Store


def opened(networks: Sequence[str], storage: str | None) -> Store | None:
    """Open the database that short forms are of; None where every network is a file."""
    named = [name for name in networks if is_reference(name) and not Path(name).is_file()]
    if not named:
        return None
    studies = [name.partition("/")[0] for name in named if "/" in name]
    return Store.open(named_storage(studies[0] if studies else "", storage))


def referred(store: Store | None, name: str) -> Referred:
    """Return the network of a short form, or of a file.

    Raises:
        UserError: it names none, or several.
        ConfigError: the file has mistakes.
    """
    if Path(name).is_file():
        return Referred(name=name, architecture=load_architecture(name))
    if store is None or not is_reference(name):
        raise UserError(f"'{name}' is neither a file nor a network of a database; write {FORMS}")
    return resolve(store, name)
