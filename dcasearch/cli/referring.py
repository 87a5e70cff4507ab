"""From what a user writes for a network, a short form or a file, to the network or to its spec."""

from __future__ import annotations

import atexit
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

import yaml

from dcasearch.analysis.references import FORMS, Referred, is_reference, resolve
from dcasearch.cli.storage import named_storage
from dcasearch.config import load_architecture
from dcasearch.errors import UserError, WeightsGone
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


def spec_file(network: Path, storage: str | None, *, weights: bool = True) -> Path:
    """Return the file of a spec; a short form's is exported with its weights into a folder that goes with the process.

    Args:
        network: a file, or a short form such as `STUDY/FIDELITY/NUMBER`.
        storage: the database of short forms, where the user names it.
        weights: whether the command needs them; without them the architecture alone is written.

    Raises:
        UserError: the short form names no network, or several, or its weights are gone.
    """
    name = str(network)
    if network.is_file() or not is_reference(name):
        return network
    from dcasearch.export import export_referred

    store = opened([name], storage)
    found = referred(store, name)
    if store is None:
        raise UserError(f"'{name}' is no file")
    file = _temporary() / f"{re.sub('[^A-Za-z0-9._-]+', '_', name)}.yaml"
    try:
        export_referred(store, found, file)
    except WeightsGone:
        if weights:
            raise
        file.write_text(yaml.safe_dump(found.architecture.written_out()), encoding="utf-8")
    return file


def _temporary() -> Path:
    """Return a new folder that goes with the process."""
    folder = Path(mkdtemp(prefix="dcasearch-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def spec_or_study(network: Path, storage: str | None) -> Path:
    """Return the file of a spec as `spec_file` does; a study's name stands for the network that it has chosen."""
    name = str(network)
    if network.is_file() or is_reference(name) or "/" in name or network.suffix in (".yaml", ".yml"):
        return spec_file(network, storage)
    from dcasearch.export import export_winner

    file = _temporary() / f"{name}.yaml"
    export_winner(Store.open(named_storage(name, storage)), name, file)
    return file
