"""Drawings of networks as artifacts of Optuna: none is a file, each is drawn from the database when it is asked for."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import BinaryIO

from optuna.artifacts.exceptions import ArtifactNotFound

from dcasearch.drawing import draw
from dcasearch.store import Store


def address_of(architecture_id: str) -> str:
    """Return where the dashboard serves a network's drawing, also where no trial has it as an artifact."""
    return f"/drawings/{architecture_id}.svg"


KEPT = 256
"""Drawings in memory, of some 10 kB each."""


class Drawings:
    """An artifact store, as `optuna.artifacts` wants one; an artifact's id is that of its network.

    A file a network would be 10,000 files after 10,000 trials, and would be lost where the artifacts are not copied
    with the database. A drawing takes a few milliseconds.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._drawn = lru_cache(maxsize=KEPT)(self._draw)

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Return a network's drawing, an SVG.

        Raises:
            ArtifactNotFound: the database has no network of this id.
        """
        return io.BytesIO(self._drawn(artifact_id))

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Refuse: this store holds drawings alone."""
        raise NotImplementedError("drawings follow from the database; nothing can be stored among them")

    def remove(self, artifact_id: str) -> None:
        """Refuse, as `write`."""
        raise NotImplementedError("drawings follow from the database; none can be removed")

    def _draw(self, id: str) -> bytes:
        found = self._store.architectures([id])
        if id not in found:
            raise ArtifactNotFound(f"{self._store.url} has no network {id}")
        return draw(found[id].network).encode()
