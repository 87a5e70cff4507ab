"""A space of choices: which questions are asked in which order, and what architecture the answers make.

One walk (`ChoiceSpace.sample`) serves sampling, enumerating and rebuilding. It asks only what is active: options of
attention that no chosen kind has, everything about connections where nothing receives, the matching of a
dimension in which nothing receives, and the alpha of a function that has none are not asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from dcasearch.architecture import (
    KINDS,
    Architecture,
    Backbone,
    BackboneLayout,
    ConnectionFunction,
    Connections,
    Dimension,
)
from dcasearch.architecture.kinds.declaration import NO_ATTENTION
from dcasearch.evaluation import fingerprint
from dcasearch.space.axes import Axis, Chosen, Option, Suggest, answers, first_of, last_part
from dcasearch.space.grammar import ARGUMENTS
from dcasearch.space.places import Grain, Place, places_of, receiving_sites, site_names, spread
from dcasearch.space.space import Baseline, Point, Space
from dcasearch.trial import Value


@dataclass(frozen=True)
class AttentionChoices:
    """Which attention where: in the blocks, or after the stages."""

    name: Axis
    grain: Grain
    options: tuple[Axis, ...]
    """The kinds' own options: one for the network, given to the kinds that have it."""

    def chosen_options(self, kinds: Collection[str], ask: Suggest, chosen: Chosen) -> dict[str, Value]:
        """Return the options of those that one of the kinds has, each chosen."""
        asked = [option for option in self.options if has_option(kinds, option)]
        return {last_part(option.name): option.choose(ask, chosen) for option in asked}


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
    message: Axis
    alpha: tuple[Axis, ...]
    edges: Mapping[str, Any] | None
    """topology: custom only."""


@dataclass(frozen=True)
class ChoiceSpace(Space):
    """A search space whose axes are fixed, chosen or conditional (`dcasearch.space.read_space`)."""

    written: Mapping[str, Any]
    backbone: tuple[Axis, ...]
    attention: AttentionChoices
    connections: ConnectionChoices | None
    stage_attention: AttentionChoices | None = None
    """What stands after the stages, where the space says it apart from `attention`."""
    attention_init: Axis | None = None
    """How attention starts, where the space says it."""

    @property
    def parts(self) -> dict[str, AttentionChoices]:
        """The choices of attention by the key of a specification, in the order in which they are made."""
        after = {} if self.stage_attention is None else {"stage_attention": self.stage_attention}
        return {"attention": self.attention, **after}

    @property
    def has_attention_after_stages(self) -> bool:
        """Whether some point has attention after a stage."""
        kinds = (str(option.value) for part in self.parts.values() for option in part.name.possible)
        return any(not KINDS[kind].in_blocks for kind in kinds)

    @property
    def fingerprint(self) -> str:
        """Equal for spaces that are written alike, whatever the order of keys and the comments."""
        return fingerprint(self.written)

    def parameters(self) -> dict[str, tuple[Option, ...]]:
        """Return every parameter that a sampler may be asked for, with its choices."""
        parts = self.parts.values()
        own = [option for part in parts for option in part.options]
        starts = () if self.attention_init is None else (self.attention_init,)
        axes: dict[str, Axis] = {axis.name: axis for axis in (*self.backbone, *own, *starts)}
        layouts = list(self.layouts())
        for part, layout in product(parts, layouts):
            axes |= {part.name.name + site: part.name for site in site_names(part.grain, layout)}
        if self.connections is not None:
            c, after = self.connections, self.has_attention_after_stages
            for layout in layouts:
                sites = site_names(c.grain, layout, after_stages=after)
                axes |= {axis.name + site: axis for axis in c.receives.values() for site in sites}
            how = (c.topology, c.function, c.channel_matching, c.spatial_matching, c.coupling, c.message, *c.alpha)
            axes |= {axis.name: axis for axis in how}
        axes |= {nested.name: nested for axis in axes.values() for o in axis.options for nested in o.nested}
        return {name: axis.options for name, axis in axes.items() if len(axis.options) > 1}

    def layouts(self) -> Iterator[BackboneLayout]:
        """Yield the geometry of every backbone that may be chosen, in the order of the choices."""
        name, *rest = self.backbone
        own = next((axis for axis in rest if last_part(axis.name) == "own_attention"), None)
        given = next((axis for axis in rest if last_part(axis.name) == ARGUMENTS), None)
        for option in name.options:
            chosen: Chosen = {name.name: option.word}
            arguments = () if given is None else given.choose(first_of, chosen)
            for treatment in (None,) if own is None else own.active(chosen):
                said = {} if treatment is None else {"own_attention": treatment.value}
                yield layout_of({"name": option.value, ARGUMENTS: arguments, **said})

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
        attention, places = self._attention(ask, chosen, layout)
        spec: dict[str, Any] = {"backbone": backbone, **attention}
        spec |= self._start([place.kind for place in places], ask, chosen)
        if self.connections is not None:
            after = self.has_attention_after_stages
            connections = connect(self.connections, places, layout, ask, chosen, after_stages=after)
            if connections is not None:
                spec["connections"] = connections
        return Point(params, Architecture.parse(spec))

    def _attention(self, ask: Suggest, chosen: Chosen, layout: BackboneLayout) -> tuple[dict[str, Any], list[Place]]:
        """Return the attention parts of a specification, and where their kinds stand.

        The kinds are asked for first, in the blocks and then after the stages, then the options of both.
        """
        kinds = {
            key: [str(part.name.choose(ask, chosen, site)) for site in site_names(part.grain, layout)]
            for key, part in self.parts.items()
        }
        spec = {
            key: attention_spec(part.grain, kinds[key], part.chosen_options(kinds[key], ask, chosen))
            for key, part in self.parts.items()
        }
        per_block = spread(kinds["attention"], self.attention.grain, layout)
        per_stage = [NO_ATTENTION] * layout.stages
        if self.stage_attention is not None:
            per_stage = kinds["stage_attention"] * (layout.stages if self.stage_attention.grain == "network" else 1)
        return spec, places_of(per_block, per_stage, layout)

    def _start(self, kinds: Iterable[str], ask: Suggest, chosen: Chosen) -> dict[str, Any]:
        """Return how attention starts, as a specification says it; asked where it makes a difference."""
        axis = self.attention_init
        return {} if axis is None or not Open.of(kinds).gains else {axis.name: axis.choose(ask, chosen)}

    def vanillas(self) -> Iterator[Architecture]:
        """Yield every point without its connections; one network may come more than once."""
        return (point.architecture for point in replace(self, connections=None).enumerate())

    def functions(self) -> Iterator[ConnectionFunction]:
        """Yield every connection function that a point may have."""
        if self.connections is None:
            return
        axis = self.connections.function
        for option in axis.possible:
            for written in answers(Axis(axis.name, (option,)).choose_afresh):
                yield Connections.model_validate({"function": written}).function

    def messages(self) -> Collection[str]:
        """Return every source of messages that a point may have."""
        return set() if self.connections is None else {str(o.value) for o in self.connections.message.possible}

    def all_baselines(self) -> tuple[Baseline, ...]:
        """Return the plain backbone, vanilla attention and the all-blocks chain, per backbone and kind.

        Everything else is at its first choice. Equal networks appear once.
        """
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
        for kinds in self._vanilla(chosen):
            spec: dict[str, Any] = {"backbone": backbone}
            for (key, part), kind in zip(self.parts.items(), kinds, strict=True):
                spec[key] = attention_spec("network", [kind], part.chosen_options([kind], first_of, chosen))
            spec |= self._start(kinds, first_of, chosen)
            words = " + ".join(kind for kind in kinds if kind != NO_ATTENTION)
            yield Baseline(f"{prefix}vanilla {words}", Architecture.parse(spec))
            every = tuple(dict.fromkeys(dimension for kind in kinds for dimension in KINDS[kind].dimensions))
            if self.connections is not None and every:
                how = {**tail(self.connections, Open.of(kinds), every, first_of, chosen), "topology": "chain"}
                how.pop("edges", None)
                yield Baseline(f"{prefix}dca {words}", Architecture.parse({**spec, "connections": how}))

    def _vanilla(self, chosen: Chosen) -> Iterator[list[str]]:
        """Yield the kinds of each part that are in one network, and note them as chosen; not where there are none."""
        for kind in _kinds(self.attention, chosen):
            chosen[self.attention.name.name] = kind
            if self.stage_attention is None:
                if kind != NO_ATTENTION:
                    yield [kind]
                continue
            for after in _kinds(self.stage_attention, chosen):
                chosen[self.stage_attention.name.name] = after
                if (kind, after) != (NO_ATTENTION, NO_ATTENTION):
                    yield [kind, after]


def _kinds(part: AttentionChoices, chosen: Chosen) -> list[str]:
    """Return the different kinds that can be taken after what was chosen."""
    return list(dict.fromkeys(str(option.value) for option in part.name.active(chosen)))


def layout_of(backbone: Mapping[str, Any]) -> BackboneLayout:
    """Return the geometry of a chosen backbone."""
    return Backbone.model_validate({**backbone, "width": float(backbone.get("width", 1.0))}).layout


def has_option(kinds: Collection[str], option: Axis) -> bool:
    """Tell whether one of the kinds has an option."""
    return any(KINDS[kind].option(last_part(option.name)) is not None for kind in kinds)


def attention_spec(grain: Grain, kinds: list[str], options: Mapping[str, Value]) -> dict[str, Any]:
    """Return the attention part of a specification; each kind gets the options that it has."""
    specs = [{"name": kind, **{o: v for o, v in options.items() if KINDS[kind].option(o)}} for kind in kinds]
    return specs[0] if grain == "network" else {f"{grain}s": specs}


def connect(
    connections: ConnectionChoices,
    places: list[Place],
    layout: BackboneLayout,
    ask: Suggest,
    chosen: Chosen,
    *,
    after_stages: bool,
) -> dict[str, Any] | None:
    """Return the connections part of a specification, or None where nothing receives."""
    names = site_names(connections.grain, layout, after_stages=after_stages)
    dimensions: dict[str, Any] = {}
    receiving: set[Dimension] = set()
    for dimension, axis in connections.receives.items():
        flags = [False] * len(names)
        for site in receiving_sites(dimension, places, connections.grain, layout):
            flags[site] = bool(axis.choose(ask, chosen, names[site]))
        if any(flags):
            receiving.add(dimension)
        dimensions[dimension] = _receivers(flags, connections.grain, layout)
    if not receiving:
        return None
    left = Open.of(place.kind for place in places)
    return {"dimensions": dimensions, **tail(connections, left, receiving, ask, chosen)}


def _receivers(flags: list[bool], grain: Grain, layout: BackboneLayout) -> bool | dict[str, list[bool]]:
    """Return who receives as a specification says it."""
    if grain == "network":
        return flags[0]
    if grain == "stage":
        return {"stages": flags}
    blocks, after = flags[: len(layout.blocks)], flags[len(layout.blocks) :]
    return {"blocks": blocks} | ({"after_stages": after} if after else {})


@dataclass(frozen=True)
class Open:
    """What the kinds of a network leave open of how they start and connect: which questions are asked."""

    features: frozenset[Dimension] = frozenset()
    """Dimensions whose messages may be channels, which are matched."""
    axes: frozenset[Dimension] = frozenset()
    """Dimensions whose messages may be maps, which are resized."""
    coupled: bool = True
    """Whether every kind may send its whole map."""
    gains: bool = False
    """Whether some kind is not the identity by itself, so that `attention_init` makes a difference."""

    def beside(self, kind: str) -> Open:
        """Return what is open where one more kind stands."""
        states = KINDS[kind].dimensions
        return Open(
            self.features | {dimension for dimension, state in states.items() if state.features},
            self.axes | {dimension for dimension, state in states.items() if state.axes},
            self.coupled and (KINDS[kind].coupled or not states),
            self.gains or not KINDS[kind].starts_as_identity,
        )

    @classmethod
    def of(cls, kinds: Iterable[str]) -> Open:
        """Return what these kinds leave open."""
        found = cls()
        for kind in kinds:
            found = found.beside(kind)
        return found


NOTHING = Open()
"""Of no kind."""


def tail(
    connections: ConnectionChoices,
    left: Open,
    receiving: Collection[Dimension],
    ask: Suggest,
    chosen: Chosen,
) -> dict[str, Any]:
    """Return how the connections are made, once it is known in which dimensions there are some."""
    topology = connections.topology.choose(ask, chosen)
    function = connections.function.choose(ask, chosen)
    how: dict[str, Any] = {"topology": topology, "function": function}
    if not left.features.isdisjoint(receiving):  # planes are not matched
        how["channel_matching"] = connections.channel_matching.choose(ask, chosen)
    if not left.axes.isdisjoint(receiving):  # else every message is a vector
        how["spatial_matching"] = connections.spatial_matching.choose(ask, chosen)
    if left.coupled:
        how["coupling"] = connections.coupling.choose(ask, chosen)
    how["message"] = connections.message.choose(ask, chosen)
    if connections.alpha and function["name"] != "learned":  # which owns no alpha
        how["alpha"] = {last_part(axis.name): axis.choose(ask, chosen) for axis in connections.alpha}
    if topology == "custom":
        how["edges"] = connections.edges
    return how
