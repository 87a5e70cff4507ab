"""Which trials are planned before anyone samples: the user's own configurations, and those that are promoted."""

from __future__ import annotations

from collections.abc import Callable

from dcasearch.config.study import Study
from dcasearch.evaluation import fingerprint
from dcasearch.search.ledger import Ledger
from dcasearch.search.objectives import objectives_at
from dcasearch.search.promotion import Promoted, promote, promote_early


def plan_users(study: Study, ledger: Ledger) -> None:
    """Plan the user's own configurations, each once, whatever their order in the YAML is by now."""
    known = ledger.attributes("enqueued")
    for params in study.enqueue:
        if fingerprint(params) not in known:
            ledger.enqueue(params, origin="enqueued", enqueued=fingerprint(params))


class Promoter:
    """Plans the trials of one fidelity that are promoted from the one before it, each once per seed."""

    def __init__(self, study: Study, previous: Ledger, ledger: Ledger, ended: Callable[[], bool]) -> None:
        if ledger.fidelity.promote is None:
            raise RuntimeError("a later fidelity without `promote` passed the check of the YAML")
        self._study, self._previous, self._ledger, self._ended = study, previous, ledger, ended
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
        for promoted in self._chosen(ended, {held[0] for held in known if isinstance(held, tuple)}):
            for seed in self._ledger.fidelity.seeds:
                if (promoted.trial.number, seed) not in known:
                    self._plan(promoted, seed)
                    planned += 1
        return planned

    def _chosen(self, ended: bool, known: set[object]) -> list[Promoted]:
        trials = list(self._previous.trials.values())
        if not ended:
            total = self._previous.fidelity.trials or len(trials)
            leaders = promote_early(trials, self._promotion, self._objectives, total)
            return self._within(leaders, len(leaders), known)
        chosen = promote(trials, self._promotion, self._objectives, self._study.sampler.seed)
        if not self._promotion.asynchronous:
            return chosen
        best = [promoted for promoted in chosen if promoted.origin == "promoted"]
        drawn = [promoted for promoted in chosen if promoted.origin != "promoted"]
        return [*self._within(best, self._promotion.top, known), *drawn]

    def _within(self, ranked: list[Promoted], places: int, known: set[object]) -> list[Promoted]:
        """Return the best for whom a place is left; whoever went on before fills one, whatever became of it since."""
        again = [promoted for promoted in ranked if promoted.trial.number in known]
        others = [promoted for promoted in ranked if promoted.trial.number not in known]
        return [*again, *others[: max(0, places - len(known))]]

    def _plan(self, promoted: Promoted, seed: int) -> None:
        self._ledger.enqueue(
            promoted.trial.params,
            origin=promoted.origin,
            seed=seed,
            of=promoted.trial.number,
            reason=promoted.reason,
            probability=promoted.probability,
        )
