"""How large a space is: points as written (exact, without enumerating), and distinct architectures."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dcasearch.architecture import KINDS, BackboneLayout, BlockLayout, Dimension
from dcasearch.space.axes import Chosen, Suggest, answers, last_part
from dcasearch.space.space import ConnectionChoices, Grain, Space, has_option, layout_of, tail


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
    kinds: frozenset[str] = frozenset()

    @classmethod
    def nothing(cls, space: Space) -> _Seen:
        """Return what is seen before the first block."""
        dimensions = () if space.connections is None else tuple(space.connections.receives)
        none = (False,) * len(dimensions)
        return cls(dimensions, (0,) * len(dimensions), none, none)


def size(space: Space) -> int:
    """Return the number of leaves of the walk: one question at many sites is counted, not walked."""

    def backbone(suggest: Suggest) -> tuple[BackboneLayout, Chosen]:
        chosen: Chosen = {}
        return layout_of({last_part(axis.name): axis.choose(suggest, chosen) for axis in space.backbone}), chosen

    return sum(
        ways * _after_attention(space, seen, known)
        for layout, chosen in answers(backbone)
        for seen, known, ways in _attention(space, layout, chosen)
    )


def _attention(space: Space, layout: BackboneLayout, chosen: Chosen) -> Iterator[tuple[_Seen, Chosen, int]]:
    """Yield what can be seen after all blocks, with the number of ways to it."""
    axis, grain = space.attention.name, space.connections.grain if space.connections else "network"
    kinds = [str(option.value) for option in axis.active(chosen)]
    if space.attention.grain == "network":
        for kind in kinds:
            seen = _Seen.nothing(space)
            for n in range(len(layout.blocks)):
                seen = _pass(seen, kind, layout, n, grain)
            yield seen, {**chosen, axis.name: kind}, 1
        return
    ways: Counter[_Seen] = Counter({_Seen.nothing(space): 1})
    for site in _sites(layout, space.attention.grain):
        after: Counter[_Seen] = Counter()
        for seen, count in ways.items():
            for kind in kinds:
                reached = seen
                for n in site:
                    reached = _pass(reached, kind, layout, n, grain)
                after[reached] += count
        ways = after
    for seen, count in ways.items():
        yield seen, chosen, count


def _sites(layout: BackboneLayout, grain: Grain) -> list[list[int]]:
    """Return the blocks of each site."""
    blocks = range(len(layout.blocks))
    if grain == "block":
        return [[n] for n in blocks]
    return [[n for n in blocks if layout.blocks[n].stage == stage] for stage in range(layout.stages)]


def _pass(seen: _Seen, kind: str, layout: BackboneLayout, n: int, grain: Grain) -> _Seen:
    """Return what is seen after one more block of a kind; see `receiving_sites` for what counts."""
    here = KINDS[kind].dimensions if KINDS[kind].stands(layout, n) else ()
    has = [dimension in here for dimension in seen.dimensions]
    new_site = n > 0 and _site(layout.blocks[n], n, grain) != _site(layout.blocks[n - 1], n - 1, grain)
    counted = (False,) * len(has) if new_site else seen.counted
    counts = [h and b and not c for h, b, c in zip(has, seen.begun, counted, strict=True)]
    return replace(
        seen,
        kinds=seen.kinds | {kind},
        sites=tuple(s + c for s, c in zip(seen.sites, counts, strict=True)),
        begun=tuple(b or h for b, h in zip(seen.begun, has, strict=True)),
        counted=tuple(c or n for c, n in zip(counted, counts, strict=True)),
    )


def _site(block: BlockLayout, n: int, grain: Grain) -> int:
    return {"network": 0, "stage": block.stage, "block": n}[grain]


def _after_attention(space: Space, seen: _Seen, chosen: Chosen) -> int:
    """Return the number of leaves below: attention's options, who receives, and how."""
    asked = [option for option in space.attention.options if has_option(seen.kinds, option)]

    def options(suggest: Suggest) -> Chosen:
        known = dict(chosen)
        for option in asked:
            option.choose(suggest, known)
        return known

    if space.connections is None:
        return sum(1 for _ in answers(options))
    return sum(_connections(space.connections, seen, known) for known in answers(options))


def _connections(connections: ConnectionChoices, seen: _Seen, chosen: Chosen) -> int:
    ways: dict[frozenset[Dimension], int] = {frozenset(): 1}
    for n, (dimension, axis) in zip(seen.sites, connections.receives.items(), strict=True):
        values = [option.value for option in axis.active(chosen)]
        silent = values.count(False) ** n
        heard = len(values) ** n - silent
        ways = {d: w * silent for d, w in ways.items()} | {d | {dimension}: w * heard for d, w in ways.items()}
    return sum(count * _tails(connections, seen, d, chosen) if d else count for d, count in ways.items() if count)


def _tails(connections: ConnectionChoices, seen: _Seen, receiving: frozenset[Dimension], chosen: Chosen) -> int:
    return sum(1 for _ in answers(lambda suggest: tail(connections, seen.kinds, receiving, suggest, dict(chosen))))


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
