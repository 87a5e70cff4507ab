"""What cannot be, though every value by itself could: options that no kind has, connections that nothing can make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import permutations

from dcasearch.architecture import BACKBONES, KINDS, dimensions
from dcasearch.architecture.kinds import obstacle
from dcasearch.architecture.resolution import can_be_coupled
from dcasearch.architecture.specification import CustomEdges
from dcasearch.config import Key, KeyPath, Report
from dcasearch.config.validation import validate
from dcasearch.errors import nearest
from dcasearch.space.axes import Axis, Option, last_part
from dcasearch.space.grammar import grammar
from dcasearch.space.space import AttentionChoices, ConnectionChoices, Space


def check_limits(space: Space, report: Report) -> None:
    """Report every combination of a space that names no network; unknown names are reported already."""
    kinds = _kinds(space.attention)
    known = [*_options(space.attention, kinds), *_places(space.attention, kinds)] if kinds else []
    for path, message in [*_width(space), *known]:
        report(path, message)
    connections = space.connections
    if connections is None or not kinds:
        return
    if not any(KINDS[kind].dimensions for kind in kinds):
        report(("connections",), f"there is no attention to connect, only {' or '.join(kinds)}; give attention.name")
        return
    ends = _ends(space.attention, connections, kinds)
    for path, message in [
        *_dimensions(connections, kinds),
        *ends,
        *_coupling(connections, kinds),
        *_alpha(connections),
    ]:
        report(path, message)
    for path, message in _custom(space, connections, kinds, report):
        report(path, message)


def _kinds(attention: AttentionChoices) -> list[str]:
    """Return the kinds that are known; none where the name itself is a mistake."""
    return [kind for kind in dict.fromkeys(str(option.word) for option in attention.name.possible) if kind in KINDS]


def _width(space: Space) -> Iterator[tuple[KeyPath, str]]:
    name = space.backbone[0]
    own = [option for option in name.possible if option.word in BACKBONES and BACKBONES[str(option.word)].widths]
    for axis in space.backbone[1:]:
        if axis.name != "backbone.width":
            continue
        for option in _ever(axis, name, own):
            if option.value != 1:
                family = BACKBONES[str(own[0].word)]
                yield option.path, f"a {family.family} takes no width, its own is in its name ({family.widths[0]}, ...)"


def _ever(axis: Axis, earlier: Axis, at: Iterable[Option]) -> list[Option]:
    """Return the options that an axis may take where an earlier one has one of some values."""
    found = {option.path: option for value in at for option in axis.possible_where(earlier.name, value.word)}
    return list(found.values())


def _options(attention: AttentionChoices, kinds: list[str]) -> Iterator[tuple[KeyPath, str]]:
    axes = grammar()
    for axis in attention.options:
        key = last_part(axis.name)
        having = {kind: declared for kind in kinds if (declared := KINDS[kind].option(key))}
        if not having:
            yield ("attention", key), f"{' or '.join(kinds)} has no {key}"
        if len(axis.possible) > 1 and not all(declared.searchable for declared in having.values()):
            yield axis.possible[1].path, f"{key} is not searched; give one value"
        for kind, own in having.items():
            for option in axis.possible_where(attention.name.name, kind):
                if axes[axis.name].fits(option.value) and not own.fits(option.value):  # else reported already
                    yield option.path, f"{kind} has no {key} {option.label}; Known: {own.known}."


def _places(attention: AttentionChoices, kinds: list[str]) -> Iterator[tuple[KeyPath, str]]:
    if attention.grain != "block":
        return
    for option in attention.name.possible:
        if option.word in kinds and KINDS[str(option.word)].place != "block":
            yield option.path, f"{option.word} stands after a stage; attention.granularity must be network or stage"


def _dimensions(connections: ConnectionChoices, kinds: list[str]) -> Iterator[tuple[KeyPath, str]]:
    for dimension, axis in connections.receives.items():
        if not any(dimension in KINDS[kind].dimensions for kind in kinds):
            having = sorted(name for name, kind in KINDS.items() if dimension in kind.dimensions)
            for option in axis.possible:
                if option.value is True:
                    yield (
                        option.path,
                        f"no {dimension} connection is possible: {' or '.join(kinds)} has no {dimension} dimension; "
                        f"Known to have it: {', '.join(having)}.",
                    )


def _ends(
    attention: AttentionChoices, connections: ConnectionChoices, kinds: list[str]
) -> Iterator[tuple[KeyPath, str]]:
    """Find two kinds of one network whose states in a dimension cannot meet."""
    if attention.grain == "network":  # where one network has one kind
        return
    for dimension, axis in connections.receives.items():
        if not any(option.value for option in axis.possible):
            continue
        states = [(kind, KINDS[kind].dimensions[dimension]) for kind in kinds if dimension in KINDS[kind].dimensions]
        for (sender, given), (receiver, taken) in permutations(states, 2):
            if reason := obstacle(given, taken):
                path = axis.possible[0].path
                yield path, f"{sender} and {receiver} cannot be connected in the {dimension} dimension: {reason}"
                break


def _coupling(connections: ConnectionChoices, kinds: list[str]) -> Iterator[tuple[KeyPath, str]]:
    for option in connections.coupling.possible:
        if option.value == "coupled" and not any(KINDS[kind].coupled for kind in kinds):
            yield option.path, f"coupled exists for {can_be_coupled()} alone, not for {' or '.join(kinds)}"


def _alpha(connections: ConnectionChoices) -> Iterator[tuple[KeyPath, str]]:
    for axis in connections.alpha:
        if last_part(axis.name) != "init":
            continue
        if len(axis.options) > 1:
            yield axis.options[1].path, "where alpha starts makes no other architecture; give one value"
        weighted = [option for option in connections.function.possible if option.word == "weighted"]
        for option in _ever(axis, connections.function, weighted):
            if option.value == 0:
                yield option.path, "weighted never leaves alpha 0: its gradient is zero there; start at 1 or 0.01"


def _custom(
    space: Space, connections: ConnectionChoices, kinds: list[str], report: Report
) -> Iterator[tuple[KeyPath, str]]:
    path = ("connections", "edges")
    custom = [option.path for option in connections.topology.possible if option.value == "custom"]
    if connections.edges is None:
        yield from ((where, "custom needs `edges`: per dimension a list of [j, k]") for where in custom)
        return
    if not custom:
        yield path, "`edges` belongs to topology: custom"
    edges = validate(CustomEdges, connections.edges, lambda p, message: report((*path, *p), message))
    if edges is None:
        return
    dimensions_of = {(frozenset(KINDS[kind].dimensions), KINDS[kind].place) for kind in kinds}
    if space.attention.grain != "network" and len(dimensions_of) > 1:
        yield path, "custom edges need the same dimensions in every block: their numbers would change with the choices"
        return
    layouts = [BACKBONES[str(o.word)](1.0, "imagenet") for o in space.backbone[0].possible if o.word in BACKBONES]
    blocks = min((len(layout.blocks) for layout in layouts), default=0)
    for dimension, pairs in edges.written.items():
        if dimension not in dimensions():
            yield (*path, Key(dimension)), f"'{dimension}' is not a dimension; {nearest(dimension, dimensions())}"
        for n, (j, k) in enumerate(pairs):
            if blocks and not 1 <= j < k <= blocks:
                yield (*path, dimension, n), f"[{j}, {k}] is not 1 <= j < k <= {blocks}, the number of blocks"
