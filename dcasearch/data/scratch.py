"""What a node keeps for itself: decoded images, staged data. One for all processes of the node, not one per trial."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dcasearch.artifacts import Place
from dcasearch.config.data_set import Data
from dcasearch.files import locked


def scratch_of(data: Data, artifacts: Place) -> Path:
    """Return the folder for what a node keeps: `data.scratch`, else the artifact store's, else a temporary one."""
    if data.scratch is not None:
        return Path(data.scratch).expanduser()
    if isinstance(artifacts, Path):
        return artifacts
    return Path(tempfile.gettempdir()) / f"dcasearch-{os.getuid()}"


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """Let one process of the node at a time work on a file or folder; the others wait.

    A process that dies gives its turn back.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.with_name(f".{target.name}.lock"), wait=True):
        yield
