"""What cannot be, though every value by itself could: options that no kind has, connections that nothing can make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from dcasearch.architecture import BACKBONES, KINDS
from dcasearch.architecture.kinds import DIMENSIONS
from dcasearch.architecture.specification import CustomEdges
from dcasearch.config import Path, Report
from dcasearch.config.validation import validate
from dcasearch.space.axes import Axis, Option, last_part
from dcasearch.space.space import Attention, Connections, Space


def check_limits(space: Space, report: Report) -> None:
    """Report every combination of a space that names no network; unknown names are reported already."""
    kinds = _kinds(space.attention)
    for path, message in [*_width(space), *(_options(space.attention, kinds) if kinds else ())]:
        report(path, message)
    connections = space.connections
    if connections is None or not kinds:
        return
    if set(kinds) == {"none"}:
        report(("connections",), "there is no attention to connect; give attention.name")
        return
    for path, message in [*_dimensions(connections, kinds), *_coupling(connections, kinds), *_alpha(connections)]:
        report(path, message)
    for path, message in _custom(space, connections, kinds, report):
        report(path, message)


def _kinds(attention: Attention) -> list[str]:
    """Return the kinds that are known; none where the name itself is a mistake."""
    return [kind for kind in dict.fromkeys(str(option.word) for option in attention.name.possible) if kind in KINDS]


def _width(space: Space) -> Iterator[tuple[Path, str]]:
    name = space.backbone[0]
    for axis in space.backbone[1:]:
        if axis.name != "backbone.width":
            continue
        for option in _ever(axis, name, (o for o in name.possible if str(o.word).startswith("mnasnet"))):
            if option.value != 1:
                yield option.path, "a mnasnet takes no width, its own is in its name (mnasnet0_5, ...)"


def _ever(axis: Axis, earlier: Axis, at: Iterable[Option]) -> list[Option]:
    """Return the options that an axis may take where an earlier one has one of some values."""
    found = {option.path: option for value in at for option in axis.possible_where(earlier.name, value.word)}
    return list(found.values())


def _options(attention: Attention, kinds: list[str]) -> Iterator[tuple[Path, str]]:
    for axis in attention.options:
        key = last_part(axis.name)
        having = [kind for kind in kinds if key in KINDS[kind].defaults]
        if not having:
            yield ("attention", key), f"{' or '.join(kinds)} has no {key}"
        if key != "extent":
            continue
        for kind in having:
            for option in axis.possible_where(attention.name.name, kind):
                if option.value not in KINDS[kind].extents:
                    allowed = ", ".join("null (global)" if e is None else str(e) for e in KINDS[kind].extents)
                    yield option.path, f"{kind} has no extent {option.label}; Known: {allowed}."


def _dimensions(connections: Connections, kinds: list[str]) -> Iterator[tuple[Path, str]]:
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


def _coupling(connections: Connections, kinds: list[str]) -> Iterator[tuple[Path, str]]:
    for option in connections.coupling.possible:
        if option.value == "coupled" and "cbam" not in kinds:
            yield option.path, f"coupled exists for cbam alone, not for {' or '.join(kinds)}"


def _alpha(connections: Connections) -> Iterator[tuple[Path, str]]:
    for axis in connections.alpha:
        if last_part(axis.name) != "init":
            continue
        if len(axis.options) > 1:
            yield axis.options[1].path, "where alpha starts makes no other architecture; give one value"
        weighted = [option for option in connections.function.possible if option.word == "weighted"]
        for option in _ever(axis, connections.function, weighted):
            if option.value == 0:
                yield option.path, "weighted never leaves alpha 0: its gradient is zero there; start at 1 or 0.01"


def _custom(space: Space, connections: Connections, kinds: list[str], report: Report) -> Iterator[tuple[Path, str]]:
    path = ("connections", "edges")
    custom = [option.path for option in connections.topology.possible if option.value == "custom"]
    if connections.edges is None:
        yield from ((where, "custom needs `edges`: per dimension a list of [j, k]") for where in custom)
        return
    if not custom:
        yield path, "`edges` belongs to topology: custom"
    edges: Any = validate(CustomEdges, connections.edges, lambda p, message: report((*path, *p), message))
    if edges is None:
        return
    if space.attention.grain != "network" and len({KINDS[kind].dimensions for kind in kinds}) > 1:
        yield path, "custom edges need the same dimensions in every block: their numbers would change with the choices"
        return
    layouts = [BACKBONES[str(o.word)](1.0, "imagenet") for o in space.backbone[0].possible if o.word in BACKBONES]
    blocks = min((len(layout.blocks) for layout in layouts), default=0)
    for dimension in DIMENSIONS:
        for n, (j, k) in enumerate(getattr(edges, dimension)):
            if blocks and not 1 <= j < k <= blocks:
                yield (*path, dimension, n), f"[{j}, {k}] is not 1 <= j < k <= {blocks}, the number of blocks"
