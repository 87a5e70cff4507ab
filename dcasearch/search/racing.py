"""A race among the trials of one fidelity: who is still in it, who has left and when, and who needs which seed next.

All of it is replayed from the trials as they are stored, look by look, so whoever reads them finds the same race: the
driver before and after it died, `status` while it runs, and the report. docs/racing.md tells a user what it means.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dcasearch.config.study import Fidelity, Race
from dcasearch.metrics import METRICS, Direction, is_cost
from dcasearch.search.objectives import losses
from dcasearch.search.race import Bools, beaten, floor_of, looks, pooled, resolvable, share
from dcasearch.trial import State, Trial


@dataclass
class Candidate:
    """One architecture that was promoted, as the race knows it."""

    trials: tuple[Trial, ...]
    """In the order of the race's seeds, as far as there are any."""
    values: list[float]
    """Of the metric that the race is on, one per seed from the first, as far as there are any; more is better."""
    left: int | None = None
    """After how many seeds it left the race; None while it is in."""
    beaten_by: Candidate | None = None
    """The best of those that it was told apart from when it left."""
    failure: str = ""
    """Why it left, where a training of it failed."""

    @property
    def name(self) -> str:
        """How it is called: its first trial."""
        return f"trial {self.trials[0].number}"

    @property
    def architecture_id(self) -> str:
        """Of its network."""
        return self.trials[0].architecture_id

    @property
    def racing(self) -> bool:
        """Whether it is still in."""
        return self.left is None

    def behind(self, other: Candidate) -> float:
        """Return how far it is behind another one on average, over the seeds that both have."""
        pairs = list(zip(other.values, self.values, strict=False))
        return statistics.fmean(a - b for a, b in pairs) if pairs else float("nan")


@dataclass(kw_only=True)
class RaceStanding:
    """How far a race is."""

    fidelity: str
    metric: str
    race: Race
    given: int
    """Seeds that everyone has before the first look."""
    candidates: tuple[Candidate, ...]
    looked: int = 0
    """Seeds at the last look; 0 before the first."""
    needed: list[tuple[Candidate, int]] = field(default_factory=list)
    """(who, seed) that the next look waits for and that no trial has begun, by seed; empty when the race is over."""
    waits: bool = False
    """Whether a look is to come: for what is needed, or for what runs."""
    noise: float | None = None
    """Standard deviation of a training between seeds, beyond what a seed does to all, as known at the last look."""

    @property
    def racing(self) -> tuple[Candidate, ...]:
        """Those still in, best first."""
        return tuple(sorted((c for c in self.candidates if c.racing), key=_best_first))

    @property
    def out(self) -> tuple[Candidate, ...]:
        """Those that have left, the last one first."""
        gone = (candidate for candidate in self.candidates if not candidate.racing)
        return tuple(sorted(gone, key=lambda c: (-(c.left or 0), *_best_first(c))))

    @property
    def won(self) -> bool:
        """Whether one alone is left, and not only because the others failed."""
        told = any(not candidate.failure for candidate in self.out)
        return not self.waits and len(self.racing) == 1 and told

    @property
    def resolvable(self) -> float | None:
        """The lead that this race finds in 80% of cases, in the metric's unit; None while its noise is unknown."""
        if self.noise is None or len(self.candidates) < 2:
            return None
        return resolvable(self.noise, len(self.candidates), self.race, self.given)


def _best_first(candidate: Candidate) -> tuple[float, int]:
    mean = statistics.fmean(candidate.values) if candidate.values else float("-inf")
    return -mean, candidate.trials[0].number


def images_of(meaning: Mapping[str, Any], fidelity: str) -> int | None:
    """Return the images that accuracies of a racing fidelity are measured on, as a study's stored meaning has them."""
    images = meaning.get(f"fidelities.{fidelity}.race", {}).get("images")
    return None if images is None else int(images)


def raced_metric(objectives: Mapping[str, Direction]) -> str:
    """Return the objective that a race is on: the first that is measured."""
    return next(metric for metric in objectives if not is_cost(metric))


def race_of(
    fidelity: Fidelity, objectives: Mapping[str, Direction], trials: Iterable[Trial], images: int | None
) -> RaceStanding | None:
    """Replay the race of a fidelity; None where there is none.

    Args:
        fidelity: one of the study's.
        objectives: those of the trials' values.
        trials: the fidelity's.
        images: that accuracies are measured on; None where that is not known.
    """
    if fidelity.race is None or fidelity.promote is None:
        return None
    metric = raced_metric(objectives)
    seeds = fidelity.all_seeds
    candidates = _candidates(trials, seeds, list(objectives).index(metric), objectives[metric])
    standing = RaceStanding(
        fidelity=fidelity.name, metric=metric, race=fidelity.race, given=len(fidelity.seeds), candidates=candidates
    )
    rivals = _rivals(candidates, objectives) if fidelity.promote.by == "pareto" else None
    floor = floor_of(images) if METRICS[metric].share else 0.0
    for look in looks(standing.race, standing.given):
        if not _prepare(standing, seeds[:look]):
            break
        _look(standing, look, floor, rivals)
    return standing


def _candidates(
    trials: Iterable[Trial], seeds: Sequence[int], place: int, direction: Direction
) -> tuple[Candidate, ...]:
    sign = -1.0 if direction == "minimize" else 1.0
    groups: dict[int, dict[int, Trial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if "of" in trial.attributes:
            groups.setdefault(int(str(trial.attributes["of"])), {})[trial.seed] = trial
    candidates = []
    for by_seed in groups.values():
        mine = tuple(by_seed[seed] for seed in seeds if seed in by_seed)
        known: list[float] = []
        for seed in seeds:
            if seed not in by_seed or by_seed[seed].values is None:
                break
            known.append(sign * (by_seed[seed].values or ())[place])
        if mine:
            candidates.append(Candidate(mine, known))
    return tuple(candidates)


def _rivals(candidates: Sequence[Candidate], objectives: Mapping[str, Direction]) -> Bools:
    """Return whether the first may put out the second: it is no dearer in any cost."""
    costs = [n for n, metric in enumerate(objectives) if is_cost(metric)]
    known = [next((t.values for t in candidate.trials if t.values is not None), None) for candidate in candidates]
    points = [None if values is None else [losses(objectives, values)[n] for n in costs] for values in known]
    may = [
        [a is not None and b is not None and all(x <= y for x, y in zip(a, b, strict=True)) for b in points]
        for a in points
    ]
    return np.array(may, dtype=np.bool_).reshape(len(candidates), len(candidates))


def _prepare(standing: RaceStanding, seeds: Sequence[int]) -> bool:
    """Return whether everyone still in has what a look at these seeds needs; those that failed leave before it."""
    for candidate in standing.racing:
        known = {trial.seed: trial for trial in candidate.trials}
        failed = next((known[s] for s in seeds if s in known and _failed(known[s])), None)
        if failed is not None:
            candidate.left, candidate.failure = len(seeds), f"{failed.failure or failed.state}: {failed.message}"
    racing = [candidate for candidate in standing.candidates if candidate.racing]
    if len(racing) < 2:
        return False
    standing.waits = any(len(candidate.values) < len(seeds) for candidate in racing)
    begun = [{trial.seed for trial in candidate.trials} for candidate in racing]
    standing.needed = [(c, seed) for seed in seeds for c, held in zip(racing, begun, strict=True) if seed not in held]
    return not standing.waits


def _failed(trial: Trial) -> bool:
    return trial.values is None and trial.state not in (State.RUNNING, State.WAITING)


def _look(standing: RaceStanding, look: int, floor: float, rivals: Bools | None) -> None:
    racing = [candidate for candidate in standing.candidates if candidate.racing]
    places = [n for n, candidate in enumerate(standing.candidates) if candidate.racing]
    values = np.array([[candidate.values[:look] for candidate in racing]])
    everyone = np.ones((1, len(racing)), dtype=np.bool_)
    error = (1 - standing.race.confidence) * share(standing.race, standing.given, look)
    among = None if rivals is None else rivals[np.ix_(places, places)]
    told = beaten(values, everyone, error, floor, among)[0]
    standing.looked = look
    standing.noise = float(np.sqrt(max(pooled(values, everyone)[0], floor) / 2))
    best = sorted(range(len(racing)), key=lambda n: -float(values[0, n].mean()))
    for n, candidate in enumerate(racing):
        by = next((racing[m] for m in best if told[m, n]), None)
        if by is not None:
            candidate.left, candidate.beaten_by = look, by
