"""What a node keeps for itself: decoded images, staged data. One for all processes of the node, not one per trial."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dcasearch.artifacts import Place
from dcasearch.config.data_set import Data
from dcasearch.errors import MachineError
from dcasearch.files import expanded, locked, private_folder


def scratch_of(data: Data, artifacts: Place) -> Path:
    """Return the folder for what a node keeps: `data.scratch`, else the artifact store's, else a temporary one.

    Raises:
        MachineError: the temporary one is another user's, or cannot be made.
    """
    if data.scratch is not None:
        return expanded(data.scratch)
    if isinstance(artifacts, Path):
        return artifacts
    return _own_folder()


def _own_folder() -> Path:
    """Return this user's folder among the temporary ones; its name is known to all, so it is looked at first.

    Raises:
        MachineError: another user made it, or it cannot be made.
    """
    try:
        return private_folder(Path(tempfile.gettempdir()) / f"dcasearch-{os.getuid()}")
    except OSError as error:
        raise MachineError(
            f"decoded images need a folder of this user's own: {error.filename or tempfile.gettempdir()} "
            f"{error.strerror}. Name another one as `data.scratch`, or set TMPDIR"
        ) from None


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """Let one process of the node at a time work on a file or folder; the others wait.

    A process that dies gives its turn back.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.with_name(f".{target.name}.lock"), wait=True):
        yield
