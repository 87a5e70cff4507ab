"""What every kind of search space can be asked: its questions, its points, its size as an iterator, its baselines.

Two kinds implement it. A `ChoiceSpace` spans its points by axes. A `ListedSpace` writes each of them out.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from dcasearch.architecture import Architecture, BackboneLayout, ConnectionFunction
from dcasearch.space.axes import Option, Suggest, answers
from dcasearch.trial import Value


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


class Space(ABC):
    """A search space. Its methods give equal results for equal arguments; a space never changes."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Equal for spaces whose values mean the same; a study refuses to go on with another one."""

    @abstractmethod
    def parameters(self) -> dict[str, tuple[Option, ...]]:
        """Return every parameter that a sampler may be asked for, with its choices."""

    @abstractmethod
    def sample(self, suggest: Suggest) -> Point:
        """Return the point that `suggest` answers its way to; it is asked for active choices only."""

    @abstractmethod
    def layouts(self) -> Iterator[BackboneLayout]:
        """Yield the geometry of every backbone that a point may have; one may come more than once."""

    @abstractmethod
    def vanillas(self) -> Iterator[Architecture]:
        """Yield every point without its connections; one network may come more than once."""

    @abstractmethod
    def functions(self) -> Iterator[ConnectionFunction]:
        """Yield every connection function that a point may have."""

    @abstractmethod
    def messages(self) -> Collection[str]:
        """Return every source of messages that a point may have, e.g. `sender`."""

    @abstractmethod
    def all_baselines(self) -> tuple[Baseline, ...]:
        """Return what a winner is compared with: different networks under different names."""

    # What follows from these

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

    def baselines(self, wanted: bool | Collection[str] = True) -> tuple[Baseline, ...]:
        """Return the baselines that are `wanted`: all, none, or some by name."""
        if isinstance(wanted, bool):
            return self.all_baselines() if wanted else ()
        return tuple(baseline for baseline in self.all_baselines() if baseline.name in wanted)
