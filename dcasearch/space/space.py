"""A search space: which questions are asked in which order, and what architecture the answers make.

One walk (`Space.sample`) serves sampling, enumerating and rebuilding. It asks only what is active: options of
attention that no chosen kind has, everything about connections where nothing receives, the matching of a
dimension in which nothing receives, and the alpha of a function that has none are not asked.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from dcasearch.architecture import BACKBONES, KINDS, Architecture, BackboneLayout, Dimension
from dcasearch.evaluation import fingerprint
from dcasearch.space.axes import Axis, Chosen, Option, Suggest, answers, first_of, last_part
from dcasearch.trial import Value

NONE = "none"
"""The kind of a block without attention."""
Grain: TypeAlias = Literal["network", "stage", "block"]


@dataclass(frozen=True)
class Point:
    """An architecture and the parameters that were asked for on the way to it."""

    params: Mapping[str, Value]
    architecture: Architecture


@dataclass(frozen=True)
class Baseline:
    """An architecture that every winner is compared with."""

    name: str
    architecture: Architecture


@dataclass(frozen=True)
class AttentionChoices:
    """Which attention where."""

    name: Axis
    grain: Grain
    options: tuple[Axis, ...]
    """The kinds' own options: one for the network, given to the kinds that have it."""


@dataclass(frozen=True, kw_only=True)
class ConnectionChoices:
    """Which blocks receive, and how."""

    grain: Grain
    receives: Mapping[Dimension, Axis]
    topology: Axis
    function: Axis
    channel_matching: Axis
    spatial_matching: Axis
    coupling: Axis
    alpha: tuple[Axis, ...]
    edges: Mapping[str, Any] | None
    """topology: custom only."""


@dataclass(frozen=True)
class Space:
    """A search space as read from YAML (`dcasearch.space.read_space`)."""

    written: Mapping[str, Any]
    backbone: tuple[Axis, ...]
    attention: AttentionChoices
    connections: ConnectionChoices | None

    @property
    def fingerprint(self) -> str:
        """Equal for spaces that are written alike, whatever the order of keys and the comments."""
        return fingerprint(self.written)

    def parameters(self) -> dict[str, tuple[Option, ...]]:
        """Return every parameter that a sampler may be asked for, with its choices."""
        axes: dict[str, Axis] = {axis.name: axis for axis in (*self.backbone, *self.attention.options)}
        layouts = [BACKBONES[option.value](1.0, "imagenet") for option in self.backbone[0].options]
        for layout in layouts:
            axes |= {
                self.attention.name.name + s: self.attention.name for s in site_names(self.attention.grain, layout)
            }
        if self.connections is not None:
            c = self.connections
            for layout in layouts:
                sites = site_names(c.grain, layout)
                axes |= {axis.name + site: axis for axis in c.receives.values() for site in sites}
            tail_axes = (c.topology, c.function, c.channel_matching, c.spatial_matching, c.coupling, *c.alpha)
            axes |= {axis.name: axis for axis in tail_axes}
        axes |= {nested.name: nested for axis in axes.values() for o in axis.options for nested in o.nested}
        return {name: axis.options for name, axis in axes.items() if len(axis.options) > 1}

    # Points

    def sample(self, suggest: Suggest) -> Point:
        """Return the point that `suggest` answers its way to; it is asked for active choices only."""
        params: dict[str, Value] = {}

        def ask(name: str, choices: tuple[Value, ...]) -> Value:
            params[name] = suggest(name, choices)
            return params[name]

        chosen: Chosen = {}
        backbone = {last_part(axis.name): axis.choose(ask, chosen) for axis in self.backbone}
        layout = layout_of(backbone)
        kinds, options = self._attention(ask, chosen, layout)
        spec: dict[str, Any] = {"backbone": backbone, "attention": attention_spec(self.attention.grain, kinds, options)}
        if self.connections is not None:
            per_block = standing(spread(kinds, self.attention.grain, layout), layout)
            connections = connect(self.connections, per_block, layout, ask, chosen)
            if connections is not None:
                spec["connections"] = connections
        return Point(params, Architecture.parse(spec))

    def point(self, params: Mapping[str, Value]) -> Point:
        """Return the point of parameters that were sampled before; one that is missing takes its first choice."""
        return self.sample(lambda name, choices: params.get(name, choices[0]))

    def random(self, rng: random.Random) -> Point:
        """Return a point with every question answered uniformly."""
        return self.sample(lambda name, choices: rng.choice(choices))

    def enumerate(self) -> Iterator[Point]:
        """Yield every point as written, lazily, in a fixed order; inert differences included."""
        return answers(self.sample)

    def walk(self) -> Iterator[Point]:
        """Yield one point per distinct architecture, lazily, in the order of `enumerate`."""
        seen: set[str] = set()
        for point in self.enumerate():
            if point.architecture.id not in seen:
                seen.add(point.architecture.id)
                yield point

    def distinct(self, look: Callable[[], None] = lambda: None) -> tuple[Point, ...]:
        """Return all points of `walk`. Ask only where the space is known to be small.

        They are kept, since 10,000 take seconds. `look` is called between two points: what it raises ends the walk.
        """
        kept: tuple[Point, ...] | None = self.__dict__.get("_distinct")
        if kept is None:
            points = []
            for point in self.walk():
                points.append(point)
                look()
            kept = self.__dict__["_distinct"] = tuple(points)
        return kept

    def _attention(self, ask: Suggest, chosen: Chosen, layout: BackboneLayout) -> tuple[list[str], dict[str, Value]]:
        """Return the kind of each site of the attention's grain, and the options asked for."""
        sites = site_names(self.attention.grain, layout)
        kinds = [str(self.attention.name.choose(ask, chosen, site)) for site in sites]
        options = {
            last_part(option.name): option.choose(ask, chosen)
            for option in self.attention.options
            if has_option(kinds, option)
        }
        return kinds, options

    def baselines(self, wanted: bool | Collection[str] = True) -> tuple[Baseline, ...]:
        """Return the plain backbone, vanilla attention and the all-blocks chain, per backbone and kind.

        Everything else is at its first choice. Equal networks appear once. `wanted` is all, none, or some by name.
        """
        if isinstance(wanted, bool):
            return self._all_baselines() if wanted else ()
        return tuple(baseline for baseline in self._all_baselines() if baseline.name in wanted)

    def _all_baselines(self) -> tuple[Baseline, ...]:
        names = [option.value for option in self.backbone[0].options]
        found: dict[str, Baseline] = {}
        for backbone in names:
            prefix = f"{backbone} " if len(names) > 1 else ""
            for baseline in self._baselines_of(backbone, prefix):
                found.setdefault(baseline.architecture.id, baseline)
        return tuple(found.values())

    def _baselines_of(self, name: str, prefix: str) -> Iterator[Baseline]:
        chosen: Chosen = {self.backbone[0].name: name}
        rest = {last_part(axis.name): axis.choose(first_of, chosen) for axis in self.backbone[1:]}
        backbone = {"name": name, **rest}
        yield Baseline(f"{prefix}plain", Architecture.parse({"backbone": backbone}))
        for kind in dict.fromkeys(str(option.value) for option in self.attention.name.active(chosen)):
            if kind == NONE:
                continue
            chosen[self.attention.name.name] = kind
            options = {
                last_part(o.name): o.choose(first_of, chosen) for o in self.attention.options if has_option([kind], o)
            }
            spec: dict[str, Any] = {"backbone": backbone, "attention": attention_spec("network", [kind], options)}
            yield Baseline(f"{prefix}vanilla {kind}", Architecture.parse(spec))
            every = tuple(KINDS[kind].dimensions)
            if self.connections is not None and every:
                how = {**tail(self.connections, [kind], every, first_of, chosen), "topology": "chain"}
                how.pop("edges", None)
                yield Baseline(f"{prefix}dca {kind}", Architecture.parse({**spec, "connections": how}))


def layout_of(backbone: Mapping[str, Any]) -> BackboneLayout:
    """Return the geometry of a chosen backbone."""
    return BACKBONES[backbone["name"]](float(backbone.get("width", 1.0)), backbone.get("stem", "imagenet"))


def site_names(grain: Grain, layout: BackboneLayout) -> list[str]:
    """Return the suffixes of a choice that is made once per network, stage or block."""
    if grain == "network":
        return [""]
    if grain == "stage":
        return [f".stage{n + 1}" for n in range(layout.stages)]
    return [f".block{n + 1:02}" for n in range(len(layout.blocks))]


def spread(per_site: list[str], grain: Grain, layout: BackboneLayout) -> list[str]:
    """Return for every block what was chosen for its site."""
    if grain == "network":
        return per_site * len(layout.blocks)
    return [per_site[block.stage] for block in layout.blocks] if grain == "stage" else per_site


def standing(per_block: list[str], layout: BackboneLayout) -> list[str]:
    """Return for every block the kind that stands there: one that has no place at a block leaves it without."""
    return [kind if KINDS[kind].stands(layout, n) else NONE for n, kind in enumerate(per_block)]


def has_option(kinds: Collection[str], option: Axis) -> bool:
    """Tell whether one of the kinds has an option."""
    return any(KINDS[kind].option(last_part(option.name)) is not None for kind in kinds)


def attention_spec(grain: Grain, kinds: list[str], options: Mapping[str, Value]) -> dict[str, Any]:
    """Return the attention part of a specification; each kind gets the options that it has."""
    specs = [{"name": kind, **{o: v for o, v in options.items() if KINDS[kind].option(o)}} for kind in kinds]
    return specs[0] if grain == "network" else {f"{grain}s": specs}


def receiving_sites(dimension: Dimension, kinds: list[str], grain: Grain, layout: BackboneLayout) -> list[int]:
    """Return the sites at which 'receives or not' makes a difference: those with a block that has a predecessor."""
    numbered = [n for n, kind in enumerate(kinds) if dimension in KINDS[kind].dimensions]
    if grain == "network":
        return [0] if len(numbered) > 1 else []
    sites = [layout.blocks[n].stage if grain == "stage" else n for n in numbered[1:]]
    return sorted(set(sites))


def connect(
    connections: ConnectionChoices, kinds: list[str], layout: BackboneLayout, ask: Suggest, chosen: Chosen
) -> dict[str, Any] | None:
    """Return the connections part of a specification, or None where nothing receives."""
    names = site_names(connections.grain, layout)
    dimensions: dict[str, Any] = {}
    receiving: set[Dimension] = set()
    for dimension, axis in connections.receives.items():
        sites = receiving_sites(dimension, kinds, connections.grain, layout)
        flags = [False] * len(names)
        for site in sites:
            flags[site] = bool(axis.choose(ask, chosen, names[site]))
        if any(flags):
            receiving.add(dimension)
        dimensions[dimension] = flags[0] if connections.grain == "network" else {f"{connections.grain}s": flags}
    if not receiving:
        return None
    return {"dimensions": dimensions, **tail(connections, kinds, receiving, ask, chosen)}


def tail(
    connections: ConnectionChoices,
    kinds: Collection[str],
    receiving: Collection[Dimension],
    ask: Suggest,
    chosen: Chosen,
) -> dict[str, Any]:
    """Return how the connections are made, once it is known in which dimensions there are some."""
    topology = connections.topology.choose(ask, chosen)
    function = connections.function.choose(ask, chosen)
    how: dict[str, Any] = {"topology": topology, "function": function}
    states = [state for kind in kinds for name, state in KINDS[kind].dimensions.items() if name in receiving]
    if any(state.features for state in states):  # planes are not matched
        how["channel_matching"] = connections.channel_matching.choose(ask, chosen)
    if any(state.axes for state in states):  # else every message is a vector
        how["spatial_matching"] = connections.spatial_matching.choose(ask, chosen)
    if all(KINDS[kind].coupled or not KINDS[kind].dimensions for kind in kinds):
        how["coupling"] = connections.coupling.choose(ask, chosen)
    if connections.alpha and function["name"] != "learned":  # which owns no alpha
        how["alpha"] = {last_part(axis.name): axis.choose(ask, chosen) for axis in connections.alpha}
    if topology == "custom":
        how["edges"] = connections.edges
    return how
