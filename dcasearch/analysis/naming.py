"""Networks of a study in words, by the ids that its views name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dcasearch.architecture.words import aspects_of, sentence_of
from dcasearch.store import Store


@dataclass(frozen=True)
class Sentences:
    """Some networks in words."""

    backbone: str = ""
    """Of all of them; empty where they differ, or where there is none."""
    of: Mapping[str, str] = field(default_factory=dict)
    """By id: a sentence, without the backbone where all have one."""

    @property
    def title(self) -> str:
        """What stands above a list of them."""
        return f"Networks, each on {self.backbone}" if self.backbone else "Networks"


def sentences_of(store: Store, ids: Iterable[str]) -> Sentences:
    """Return networks of a database in words, in the order of the ids, each once."""
    networks = {id: store.get_architecture(id).network for id in dict.fromkeys(ids)}
    backbones = {aspects_of(network)["backbone"] for network in networks.values()}
    one = len(backbones) == 1
    sentences = {id: sentence_of(network, backbone=not one) for id, network in networks.items()}
    return Sentences(backbones.pop() if one else "", sentences)
