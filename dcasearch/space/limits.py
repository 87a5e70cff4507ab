"""What cannot be, though every value by itself could: options that no kind has, connections that nothing can make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import permutations, product
from typing import get_args

from dcasearch.architecture import BACKBONES, KINDS, BackboneLayout, Dimension, LibraryNetwork, dimensions
from dcasearch.architecture.backbone import OwnAttention, trace_of
from dcasearch.architecture.kinds import obstacle
from dcasearch.architecture.libraries import LIBRARIES, is_of_library
from dcasearch.architecture.resolution import OWN_IS_NO_MAP, can_be_coupled
from dcasearch.architecture.specification import CustomEdges
from dcasearch.config import Key, KeyPath, Report
from dcasearch.config.validation import validate
from dcasearch.errors import ArchitectureError, nearest
from dcasearch.space.axes import Axis, Option, last_part
from dcasearch.space.choice_space import AttentionChoices, ChoiceSpace, ConnectionChoices
from dcasearch.space.grammar import ARGUMENTS, grammar
from dcasearch.space.places import is_after

_OF_PREPARED = {"width": 1.0, "stem": "imagenet"}
"""Fields of the backbones that this package has prepared, with the values that say nothing."""


def check_limits(space: ChoiceSpace, report: Report) -> None:
    """Report every combination of a space that names no network; unknown names are reported already."""
    known = [problem for key, part in space.parts.items() for problem in _options(key, part)]
    untraced = list(_libraries(space))
    for path, message in [*_width(space), *untraced, *known, *_places(space), *_starts(space)]:
        report(path, message)
    if untraced:
        return
    connections = space.connections
    kinds = known_kinds(*space.parts.values())
    if connections is None or not all(known_kinds(part) for part in space.parts.values()):
        return
    if not any(KINDS[kind].dimensions for kind in kinds):
        report(("connections",), f"there is no attention to connect, only {' or '.join(kinds)}; give attention.name")
        return
    ends = _ends(space, connections)
    for path, message in [
        *_dimensions(connections, kinds),
        *ends,
        *_coupling(connections, kinds),
        *_message(connections),
        *_alpha(connections),
    ]:
        report(path, message)
    for path, message in _custom(space, connections, kinds, report):
        report(path, message)


def known_kinds(*parts: AttentionChoices | None) -> list[str]:
    """Return the kinds that are known; none where the names themselves are mistakes."""
    written = (str(option.word) for part in parts if part is not None for option in part.name.possible)
    return [kind for kind in dict.fromkeys(written) if kind in KINDS]


def _width(space: ChoiceSpace) -> Iterator[tuple[KeyPath, str]]:
    name = space.backbone[0]
    own = [option for option in name.possible if option.word in BACKBONES and BACKBONES[str(option.word)].widths]
    for axis in space.backbone[1:]:
        if axis.name != "backbone.width":
            continue
        for option in _ever(axis, name, own):
            if option.value != 1:
                family = BACKBONES[str(own[0].word)]
                yield option.path, f"a {family.family} takes no width, its own is in its name ({family.widths[0]}, ...)"


def _libraries(space: ChoiceSpace) -> Iterator[tuple[KeyPath, str]]:
    """Find what networks of libraries do not take, and those that cannot be traced."""
    name, *rest = space.backbone
    networks = [option for option in name.possible if is_of_library(option.word)]
    prepared = [option for option in name.possible if option.word in BACKBONES]
    for axis in rest:
        field, default = last_part(axis.name), _OF_PREPARED.get(last_part(axis.name))
        if default is not None:
            for option in _ever(axis, name, networks):
                if option.value != default:
                    yield option.path, f"networks of {' and '.join(LIBRARIES)} take no {field}; see `arguments`"
        elif field == "own_attention":
            for option in _ever(axis, name, prepared):
                if option.value != "keep":
                    yield option.path, f"belongs to networks of {' and '.join(LIBRARIES)}"
    for option in networks:
        yield from _traced(option, rest)


def _traced(network: Option, rest: Iterable[Axis]) -> Iterator[tuple[KeyPath, str]]:
    """Trace a network in every way that the space may have it; report why one cannot be."""
    by_field = {last_part(axis.name): axis for axis in rest}
    given, own = by_field.get(ARGUMENTS), by_field.get("own_attention")
    treatments = own.possible_where("backbone.name", network.word) if own is not None else (Option("keep", "keep"),)
    arguments = given.possible[0].value if given is not None else ()
    for treatment in treatments:
        if treatment.value not in get_args(OwnAttention):  # reported already
            continue
        try:
            trace_of(LibraryNetwork(str(network.value), arguments, treatment.value))
        except ArchitectureError as error:
            field = error.path[1] if len(error.path) > 1 else ""
            places = {"own_attention": treatment.path, ARGUMENTS: ("backbone", ARGUMENTS)}
            yield places.get(str(field)) or network.path, str(error)


def _ever(axis: Axis, earlier: Axis, at: Iterable[Option]) -> list[Option]:
    """Return the options that an axis may take where an earlier one has one of some values."""
    found = {option.path: option for value in at for option in axis.possible_where(earlier.name, value.word)}
    return list(found.values())


def _options(part: str, attention: AttentionChoices) -> Iterator[tuple[KeyPath, str]]:
    axes, kinds = grammar(), known_kinds(attention)
    for axis in attention.options if kinds else ():
        key = last_part(axis.name)
        having = {kind: declared for kind in kinds if (declared := KINDS[kind].option(key))}
        if not having:
            yield (part, key), f"{' or '.join(kinds)} has no {key}"
        if len(axis.possible) > 1 and not all(declared.searchable for declared in having.values()):
            yield axis.possible[1].path, f"{key} is not searched; give one value"
        for kind, own in having.items():
            for option in axis.possible_where(attention.name.name, kind):
                if axes[axis.name].fits(option.value) and not own.fits(option.value):  # else reported already
                    yield option.path, f"{kind} has no {key} {option.label}; Known: {own.known}."


def _places(space: ChoiceSpace) -> Iterator[tuple[KeyPath, str]]:
    """Find kinds of `attention` that stand after stages where something else is chosen for those places."""
    for option in space.attention.name.possible:
        if option.word not in KINDS or KINDS[str(option.word)].in_blocks:
            continue
        if space.attention.grain == "block":
            yield option.path, f"{option.word} stands after a stage; attention.granularity must be network or stage"
        elif space.stage_attention is not None:
            yield option.path, f"{option.word} stands after a stage; write it under stage_attention"


def _starts(space: ChoiceSpace) -> Iterator[tuple[KeyPath, str]]:
    """Find kinds that have nothing to put a scalar s on, where attention may start as the identity."""
    options = () if space.attention_init is None else space.attention_init.possible
    for kind in known_kinds(*space.parts.values()):
        if not (KINDS[kind].dimensions or KINDS[kind].starts_as_identity):
            for option in options:
                if option.value == "identity":
                    yield option.path, f"{kind} has no dimension, so nothing of it can start at s = 0"


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


def _ends(space: ChoiceSpace, connections: ConnectionChoices) -> Iterator[tuple[KeyPath, str]]:
    """Find two kinds of one network whose states in a dimension cannot meet."""
    for dimension, axis in connections.receives.items():
        if not any(option.value for option in axis.possible):
            continue
        for sender, receiver in _meeting(space):
            given, taken = (KINDS[kind].dimensions.get(dimension) for kind in (sender, receiver))
            if given is not None and taken is not None and (reason := obstacle(given, taken)):
                path = axis.possible[0].path
                yield path, f"{sender} and {receiver} cannot be connected in the {dimension} dimension: {reason}"
                break


def _meeting(space: ChoiceSpace) -> Iterator[tuple[str, str]]:
    """Yield every two different kinds that can be in one network, as sender and receiver."""
    for part in space.parts.values():
        if part.grain != "network":  # else one network has one kind of this part
            yield from permutations(known_kinds(part), 2)
    for one, other in permutations(map(known_kinds, space.parts.values()), 2):
        yield from ((a, b) for a, b in product(one, other) if a != b)


def _coupling(connections: ConnectionChoices, kinds: list[str]) -> Iterator[tuple[KeyPath, str]]:
    for option in connections.coupling.possible:
        if option.value == "coupled" and not any(KINDS[kind].coupled for kind in kinds):
            yield option.path, f"coupled exists for {can_be_coupled()} alone, not for {' or '.join(kinds)}"


def _message(connections: ConnectionChoices) -> Iterator[tuple[KeyPath, str]]:
    coupled = [option for option in connections.coupling.possible if option.value == "coupled"]
    for option in _ever(connections.message, connections.coupling, coupled):
        if option.value == "own":
            yield option.path, f"{OWN_IS_NO_MAP}; choose it where connections.coupling is decoupled"


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
    space: ChoiceSpace, connections: ConnectionChoices, kinds: list[str], report: Report
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
    if not _is_numbered_alike(space):
        yield path, "custom edges need the same dimensions in every block: their numbers would change with the choices"
        return
    known = all(o.word in BACKBONES or is_of_library(o.word) for o in space.backbone[0].options)
    layouts = list(space.layouts()) if known else []
    for dimension, pairs in edges.written.items():
        if dimension not in dimensions():
            yield (*path, Key(dimension)), f"'{dimension}' is not a dimension; {nearest(dimension, dimensions())}"
        nodes = min((_nodes(space, layout, dimension) for layout in layouts), default=0)
        for n, (j, k) in enumerate(pairs):
            if nodes and not 1 <= j < k <= nodes:
                yield (*path, dimension, n), f"[{j}, {k}] is not 1 <= j < k <= {nodes}, the number of blocks"


def _is_numbered_alike(space: ChoiceSpace) -> bool:
    """Tell whether the networks of a space number their attention alike."""
    for part in space.parts.values():
        found = {(frozenset(KINDS[kind].dimensions), KINDS[kind].place) for kind in known_kinds(part)}
        if len(found) > 1 and (part.grain != "network" or space.stage_attention is not None):
            return False
    return True


def _nodes(space: ChoiceSpace, layout: BackboneLayout, dimension: Dimension) -> int:
    """Return how many blocks and stages may have attention with a dimension."""
    having = [kind for kind in known_kinds(*space.parts.values()) if dimension in KINDS[kind].dimensions]
    ends = [sum(is_after(kind, n, layout) for n in range(layout.stages)) for kind in having]
    return len(layout.blocks) * any(KINDS[kind].in_blocks for kind in having) + max(ends, default=0)
