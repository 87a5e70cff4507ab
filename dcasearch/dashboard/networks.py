"""The networks of a database and what is said of them: each is read, and put into words, once."""

from __future__ import annotations

from collections.abc import Iterable

from dcasearch.architecture import Network
from dcasearch.architecture.words import difference_of, sentence_of
from dcasearch.store import Store


class Networks:
    """Networks by id. A network never changes, so what was read and said is kept."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._networks: dict[str, Network] = {}
        self._sentences: dict[tuple[str, bool], str] = {}
        self._differences: dict[tuple[str, str], str] = {}

    def read(self, ids: Iterable[str]) -> None:
        """Read the networks of these ids that were not read before."""
        missing = set(ids) - self._networks.keys()
        self._networks |= {id: found.network for id, found in self._store.architectures(missing).items()}

    def sentence(self, id: str, *, backbone: bool = True) -> str:
        """Return a network in one sentence; KeyError where it was not read."""
        if (id, backbone) not in self._sentences:
            self._sentences[id, backbone] = sentence_of(self._networks[id], backbone=backbone)
        return self._sentences[id, backbone]

    def difference(self, id: str, other: str) -> str:
        """Return what a network has that another has not; KeyError where one was not read."""
        if (id, other) not in self._differences:
            self._differences[id, other] = difference_of(self._networks[id], self._networks[other])
        return self._differences[id, other]
