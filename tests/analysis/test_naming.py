from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dcasearch.analysis.naming import sentences_of
from dcasearch.architecture import Architecture
from dcasearch.store import Store

SE: dict[str, Any] = {"backbone": {"name": "resnet18"}, "attention": {"name": "se"}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/study.db", create=True) as opened:
        yield opened


def put(store: Store, *written: dict[str, Any]) -> list[str]:
    architectures = [Architecture.parse(one) for one in written]
    for architecture in architectures:
        store.put_architecture(architecture)
    return [architecture.id for architecture in architectures]


def test_the_backbone_that_all_networks_have_is_said_once(store: Store) -> None:
    vanilla, chain = put(store, SE, {**SE, "connections": {}})
    found = sentences_of(store, [chain, vanilla, chain])
    assert found.title == "Networks, each on resnet18"
    assert found.of == {
        chain: "SE r=16 in all stages; channel chain into all stages, direct, fc",
        vanilla: "SE r=16 in all stages; not connected",
    }
    assert list(found.of) == [chain, vanilla]


def test_of_several_backbones_each_sentence_says_its_own(store: Store) -> None:
    small, large = put(store, SE, {**SE, "backbone": {"name": "resnet34"}})
    found = sentences_of(store, [small, large])
    assert (found.title, found.backbone) == ("Networks", "")
    assert found.of[large] == "resnet34: SE r=16 in all stages; not connected"


def test_of_no_network_nothing_is_said(store: Store) -> None:
    assert sentences_of(store, []).of == {}
