"""Which trials are planned before anyone samples: the user's own configurations, and those that are promoted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dcasearch.config.study import Study
from dcasearch.evaluation import fingerprint
from dcasearch.metrics import METRICS
from dcasearch.search.ledger import Ledger
from dcasearch.search.objectives import objectives_at
from dcasearch.search.promotion import Promoted, over_seeds, promote, promote_early
from dcasearch.search.racing import Candidate, RaceStanding, race_of
from dcasearch.search.work import Event, Observer
from dcasearch.space import Space
from dcasearch.trial import Trial, Value


def plan_users(study: Study, ledger: Ledger) -> None:
    """Plan the user's own configurations, each once, whatever their order in the YAML is by now."""
    known = ledger.attributes("enqueued")
    for params in study.enqueue:
        if fingerprint(params) not in known:
            ledger.enqueue(params, origin="enqueued", enqueued=fingerprint(params))


def plan_grid(study: Study, space: Space, ledger: Ledger) -> None:
    """Plan every distinct architecture with every seed, where a grid has several seeds; each pair once.

    Seed by seed, so that every network has one training before any has two. Seeds that were added since are planned
    beside those of before.
    """
    seeds = ledger.fidelity.seeds
    if study.sampler.name != "grid" or len(seeds) == 1:
        return
    known = {(trial.architecture_id, trial.seed) for trial in ledger.trials.values()}
    known |= {
        (str(held[0]), int(held[1] or 0)) for held in ledger.attributes("grid", "seed") if isinstance(held, tuple)
    }
    for seed in seeds:
        for point in space.distinct():
            if (point.architecture.id, seed) not in known:
                ledger.enqueue(point.params, origin="sampled", grid=point.architecture.id, seed=seed)


class Promoter:
    """Plans the trials of one fidelity that are promoted from the one before it, each once per seed.

    Args:
        study: the study.
        previous: the fidelity before.
        ledger: the fidelity whose trials are planned.
        ended: whether the fidelity before has ended.
        images: evaluation images, for a race.
        points: points of the space as written: the number of trials that a grid without `trials` has at most.
    """

    def __init__(
        self,
        study: Study,
        previous: Ledger,
        ledger: Ledger,
        ended: Callable[[], bool],
        images: int | None = None,
        *,
        points: int,
    ) -> None:
        if ledger.fidelity.promote is None:
            raise RuntimeError("a later fidelity without `promote` passed the check of the YAML")
        self._study, self._previous, self._ledger, self._ended = study, previous, ledger, ended
        self._images, self._points = images, points
        self._promotion = ledger.fidelity.promote
        self._objectives = objectives_at(study, previous.fidelity)
        self._looked_at: tuple[int, bool] | None = None

    def __call__(self) -> int:
        """Plan those that are promoted by now and not planned yet; return how many trials that makes."""
        ended = self._ended()
        so_far = (self._previous.settled, ended)
        if so_far == self._looked_at:  # nothing has changed since
            return 0
        self._looked_at = so_far
        known = self._ledger.attributes("of", "seed")
        planned = 0
        for promoted, seed in self._pairs(self._chosen(ended)):
            if (promoted.trial.number, seed) not in known:
                self._plan(promoted, seed)
                planned += 1
        return planned

    def _pairs(self, chosen: list[Promoted]) -> Iterator[tuple[Promoted, int]]:
        seeds = self._ledger.fidelity.seeds
        if self._promotion.race is None:
            yield from ((promoted, seed) for promoted in chosen for seed in seeds)
        else:  # by seed: before anyone has two, everyone who races is known to whoever reads the trials
            yield from ((promoted, seed) for seed in seeds for promoted in chosen)

    def _chosen(self, ended: bool) -> list[Promoted]:
        trials = list(self._previous.trials.values())
        if not ended:
            seeds = len(self._previous.fidelity.seeds)
            return promote_early(
                trials, self._promotion, self._objectives, self._planned(), seeds=seeds, early=self._early()
            )
        tiers = None
        if self._previous.fidelity.promote is not None or len(self._previous.fidelity.seeds) > 1:
            tiers = self._tiers(trials)
            trials = over_seeds(trials)
        early = self._early() if self._promotion.asynchronous else frozenset()
        return promote(trials, self._promotion, self._objectives, self._study.sampler.seed, tiers, early)

    def _planned(self) -> int:
        """Return how many trials the fidelity before will have, begun or not; at most, where nobody can know yet."""
        fidelity = self._previous.fidelity
        if fidelity.promote is not None:
            return (fidelity.promote.top + fidelity.promote.random) * len(fidelity.seeds)
        return (fidelity.trials or self._points) * len(fidelity.seeds)

    def _early(self) -> frozenset[int]:
        """Return the numbers of the trials before that hold a place among the `top` ones, whatever became of it."""
        held = self._ledger.attributes("of", "origin")
        return frozenset(int(h[0] or 0) for h in held if isinstance(h, tuple) and h[1] == "promoted")

    def _tiers(self, trials: list[Trial]) -> dict[str, int] | None:
        """Return by architecture how early it left the race of the fidelity before; 0 for those still in it."""
        race = race_of(self._previous.fidelity, self._objectives, trials, self._images)
        if race is None:
            return None
        last = race.race.max_seeds + 1
        tiers = {c.architecture_id: 0 if c.left is None else last - c.left for c in race.candidates}
        return tiers | {c.architecture_id: last for c in race.candidates if c.failure}

    def _plan(self, promoted: Promoted, seed: int) -> None:
        self._ledger.enqueue(
            promoted.trial.params,
            origin=promoted.origin,
            seed=seed,
            of=promoted.trial.number,
            reason=promoted.reason,
            probability=promoted.probability,
        )


class Racer:
    """Plans the further seeds of a race among the promoted trials of one fidelity, and tells each look.

    It holds nothing but what it has told: the race is replayed from the ledger each time, so a driver that dies is
    followed by one that plans the same.
    """

    def __init__(self, study: Study, ledger: Ledger, images: int | None, observe: Observer) -> None:
        self._ledger, self._images, self._observe = ledger, images, observe
        self._objectives = objectives_at(study, ledger.fidelity)
        self._looked_at: int | None = None
        race = self._race()
        self._told = 0 if race is None else race.looked

    def __call__(self) -> int:
        """Plan what the next look waits for and is not planned yet; return how many trials that makes."""
        if self._ledger.settled == self._looked_at:  # nothing has changed since
            return 0
        race = self._race()
        if race is None:
            return 0
        known = self._ledger.attributes("of", "seed")
        begun = {candidate.trials[0].attributes["of"] for candidate in race.candidates}
        seeds = self._ledger.fidelity.all_seeds
        if {held[0] for held in known if isinstance(held, tuple) and held[1] in seeds} != begun:
            return 0  # some have not come to the start yet
        self._looked_at = self._ledger.settled
        missing = [(c, seed) for c, seed in race.needed if (c.trials[0].attributes["of"], seed) not in known]
        for candidate, seed in missing:
            self._plan(candidate, seed, race)
        if race.looked > self._told:
            self._told = race.looked
            total: dict[str, Value] = {"total": len(self._ledger.planned()) + len(self._ledger.trials)}
            self._observe(Event("note", f"{self._ledger.fidelity.name} trials", sentence_of(race), total))
        return len(missing)

    def _race(self) -> RaceStanding | None:
        return race_of(self._ledger.fidelity, self._objectives, self._ledger.trials.values(), self._images)

    def _plan(self, candidate: Candidate, seed: int, race: RaceStanding) -> None:
        first = candidate.trials[0]
        number = self._ledger.fidelity.all_seeds.index(seed) + 1
        self._ledger.enqueue(
            first.params,
            origin=first.origin,
            seed=seed,
            of=first.attributes["of"],
            reason=f"race, seed {number} of up to {race.race.max_seeds}",
            probability=first.attributes["probability"],
        )


def sentence_of(race: RaceStanding) -> str:
    """Return in a sentence what the last look found."""
    gone = [c for c in race.out if c.left == race.looked and c.beaten_by is not None]
    unit = METRICS[race.metric].unit_of_differences
    unit = f" {unit}" if unit else ""
    said = [f"{c.name} ({-c.behind(c.beaten_by):+.2f}{unit} against {c.beaten_by.name})" for c in gone if c.beaten_by]
    out = f"out: {', '.join(said)}; " if said else "nobody is told apart; "
    left = race.racing
    if race.waits or race.needed:
        return f"race, {race.looked} seeds: {out}{len(left)} of {len(race.candidates)} go on"
    end = f"{left[0].name} is alone" if len(left) == 1 else f"{len(left)} are left"
    return f"race, {race.looked} seeds: {out}it is over, {end}"
