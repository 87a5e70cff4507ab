"""Networks of a study in words, by the ids that its views name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dcasearch.architecture.words import aspects_of, difference_of, sentence_of
from dcasearch.store import Store

if TYPE_CHECKING:  # it takes `Sentences` from here
    from dcasearch.analysis.standing import FidelityStanding


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


def ledger_words(store: Store, fidelity: FidelityStanding) -> dict[str, str]:
    """Return by architecture id what the networks of a fidelity's trials are, in words for a table of many rows.

    The leader is a sentence, without the backbone where all have one; the others by what differs from it.
    Without a leader each has its sentence.
    """
    known = store.architectures(trial.architecture_id for trial in fidelity.trials)
    networks = {id: architecture.network for id, architecture in known.items()}
    one = len({network.backbone for network in networks.values()}) == 1
    leader = None if fidelity.leader is None else networks.get(fidelity.leader.architecture_id)
    words = {}
    for id, network in networks.items():
        differs = "" if leader is None else difference_of(network, leader, contrasted=False)
        words[id] = differs or sentence_of(network, backbone=not one)
    return words


def sentences_of(store: Store, ids: Iterable[str]) -> Sentences:
    """Return networks of a database in words, in the order of the ids, each once."""
    networks = {id: store.get_architecture(id).network for id in dict.fromkeys(ids)}
    backbones = {aspects_of(network)["backbone"] for network in networks.values()}
    one = len(backbones) == 1
    sentences = {id: sentence_of(network, backbone=not one) for id, network in networks.items()}
    return Sentences(backbones.pop() if one else "", sentences)
