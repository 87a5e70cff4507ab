"""A network in words: what is really built, so that equal networks have equal sentences. No torch.

Blocks and stages are counted from 1 in network order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TypeVar

from dcasearch.architecture.kinds import KINDS, Dimension, Option, Value
from dcasearch.architecture.kinds.declaration import NO_ATTENTION, plain
from dcasearch.architecture.network import Edge, Matching, Network, Node
from dcasearch.architecture.specification import MessageSource
from dcasearch.architecture.topology import TOPOLOGIES

Item = TypeVar("Item")
Group = TypeVar("Group", bound=Hashable)

_RESIZES = {"nearest": "nearest", "conv": "convolution", "average": "average pool", "max": "max pool"}
_CONTROLS: Mapping[MessageSource, str] = {
    "own": "control: its own G",
    "shuffled": "control: message of another image",
    "constant": "control: constant message",
}
"""What stands beside the function where the message is not the sender's."""
_TRIED = 1024
"""Integers up to here are tried as what a user may have written, where the id holds what was built of it."""
_BACKBONE, _AFTER, _INIT = "backbone", "attention after stages", "init"
_START = "attention_init"


def sentence_of(network: Network, *, backbone: bool = True) -> str:
    """Return a network in one sentence, without a full stop.

    E.g. `resnet18: SE r=16 in all stages; channel chain into stages 2–4, direct, fc`.

    Args:
        network: resolved.
        backbone: whether the backbone is named; it need not be where all networks have one.
    """
    said = aspects_of(network)
    head, rest = said.pop(_BACKBONE), "; ".join(_joined(said))
    return f"{head}: {rest}" if backbone else rest


def difference_of(network: Network, other: Network, *, contrasted: bool = True) -> str:
    """Return what a network has that another has not, e.g. `channel function softmax, not direct`.

    Args:
        network: resolved.
        other: resolved.
        contrasted: whether what the other has in its place is said too; it need not be where one other stands beside
            many networks.

    Empty where both are equal.
    """
    return "; ".join(_changes(network, other, contrasted=contrasted))


def _changes(network: Network, other: Network, *, contrasted: bool) -> Iterator[str]:
    ours, theirs = aspects_of(network), aspects_of(other)
    yield from _changed(ours, theirs, [_BACKBONE, "attention"], named=False, contrasted=contrasted)
    yield from _changed(ours, theirs, [_AFTER, _INIT], named=False, contrasted=contrasted)
    if _START in ours.keys() ^ theirs.keys():
        yield ours.get(_START, "attention starts as usual")
    if other.edges and not network.edges:
        yield "not connected"
        return
    for dimension in sorted({*network.dimensions, *other.dimensions}):
        aspects = [dimension, f"{dimension} function", f"{dimension} matching"]
        if dimension not in ours:
            yield f"no {dimension} connections"
        elif dimension not in theirs:
            yield ", ".join([f"{dimension} {ours[dimension]}", *(ours[name] for name in aspects[1:] if name in ours)])
        else:
            yield from _changed(ours, theirs, aspects, named=True, contrasted=contrasted)


def _changed(
    ours: Mapping[str, str], theirs: Mapping[str, str], aspects: Iterable[str], *, named: bool, contrasted: bool
) -> Iterator[str]:
    for name in aspects:
        new, old = ours.get(name), theirs.get(name)
        if new == old:
            continue
        before = f"{name} " if named else ""
        if new is None:
            yield f"no {old}" if not named else f"no {name}"
        else:
            yield f"{before}{new}" + (f", not {old}" if contrasted and old is not None else "")


def aspects_of(network: Network) -> dict[str, str]:
    """Return a network's choices in words, by what is chosen, in the order of a sentence."""
    name, width, stem = network.backbone
    scaled = "" if width == 1.0 else f" × {width:g}"
    said = {_BACKBONE: f"{name}{scaled}{'' if stem == 'imagenet' else f', {stem} stem'}"}
    said["attention"] = _attention(network.blocks)
    after = [node for node in network.nodes if node.after_stage and node.kind != NO_ATTENTION]
    if after:
        said[_AFTER] = ", ".join(
            f"{_settings(group)} after {_numbered('stage', [node.layout.stage + 1 for node in group])}"
            for group in grouped(after, lambda node: node.kind).values()
        )
    for dimension in network.dimensions:
        edges = [edge for edge in network.edges if edge.dimension == dimension]
        said[dimension] = f"{_topology(network, dimension)} into {_receivers(network, dimension)}"
        said[f"{dimension} function"] = " or ".join(sorted({function_of(edge) for edge in edges}))
        if matched := _matched(edges):
            said[f"{dimension} matching"] = matched
    if network.init != "ours":
        said[_INIT] = f"drawn as by the {network.init}"
    if network.attention_init == "identity":
        said[_START] = "attention starts as the identity"
    return said


def _joined(said: Mapping[str, str]) -> Iterator[str]:
    """Yield the parts of a sentence: attention, then each dimension's connections, dimensions that agree as one."""
    attention = [said[name] for name in ("attention", _AFTER) if name in said]
    yield ", ".join(attention)
    dimensions = [name for name in said if f"{name} function" in said]
    groups = grouped(dimensions, lambda name: (said[name], said[f"{name} function"], said.get(f"{name} matching", "")))
    for (where, function, matching), names in groups.items():
        yield ", ".join(filter(None, [f"{' and '.join(names)} {where}", function, matching]))
    if not dimensions and any(text != "no attention" for text in attention):
        yield "not connected"
    yield from (said[name] for name in (_INIT, _START) if name in said)


# Attention


def label_of(kind: str) -> str:
    """Return the short name of an attention block, as papers write it."""
    return KINDS[kind].label or kind.upper()


def _attention(blocks: Sequence[Node]) -> str:
    """Return which attention stands in which blocks."""
    parts = []
    for kind, nodes in grouped(blocks, lambda node: node.kind).items():
        if kind == NO_ATTENTION:
            continue
        groups = [nodes] if _is_uniform(nodes) else list(grouped(nodes, lambda node: node.layout.stage).values())
        alike = grouped(groups, _settings)
        for settings, equal in alike.items():
            parts.append(f"{settings} in {_places(blocks, [node for group in equal for node in group])}")
    return ", ".join(parts) or "no attention"


def _is_uniform(nodes: Sequence[Node]) -> bool:
    """Return whether one value of each option explains what is built in all nodes, which are of one kind."""
    return all(written_of(option, nodes) is not _NOTHING for option in KINDS[nodes[0].kind].options)


def _settings(nodes: Sequence[Node]) -> str:
    """Return a kind with its options, e.g. `SE r=16`; an option without one value as what is built."""
    kind = KINDS[nodes[0].kind]
    words = [label_of(nodes[0].kind)]
    for option in kind.options:
        value = written_of(option, nodes)
        if value is _NOTHING:
            words.append(_built_range(option, nodes))
        elif option.symbol or value != option.default:
            words.append(f"{option.symbol or option.name}={option.unset if value is None else plain(value)}")
    forms = {node.form for node in nodes} - {None}
    return " ".join(words) + "".join(f" ({form} message)" for form in sorted(map(str, forms)))


class _Nothing(Enum):
    """Stands for no value, since None is one."""

    NOTHING = 0


_NOTHING = _Nothing.NOTHING


def written_of(option: Option, nodes: Sequence[Node]) -> Value | _Nothing:
    """Return one value of an option that explains what is built in some nodes, `_NOTHING` where there is none.

    Of several the default where it is one, else the smallest.
    """
    if option.built is None:
        values = {node.option(option.name) for node in nodes}
        return values.pop() if len(values) == 1 else _NOTHING
    return next((value for value in _candidates(option) if _explains(option, value, nodes)), _NOTHING)


def _candidates(option: Option) -> Iterator[Value]:
    yield option.default
    if option.choices:
        yield from option.choices
    elif option.type is int:
        yield from range(max(1, int(option.bounds[0]) if option.bounds[0] > 0 else 1), _TRIED + 1)


def _explains(option: Option, value: Value, nodes: Sequence[Node]) -> bool:
    if option.built is None:
        raise ValueError(f"{option.name} is built as it is written")
    pairs = ((option.built(node.layout, value), node) for node in nodes)
    return all(node.options.get(name, built) == built for (name, built), node in pairs)


def _built_range(option: Option, nodes: Sequence[Node]) -> str:
    """Return what is built of an option in nodes that no one value explains, e.g. `hidden 4 to 32`."""
    if option.built is None:
        values = {plain(node.option(option.name)) for node in nodes}
        return f"{option.symbol or option.name}={' or '.join(sorted(values))}"
    name = option.built(nodes[0].layout, option.default)[0]
    numbers = sorted({int(node.options[name] or 0) for node in nodes})
    return f"{name} {numbers[0]}" + ("" if len(numbers) == 1 else f" to {numbers[-1]}")


# Places


def _places(blocks: Sequence[Node], chosen: Sequence[Node]) -> str:
    """Return where some blocks stand: `all stages`, `stages 1–3`, or `blocks 2, 4–6`."""
    names = {node.name for node in chosen}
    by_stage = grouped(blocks, lambda node: node.layout.stage)
    whole = [stage + 1 for stage, nodes in by_stage.items() if all(node.name in names for node in nodes)]
    if sum(len(by_stage[stage - 1]) for stage in whole) == len(names):
        return "all stages" if len(whole) == len(by_stage) else _numbered("stage", whole)
    return _numbered("block", [n for n, node in enumerate(blocks, start=1) if node.name in names])


def _receivers(network: Network, dimension: Dimension) -> str:
    """Return who listens in a dimension; the first node that has it never can."""
    numbered = [n for n, node in enumerate(network.nodes) if dimension in node.ports]
    targets = {edge.target for edge in network.edges if edge.dimension == dimension}
    possible = grouped(numbered[1:], lambda n: network.nodes[n].layout.stage)
    whole = [stage + 1 for stage, nodes in possible.items() if targets >= set(nodes)]
    if sum(len(possible[stage - 1]) for stage in whole) == len(targets):
        return "all stages" if len(whole) == len(possible) else _numbered("stage", whole)
    places = {node.name: n for n, node in enumerate(network.blocks, start=1)}
    nodes = [network.nodes[n] for n in sorted(targets)]
    blocks = [places[node.name] for node in nodes if not node.after_stage]
    after = [node.layout.stage + 1 for node in nodes if node.after_stage]
    parts = [_numbered("block", blocks)] if blocks else []
    return " and ".join([*parts, *([f"the end of {_numbered('stage', after)}"] if after else [])])


def _topology(network: Network, dimension: Dimension) -> str:
    """Return the first topology that gives every receiver its sources, else `custom`."""
    numbered = [n for n, node in enumerate(network.nodes) if dimension in node.ports]
    stages = [network.nodes[n].layout.stage for n in numbered]
    got = grouped((e for e in network.edges if e.dimension == dimension), lambda edge: edge.target)
    for name, sources in TOPOLOGIES.items():
        wanted = {numbered[k]: [numbered[j] for j in sources(stages, k)] for k in range(len(numbered))}
        if all(sorted(edge.source for edge in edges) == wanted[target] for target, edges in got.items()):
            return name
    return "custom"


def _numbered(noun: str, numbers: Iterable[int]) -> str:
    """Return e.g. `stage 2` or `blocks 1, 3–5`."""
    ordered = sorted(set(numbers))
    runs: list[list[int]] = []
    for number in ordered:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    shown = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)
    return f"{noun}{'' if len(ordered) == 1 else 's'} {shown}"


# Connections


def function_of(edge: Edge) -> str:
    """Return how a connection joins what it brings, e.g. `direct`, `weighted (as printed)`."""
    notes = {
        "as printed": edge.form == "literal",
        "without bias": edge.bias is False,
        "α per channel": edge.alpha == "channel",
        "whole gated map": edge.coupled,
    }
    said = [note for note, holds in notes.items() if holds]
    said += [_CONTROLS[edge.message]] if edge.message in _CONTROLS else []
    return edge.function + (f" ({', '.join(said)})" if said else "")


def connection_name(network: Network, edge: Edge) -> str:
    """Return a short name of a connection, e.g. `channel 1→3`: blocks by number, `end of stage 2` for other nodes."""
    return f"{edge.dimension} {_place(network, edge.source)}→{_place(network, edge.target)}"


def _place(network: Network, n: int) -> str:
    node = network.nodes[n]
    if node.after_stage:
        return f"end of stage {node.layout.stage + 1}"
    return str(sum(not before.after_stage for before in network.nodes[: n + 1]))


def size_of(edge: Edge) -> str:
    """Return how a connection matches sizes, e.g. `fc + ln + relu`; empty where the sizes agree."""
    layers = [] if edge.matching is None else _layers(edge.matching)
    return " + ".join(layers + ([] if edge.resize is None else [_RESIZES[edge.resize.mode]]))


def _layers(matching: Matching) -> list[str]:
    name = "fc" if matching.hidden is None else "fc2"
    layers = [name, *(extra for extra in (matching.norm, matching.act) if extra != "none")]
    return [*layers, "bias"] if matching.bias and len(layers) == 1 else layers


def _matched(edges: Sequence[Edge]) -> str:
    """Return how the connections of one dimension match sizes, with r of two layers where one value explains it."""
    said = " or ".join(sorted({size_of(edge) for edge in edges} - {""}))
    two = [edge.matching for edge in edges if edge.matching is not None and edge.matching.hidden is not None]
    if not two:
        return said
    least = min(matching.hidden or 0 for matching in two)
    for r in range(1, _TRIED + 1):
        if all(max(matching.target // r, least) == matching.hidden for matching in two):
            return said.replace("fc2", f"fc2 r={r}") + ("" if two[0].norm_at == "all" else " (norm inside)")
    return said.replace("fc2", f"fc2 of hidden {least} to {max(matching.hidden or 0 for matching in two)}")


def grouped(items: Iterable[Item], group: Callable[[Item], Group]) -> dict[Group, list[Item]]:
    """Return items in groups, in the order of first appearance."""
    groups: dict[Group, list[Item]] = {}
    for item in items:
        groups.setdefault(group(item), []).append(item)
    return groups
