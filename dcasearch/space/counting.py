"""How large a space is: points as written (exact, without enumerating), and distinct architectures."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial, singledispatch
from itertools import product

from dcasearch.architecture import KINDS, BackboneLayout, Dimension
from dcasearch.architecture.kinds import Value
from dcasearch.architecture.kinds.declaration import NO_ATTENTION
from dcasearch.space.axes import Chosen, Suggest, answers, last_part
from dcasearch.space.choice_space import (
    NOTHING,
    AttentionChoices,
    ChoiceSpace,
    ConnectionChoices,
    Open,
    has_option,
    layout_of,
    tail,
)
from dcasearch.space.places import Grain, is_after
from dcasearch.space.space import Space


@dataclass(frozen=True)
class Count:
    """A number of distinct architectures, and how far it can be trusted."""

    value: int
    """Exact, or the estimate."""
    exact: bool
    bound: int
    """No more than this: the size as written."""
    sampled: int = 0
    """Random points behind an estimate."""

    def __str__(self) -> str:
        if self.exact:
            return f"{self.value:,} distinct architectures"
        if self.value == self.bound:
            return (
                f"at most {self.bound:,} distinct architectures (no two of {self.sampled:,} random points were equal)"
            )
        points = f"estimated from {self.sampled:,} random points"
        return f"at most {self.bound:,} distinct architectures, at least about {self.value:,} ({points})"


@dataclass(frozen=True)
class _Seen:
    """What the rest of a walk depends on, once the attention of some blocks is known."""

    dimensions: tuple[Dimension, ...]
    """Those that may be connected; the places of the other tuples."""
    sites: tuple[int, ...]
    """Sites at which 'receives or not' is asked, so far."""
    begun: tuple[bool, ...]
    """Whether a block with that dimension came before."""
    counted: tuple[bool, ...]
    """Whether the current site is counted already."""
    asked: frozenset[str] = frozenset()
    """Options of attention, by the names of their axes, that a chosen kind has."""
    left: Open = NOTHING
    """By the kinds that have a place."""

    @classmethod
    def nothing(cls, space: ChoiceSpace) -> _Seen:
        """Return what is seen before the first block."""
        dimensions = () if space.connections is None else tuple(space.connections.receives)
        none = (False,) * len(dimensions)
        return cls(dimensions, (0,) * len(dimensions), none, none)


@singledispatch
def size(space: Space) -> int:
    """Return the number of points as written."""
    return sum(1 for _ in space.enumerate())


@size.register
def _(space: ChoiceSpace) -> int:
    """Return the number of leaves of the walk: one question at many sites is counted, not walked."""

    def backbone(suggest: Suggest) -> tuple[BackboneLayout, Chosen]:
        chosen: Chosen = {}
        return layout_of({last_part(axis.name): axis.choose(suggest, chosen) for axis in space.backbone}), chosen

    tails = None if space.connections is None else _Tails(space.connections)
    return sum(
        ways * _after_attention(space, tails, seen, known)
        for layout, chosen in answers(backbone)
        for seen, known, ways in _attention(space, layout, chosen)
    )


def _attention(space: ChoiceSpace, layout: BackboneLayout, chosen: Chosen) -> Iterator[tuple[_Seen, Chosen, int]]:
    """Yield what can be seen after all nodes, with the number of ways to it."""
    grain: Grain = space.connections.grain if space.connections else "network"
    for kinds, known in _alternatives(space.attention, chosen):
        for after, both in _alternatives(space.stage_attention, known):
            ways: Counter[_Seen] = Counter({_Seen.nothing(space): 1})
            for stage in range(layout.stages):
                for site in _sites(layout, stage, space.attention.grain):
                    passed = partial(_pass_blocks, layout=layout, site=site, grain=grain)
                    ways = _choose(ways, kinds, passed, _asked(space.attention, kinds))
                passed = partial(_pass_end, layout=layout, stage=stage, grain=grain)
                ways = _choose(ways, after, passed, _asked(space.stage_attention, after))
            ended: Counter[_Seen] = Counter()
            for seen, count in ways.items():
                ended[replace(seen, begun=(), counted=())] += count  # of no matter any more
            for seen, count in ended.items():
                yield seen, both, count


def _alternatives(part: AttentionChoices | None, chosen: Chosen) -> Iterator[tuple[tuple[str, ...], Chosen]]:
    """Yield the kinds that each site may have: all of them, or one after another where the network has one."""
    if part is None:
        yield (NO_ATTENTION,), chosen
        return
    kinds = tuple(str(option.value) for option in part.name.active(chosen))
    if part.grain != "network":
        yield kinds, chosen
        return
    for kind in kinds:
        yield (kind,), {**chosen, part.name.name: kind}


def _asked(part: AttentionChoices | None, kinds: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """Return by kind the names of the options that are asked for where it is chosen."""
    options = () if part is None else part.options
    return {kind: frozenset(axis.name for axis in options if has_option([kind], axis)) for kind in kinds}


def _choose(
    ways: Counter[_Seen],
    kinds: Iterable[str],
    then: Callable[[_Seen, str], _Seen],
    asked: Mapping[str, frozenset[str]],
) -> Counter[_Seen]:
    """Return the ways after one more choice; of kinds that are alike in all that counts, one is looked at."""
    alike: dict[Hashable, list[str]] = defaultdict(list)
    for kind in kinds:
        declared = KINDS[kind]
        alike[declared.place, frozenset(declared.dimensions), asked[kind], NOTHING.beside(kind)].append(kind)
    reached: Counter[_Seen] = Counter()
    for (seen, count), same in product(ways.items(), alike.values()):
        after, more = then(seen, same[0]), asked[same[0]]
        reached[after if more <= after.asked else replace(after, asked=after.asked | more)] += count * len(same)
    return reached


def _sites(layout: BackboneLayout, stage: int, grain: Grain) -> list[list[int]]:
    """Return the blocks of each site of a stage."""
    blocks = [n for n, block in enumerate(layout.blocks) if block.stage == stage]
    return [[n] for n in blocks] if grain == "block" else [blocks]


def _pass_blocks(seen: _Seen, kind: str, layout: BackboneLayout, site: list[int], grain: Grain) -> _Seen:
    """Return what is seen after the blocks of a site, whose kind may stand after their stage."""
    stage = layout.blocks[site[0]].stage
    for n in site:
        begins = n == 0 or layout.ends_stage(n - 1)
        new_site = grain == "block" or (grain == "stage" and begins)
        passed = _pass(seen, kind if KINDS[kind].in_blocks else NO_ATTENTION, new_site)
        if passed == seen and not new_site:
            break  # neither will another block of this site change anything
        seen = passed
    if layout.ends_stage(site[-1]) and is_after(kind, stage, layout):
        seen = _pass(seen, kind, grain == "block")
    return seen


def _pass_end(seen: _Seen, kind: str, layout: BackboneLayout, stage: int, grain: Grain) -> _Seen:
    """Return what is seen after the end of a stage."""
    if is_after(kind, stage, layout):
        seen = _pass(seen, kind, grain == "block")
    return seen


def _pass(seen: _Seen, kind: str, new_site: bool) -> _Seen:
    """Return what is seen after one more node; see `receiving_sites` for what counts."""
    here, counted = KINDS[kind].dimensions, seen.counted
    if new_site:
        counted = (False,) * len(counted)
    sites, begun, now = list(seen.sites), list(seen.begun), list(counted)
    for n, dimension in enumerate(seen.dimensions):
        if dimension in here:
            if begun[n] and not now[n]:
                sites[n] += 1
                now[n] = True
            begun[n] = True
    # Not `replace`, which takes half of the time here.
    return _Seen(seen.dimensions, tuple(sites), tuple(begun), tuple(now), seen.asked, seen.left.beside(kind))


def _after_attention(space: ChoiceSpace, tails: _Tails | None, seen: _Seen, chosen: Chosen) -> int:
    """Return the number of leaves below: attention's options, how it starts, who receives, and how."""
    asked = [option for part in space.parts.values() for option in part.options if option.name in seen.asked]

    def options(suggest: Suggest) -> Chosen:
        known = dict(chosen)
        for option in asked:
            option.choose(suggest, known)
        if space.attention_init is not None and seen.left.gains:
            space.attention_init.choose(suggest, known)
        return known

    if tails is None:
        return sum(1 for _ in answers(options))
    return sum(_connections(tails, seen, known) for known in answers(options))


def _connections(tails: _Tails, seen: _Seen, chosen: Chosen) -> int:
    ways: dict[frozenset[Dimension], int] = {frozenset(): 1}
    for n, (dimension, axis) in zip(seen.sites, tails.connections.receives.items(), strict=True):
        values = [option.value for option in axis.active(chosen)]
        silent = values.count(False) ** n
        heard = len(values) ** n - silent
        ways = {d: w * silent for d, w in ways.items()} | {d | {dimension}: w * heard for d, w in ways.items()}
    return sum(count * tails.count(seen.left, d, chosen) if d else count for d, count in ways.items() if count)


class _Tails:
    """The ways to make the connections of a space, once it is known where there are some; counted once each."""

    def __init__(self, connections: ConnectionChoices) -> None:
        self.connections = connections
        self._known: dict[tuple[Open, frozenset[Dimension], frozenset[tuple[str, Value]]], int] = {}

    def count(self, left: Open, receiving: frozenset[Dimension], chosen: Chosen) -> int:
        key = (left, receiving, frozenset(chosen.items()))
        if key not in self._known:
            ways = answers(lambda suggest: tail(self.connections, left, receiving, suggest, dict(chosen)))
            self._known[key] = sum(1 for _ in ways)
        return self._known[key]


def count_distinct(space: Space, seconds: float = 5.0) -> Count:
    """Count canonical ids: all of them if that is done in time, else by how often random points are equal.

    The estimate is Chao's (1984), a lower bound in expectation: of the networks drawn, f1 were drawn once and
    f2 twice; d distinct ones suggest d + f1² / 2 f2.
    """
    started, bound, ids = time.monotonic(), size(space), set[str]()
    for n, point in enumerate(space.enumerate(), 1):
        ids.add(point.architecture.id)
        spent = time.monotonic() - started
        if spent > seconds / 10 and spent / n * bound > seconds:  # all of them would take too long
            return _estimate(space, bound, ids, max(seconds - spent, seconds / 10))
    return Count(len(ids), True, bound)


def _estimate(space: Space, bound: int, known: set[str], seconds: float) -> Count:
    rng, deadline = random.Random("count"), time.monotonic() + seconds
    drawn: Counter[str] = Counter()
    while time.monotonic() < deadline:
        drawn[space.random(rng).architecture.id] += 1
    times = Counter(drawn.values())
    estimate = len(drawn) + times[1] ** 2 // (2 * times[2]) if times[2] else bound
    return Count(min(bound, max(len(known | drawn.keys()), estimate)), False, bound, drawn.total())
