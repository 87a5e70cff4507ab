"""What a study will cost, before it costs anything: the space, its costs, the time and the disk."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from dcasearch.analysis.device_speed import speed_on
from dcasearch.analysis.feasibility import infeasible_shares, nothing_feasible
from dcasearch.analysis.parents import constant_parents, parents_trained
from dcasearch.analysis.races import RaceForecast, foresee_races
from dcasearch.analysis.shared_memory import shared_memory_free, shared_memory_needed, shared_memory_problem
from dcasearch.analysis.speeds import PASSES, Speed, bases_of, room_here, speeds_of
from dcasearch.config.study import Fidelity, Study
from dcasearch.data import DataInfo
from dcasearch.models import cost
from dcasearch.search.sharing import kept_weights
from dcasearch.space import Count, Point, Space, count_distinct, size
from dcasearch.store import Store
from dcasearch.training import continues, later_continues

SAMPLED = 200
"""Architectures whose costs are computed in a space of more than that."""
_COUNT_SECONDS = 1.0
"""What `check` gives the count of a space, of the seconds in which it answers."""
_BYTES = 4
_IMAGENET = (1000, 1_281_167)
_KNOWN = {"cifar10": (10, 50_000), "coco": (80, 118_287)}
"""Classes and train images that are assumed where a set is not there; of `coco` those of train2017."""


@dataclass(frozen=True)
class Range:
    """Least, median and greatest of a cost over the space."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Phase:
    """What one fidelity (or the final trainings) will do."""

    name: str
    trainings: int
    """At most; pruning makes it less, and a race that ends early. Of a zero-cost fidelity its scores."""
    macs: float
    """Multiply-adds in all, unpruned: by the mean over a grid, which trains all, else by the space's median."""
    seconds: float | None
    """None: nothing says how fast the device is."""
    least: int | None = None
    """Of a race: the fewest trainings."""
    at_once: int = 1
    """Trainings at a time."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Everything `check` prints."""

    written: int
    distinct: Count
    params: Range
    macs: Range
    costed: int
    """Architectures that the ranges come from."""
    infeasible: Mapping[str, float]
    """Share of those that violate each constraint."""
    phases: tuple[Phase, ...]
    basis: str
    """What the time is computed from."""
    spread: float
    """Factor by which the time may be shorter or longer."""
    disk_bytes: int
    """Weights that are kept, one checkpoint per running trial, and those that a later fidelity goes on from."""
    checkpoint_bytes: int
    """The part of running trials' checkpoints in it: what cannot be done without."""
    disk_budget: float | None
    """The study's `disk`."""
    classes: int
    images: int
    """In train, the held-out part included."""
    data_found: bool
    """False: classes and images are assumed."""
    races: tuple[RaceForecast, ...] = ()
    """What each race will be able to tell apart."""
    shared_memory_bytes: int = 0
    """What the loader processes of the trials that run at a time need."""
    shared_memory_free: int | None = None
    """None: trials run on other machines, or this one has no limit."""
    nothing_feasible: str | None = None
    """Says that each architecture that was costed violates a constraint."""
    short: tuple[str, ...] = ()
    """A sentence for each promotion that asks for more trials than the fidelity before it has."""

    @property
    def shared_memory_problem(self) -> str | None:
        """What the shared memory of this machine cannot hold, if anything."""
        return shared_memory_problem(self.shared_memory_bytes, self.shared_memory_free)

    @property
    def disk_problem(self) -> str | None:
        """What the budget of disk cannot hold, if anything."""
        budget = self.disk_budget
        if budget is None or self.disk_bytes <= budget:
            return None
        if self.checkpoint_bytes > budget:
            return (
                f"disk: {budget / 1e9:.3g} GB cannot hold the {self.checkpoint_bytes / 1e9:.3g} GB of checkpoints of "
                "running trials: the run would stop; raise `disk` or lower executor.max_concurrent"
            )
        return f"disk: {budget / 1e9:.2f} GB cannot hold all weights that are to be kept: the worst ones will go"

    @property
    def mistakes(self) -> tuple[str, ...]:
        """What would make the run stop, or find nothing, a sentence each."""
        found = []
        if self.nothing_feasible is not None:
            found.append(self.nothing_feasible)
        if self.disk_budget is not None and self.checkpoint_bytes > self.disk_budget and self.disk_problem is not None:
            found.append(self.disk_problem)
        return tuple(found)


def forecast(
    study: Study,
    space: Space,
    data: DataInfo | None,
    store: Store | None,
    device: str | None = None,
    room: Mapping[str, int] | None = None,
) -> Forecast:
    """Compute what a study will cost; nothing is trained and nothing is written.

    Args:
        study: The study.
        space: Its space.
        data: None where the data is not there; the set's known size is then assumed, else ImageNet's.
        store: Its database, where one exists: measured speeds come from it.
        device: The model of the device that trials will run on, as a GPU check names it; None is this machine's.
        room: How many trainings of each fidelity the cluster holds; None: this machine's room, of a cluster no limit.

    Raises:
        UserError: Nothing is known of that device.
    """
    room = room_here(study) if room is None else room
    classes, images = _size_of(study, data)
    points = _points(space)
    resolution = study.fidelities[-1].resolution
    costs = [cost(point.architecture, resolution, classes) for point in points]
    weights = max(c.params for c in costs) * _BYTES
    backbones = {point.architecture.backbone.name for point in points}
    speeds = speeds_of(study, store, classes, speed_on(device, study, backbones, data, store))
    distinct = count_distinct(space, _COUNT_SECONDS)
    phases = tuple(
        _scored(phase, study, store) for phase in _phases(study, space, distinct, points, classes, images, speeds, room)
    )
    checkpoints = _copies(study) * weights * study.executor.max_concurrent
    beginnings = _copies(study) * weights * _beginnings(study, phases)
    return Forecast(
        written=size(space),
        distinct=distinct,
        params=_range([c.params for c in costs]),
        macs=_range([c.macs for c in costs]),
        costed=len(costs),
        infeasible=infeasible_shares(study, costs),
        phases=phases,
        basis=bases_of(speeds),
        spread=max((speed.spread for speed in speeds.values()), default=1.0),
        disk_bytes=_weights(study, space) * weights + checkpoints + beginnings,
        checkpoint_bytes=checkpoints,
        disk_budget=study.disk,
        classes=classes,
        images=images,
        data_found=data is not None,
        races=tuple(foresee_races(study, store)),
        shared_memory_bytes=shared_memory_needed(study, data),
        shared_memory_free=shared_memory_free(study),
        nothing_feasible=nothing_feasible(study, costs, all_of_them=size(space) <= SAMPLED),
        short=tuple(_short(study, distinct)),
    )


def _size_of(study: Study, data: DataInfo | None) -> tuple[int, int]:
    """Return the classes and the train images, the held-out part included."""
    if data is None:
        classes, images = _KNOWN.get(study.data.name, _IMAGENET)
        wanted = study.data.classes
        some = min(classes, (wanted if isinstance(wanted, int) else len(wanted)) if wanted is not None else classes)
        return some, images * some // classes
    held_out = data.validation_images if study.data.protocol == "search" else 0
    return data.classes, data.train_images + held_out


def _points(space: Space) -> list[Point]:
    if size(space) <= SAMPLED:
        return list({point.architecture.id: point for point in space.enumerate()}.values())
    rng = random.Random("forecast")
    return [space.random(rng) for _ in range(SAMPLED)]


def _range(values: Sequence[int]) -> Range:
    return Range(min(values), statistics.median(values), max(values))


def _phases(
    study: Study,
    space: Space,
    distinct: Count,
    points: Sequence[Point],
    classes: int,
    images: int,
    speeds: Mapping[str, Speed],
    room: Mapping[str, int],
) -> list[Phase]:
    phases: list[Phase] = []

    def phase_of(name: str, fidelity: Fidelity, trainings: int, saved: int = 0) -> Phase:
        return _phase(name, fidelity, trainings, study, points, classes, images, speeds, room, saved)

    for fidelity, wanted in zip(study.fidelities, _trials(study, distinct), strict=True):
        whole = distinct.exact and wanted == distinct.value
        baselines = _further_baselines(study, space, points, whole=whole)
        first = len(fidelity.seeds) if fidelity.race is None or wanted < 2 else max(2, len(fidelity.seeds))
        trainings = wanted * first + baselines * len(fidelity.seeds)
        if fidelity.parent is not None:
            parents = parents_trained(study, space, fidelity)
            name = f"{fidelity.name} parents"
            longest = parents * len(fidelity.all_seeds)
            phase = phase_of(name, fidelity.parent, longest)
            phases.append(phase if fidelity.race is None else replace(phase, least=parents * first))
        elif constants := constant_parents(study, space, fidelity, wanted, trained=points if whole else ()):
            name, longest = f"{fidelity.name} parents", constants * len(fidelity.all_seeds)
            phase = phase_of(name, fidelity, longest)
            phases.append(phase if fidelity.race is None else replace(phase, least=constants * first))
        saved = _epochs_taken_over(study, fidelity, wanted, baselines)
        phases.append(phase_of(fidelity.name, fidelity, trainings, saved))
        if fidelity.race is not None and wanted > 1:
            further = wanted * (fidelity.race.max_seeds - first)
            name = f"{fidelity.name} race"
            phase = phase_of(name, fidelity, further)
            phases.append(replace(phase, least=0))
    if study.final is not None:
        trainings = (1 + len(space.baselines(study.baselines))) * len(study.final.seeds)
        last = study.fidelities[-1]
        if last.parent is not None:
            parents = parents_trained(study, space, last) * len(study.final.seeds)
            phases.append(phase_of("final parents", last.parent, parents))
        elif constants := constant_parents(study, space, last, 1, final=True):
            parents = constants * len(study.final.seeds)
            phases.append(phase_of("final parents", last, parents))
        phases.append(phase_of("final", last, trainings))
    return phases


def _trials(study: Study, distinct: Count) -> list[int]:
    """Return the most trials of each fidelity: a promotion takes no more than the fidelity before it has."""
    counts: list[int] = []
    for fidelity in study.fidelities:
        if fidelity.promote is not None:
            wanted = min(fidelity.promote.top + fidelity.promote.random, counts[-1])
        else:
            wanted = fidelity.trials or distinct.value
        if distinct.exact and study.on_duplicate == "replay":
            wanted = min(wanted, distinct.value)
        counts.append(wanted)
    return counts


def _short(study: Study, distinct: Count) -> Iterator[str]:
    """Yield what each promotion asks for and what there is, where it asks for more."""
    counts = _trials(study, distinct)
    for number, fidelity in enumerate(study.fidelities):
        promote = fidelity.promote
        if promote is not None and promote.top + promote.random > (there := counts[number - 1]):
            asked = f"{promote.top} and {promote.random} at random" if promote.random else f"{promote.top}"
            before = study.fidelities[number - 1].name
            yield f"{fidelity.name}: promote asks for the top {asked}, but {before} has {there:,} trials at most"


def _further_baselines(study: Study, space: Space, points: Sequence[Point], *, whole: bool) -> int:
    """Return how many baselines are trained beside the trials; where all points are, those among them are not."""
    trained = {point.architecture.id for point in points} if whole else set[str]()
    return sum(baseline.architecture.id not in trained for baseline in space.baselines(study.baselines))


def _phase(
    name: str,
    fidelity: Fidelity,
    trainings: int,
    study: Study,
    points: Sequence[Point],
    classes: int,
    images: int,
    speeds: Mapping[str, Speed],
    room: Mapping[str, int],
    saved: int,
) -> Phase:
    """Return a phase of so many trainings, of which `saved` epochs in all are there already."""
    whole = study.sampler.name == "grid" and fidelity.trials is None and fidelity.promote is None
    some = points if whole else points[:: max(1, len(points) // 20)]
    macs_of = [cost(p.architecture, fidelity.resolution, classes).macs for p in some]
    each = statistics.fmean(macs_of) if whole else statistics.median(macs_of)
    held_out = study.data.validation_fraction if study.data.protocol == "search" else 0.0
    train = images * (1 - held_out) * fidelity.train_fraction
    epochs = trainings * fidelity.epochs - saved
    passes, loaded = epochs * (PASSES * train + images * held_out), epochs * (train + images * held_out)
    if fidelity.kind == "zero_cost":
        passes, loaded = trainings * _passes_of_a_score(fidelity), 0.0
    macs = each * passes
    seconds = speeds[fidelity.name].seconds(macs, loaded)
    at_once = max(1, min(study.executor.max_concurrent, trainings, room.get(fidelity.name, trainings)))
    return Phase(name, trainings, macs, None if seconds is None else seconds / at_once, at_once=at_once)


def _epochs_taken_over(study: Study, fidelity: Fidelity, trials: int, baselines: int) -> int:
    """Return the epochs that the trainings of a fidelity need not do, since those of an earlier one begin them."""
    earlier = study.fidelities[: study.fidelities.index(fidelity)]
    begun = max((f for f in earlier if continues(fidelity, f)), key=lambda f: f.epochs, default=None)
    if begun is None:
        return 0
    seeds = set(fidelity.seeds)
    of_trials = seeds & set(begun.seeds if begun.promote else begun.seeds[:1])
    return begun.epochs * (trials * len(of_trials) + baselines * len(seeds & set(begun.seeds)))


def _beginnings(study: Study, phases: Sequence[Phase]) -> int:
    """Return how many checkpoints are kept at most for a later fidelity to go on from."""
    begun = {fidelity.name for fidelity in study.fidelities if later_continues(study, fidelity)}
    return sum(phase.trainings for phase in phases if phase.name in begun)


def _passes_of_a_score(fidelity: Fidelity) -> int:
    """Return the forward passes, of one image each, that a score is worth."""
    if fidelity.score == "synflow":
        return PASSES
    return fidelity.batches * fidelity.recipe.batch_size * (1 if fidelity.score == "naswot" else PASSES)


def _scored(phase: Phase, study: Study, store: Store | None) -> Phase:
    """Return a phase with the time that scores took so far: mostly building networks, which multiply-adds miss."""
    fidelity = study.fidelities[0]
    if store is None or fidelity.kind == "training" or phase.name != fidelity.name:
        return phase
    ids = [t.evaluation for t in store.trials(study.name, fidelity.name) if t.evaluation and t.duplicate_of is None]
    if not ids:
        return phase
    each = store.seconds(ids) / len(ids)
    return replace(phase, seconds=phase.trainings * each / phase.at_once)


def _weights(study: Study, space: Space) -> int:
    """Return how many trainings' weights are kept: of each fidelity the best few, baselines, parents; the finals'."""
    baselines = len(space.baselines(study.baselines))
    trained = [fidelity for fidelity in study.fidelities if fidelity.kind == "training"]
    kept = sum(kept_weights(study, fidelity) + baselines * len(fidelity.seeds) for fidelity in trained)
    kept += sum(parents_trained(study, space, f) * len(f.all_seeds) for f in trained if f.parent is not None)
    return kept + ((1 + baselines) * len(study.final.seeds) if study.final else 0)


def _copies(study: Study) -> int:
    """Return the copies of the parameters in a checkpoint: weights, what the optimiser keeps, perhaps their average."""
    recipes = [fidelity.recipe for fidelity in study.fidelities]
    return max(1 + (2 if recipe.optimizer == "adamw" else 1) + (recipe.ema is not None) for recipe in recipes)
