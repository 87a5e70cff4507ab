"""A network for a person who knows CNNs and not this package's words: sentences where `sentence_of` gives a formula."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dcasearch.architecture import Network
from dcasearch.architecture.words import aspects_of, difference_of

_SENDERS: Mapping[str, str] = {
    "chain": "the one before it",
    "dense": "all earlier ones of its stage, the first one that of the block before it",
    "tree": "those 1, 2, 4, … before it in its stage, the first one that of the block before it",
    "custom": "chosen earlier ones",
}
"""From whom a block receives, by topology."""
_JOINED: Mapping[str, str] = {
    "direct": "added to its own",
    "weighted": "averaged with its own, the larger one weighing more",
    "softmax": "averaged with its own by softmax weights",
    "learned": "joined with its own by a learned layer",
    "concat": "concatenated with its own and projected back",
}
"""What a block does with what it receives, by connection function."""


def plainly(network: Network) -> str:
    """Return a network in a few sentences: the attention, the connections of each dimension, how attention starts."""
    said = aspects_of(network)
    after = "" if "attention after stages" not in said else f", and {said['attention after stages']}"
    connections = list(_connections(network, said))
    if not connections and (said["attention"] != "no attention" or after):
        connections = ["Its attention blocks are not connected."]
    if network.attention_init == "identity":
        connections.append("Its attention starts as the identity, with nothing changed by it.")
    return " ".join([f"{said['backbone']} with {said['attention']}{after}.", *connections])


def difference_plainly(network: Network, other: Network, name: str) -> str:
    """Return in sentences how a network differs from another one that is called `name`."""
    if not network.edges or other.edges:
        said = difference_of(network, other)
        what = "Both are connected, in different ways" if network.edges and other.edges else "Other attention"
        return f"{what}: {said}." if said else f"It is {name} itself."
    ours, theirs = aspects_of(network), aspects_of(other)["attention"]
    same = "The attention is the same."
    if ours["attention"] != theirs:
        same = f"Its attention is {ours['attention']}, not {theirs}, so a lead is not the connections' alone."
    elif network.attention_init != other.attention_init:
        same = "Its attention starts in another way, so a lead is not the connections' alone."
    places = {dimension: ours[dimension].partition(" into ")[2] for dimension in network.dimensions}
    where = " and ".join(f"{dimension} attention into {place}" for dimension, place in places.items())
    return f"It connects {where}. {same}"


def _connections(network: Network, said: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each way of connecting, and a short one for further dimensions of the same way elsewhere."""
    ways: dict[tuple[str, str], dict[str, list[str]]] = {}
    for dimension in network.dimensions:
        topology, _, receivers = said[dimension].partition(" into ")
        ways.setdefault((topology, said[f"{dimension} function"]), {}).setdefault(receivers, []).append(dimension)
    for (topology, function), by_receivers in ways.items():
        name, _, note = function.partition(" ")
        joined = _JOINED.get(name, f"joined by {name}") + (f" {note}" if note else "")
        (receivers, dimensions), *rest = by_receivers.items()
        yield (
            f"In {receivers}, each attention block also receives the {' and '.join(dimensions)} attention of "
            f"{_SENDERS[topology]} ({topology}), {joined}."
        )
        for receivers, dimensions in rest:
            yield f"In {receivers}, likewise the {' and '.join(dimensions)} attention."
