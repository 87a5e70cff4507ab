from __future__ import annotations

import pytest

from dcasearch.architecture.words import difference_of, sentence_of
from dcasearch.dashboard.networks import Networks
from dcasearch.store import Store


def test_networks_are_read_once_and_said_in_words(ended: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ended.architecture_ids()[:2]
    one, other = (ended.get_architecture(id).network for id in (first, second))
    networks = Networks(ended)
    networks.read([first, second])
    monkeypatch.setattr(Store, "architectures", lambda self, ids: pytest.fail("read again") if ids else {})
    networks.read([first, second])
    for _ in range(2):
        assert networks.sentence(first) == sentence_of(one)
        assert networks.sentence(first, backbone=False) == sentence_of(one, backbone=False)
        assert networks.difference(first, second) == difference_of(one, other)
    with pytest.raises(KeyError):
        networks.sentence("0123456789abcdef")
