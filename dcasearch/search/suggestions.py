"""Which trial is tried next, and why none is any more: plans first, then the grid, the sampler or a random draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import optuna

from dcasearch.config.study import Fidelity, Study
from dcasearch.search.candidates import architectures, draw_unvisited
from dcasearch.search.costing import Costs
from dcasearch.search.ledger import Ledger
from dcasearch.search.objectives import objectives_at, violated
from dcasearch.search.retrying import retried
from dcasearch.search.stopping import no_improvement, target_reached
from dcasearch.space import Point, Space
from dcasearch.trial import State, Trial

UNUSABLE_IN_A_ROW = 200
"""Infeasible or duplicate suggestions after which one unvisited architecture is drawn at random."""
UNUSABLE_AFTER_A_DRAW = 10
"""The same where the last training was such a draw: the sampler has been found to repeat itself."""
REPEATS_BEFORE_COUNTING = 10
"""Such suggestions after which a small space is looked through for anything that is left."""


class Suggestions:
    """The suggestions of one fidelity, each one an Optuna trial whose parameters are not drawn yet.

    Args:
        study: whose sampler and stop rules count.
        fidelity: one of the study's.
        space: what may be suggested.
        costs: of architectures, for the constraints.
        ledger: of the fidelity; what is planned there comes first.
        out_of_time: returns why the time is over, or None.
        plan: plans further trials, e.g. promotions, and returns how many.
        look: is called while a space is enumerated; it may raise to end that.
    """

    def __init__(
        self,
        *,
        study: Study,
        fidelity: Fidelity,
        space: Space,
        costs: Costs,
        ledger: Ledger,
        out_of_time: Callable[[], str | None],
        plan: Callable[[], int],
        look: Callable[[], None],
    ) -> None:
        self._study, self._fidelity, self._space, self._costs = study, fidelity, space, costs
        self._ledger, self._out_of_time, self._plan, self._look = ledger, out_of_time, plan, look
        self._grid: Iterator[Point] | None = space.walk() if study.sampler.name == "grid" else None
        self._planned = len(ledger.planned())
        self._untried: set[str] | None = None
        """Ids of a small space that no trial has met; None before anyone has counted."""
        self.ended: str | None = None
        """Why no further trial is sampled; None while one may be."""

    def next(self) -> optuna.trial.Trial | None:
        """Return the next suggestion; None where there is none now, and then `ended` may say why."""
        self._planned += self._plan()
        if self._planned:
            self.ended = self._out_of_time()
            if self.ended is not None:
                return None
            self._planned -= 1
            return self._ledger.optuna.ask()
        if self._fidelity.promote is not None:
            return None
        self.ended = self._why_ended()
        if self.ended is not None:
            return None
        unusable, drawn = self._unusable_in_a_row()
        if unusable >= REPEATS_BEFORE_COUNTING and self._used_up():
            self.ended = "the space is used up: every architecture was tried"
            return None
        if self._grid is not None or unusable >= (UNUSABLE_AFTER_A_DRAW if drawn else UNUSABLE_IN_A_ROW):
            point = self._unvisited()
            if point is None:
                self.ended = "the space is used up: every feasible architecture was tried"
                return None
            self._ledger.enqueue(point.params, origin="sampled" if self._grid is not None else "random")
        return self._ledger.optuna.ask()

    def _why_ended(self) -> str | None:
        if self.ended is not None:
            return self.ended
        trials = [self._ledger.trials[number] for number in sorted(self._ledger.trials)]
        again = retried(trials)
        used = sum(_uses_budget(trial) and trial.number not in again for trial in trials)
        if self._fidelity.trials is not None and used >= self._fidelity.trials:
            return f"{self._fidelity.trials} trials are done"
        stop, objectives = self._study.stop, objectives_at(self._study, self._fidelity)
        reached = None if self._fidelity.kind == "zero_cost" else target_reached(stop, trials, objectives)
        ended = reached or no_improvement(stop, trials, objectives)
        return ended or self._out_of_time()

    def _unusable_in_a_row(self) -> tuple[int, bool]:
        """Return how many of the last suggestions were of no use, and whether a random draw came before them."""
        run = 0
        for number in sorted(self._ledger.trials, reverse=True):
            trial = self._ledger.trials[number]
            if _uses_budget(trial):
                return run, trial.origin == "random"
            run += 1
        return run, False

    def _used_up(self) -> bool:
        """Return whether a small space holds nothing that was not tried; of a large one nobody can say."""
        if self._study.on_duplicate == "new_seed":
            return False
        if self._untried is None:
            self._untried = architectures(self._space, self._look)
        if self._untried is None:
            return False
        self._untried -= self._visited()
        return not self._untried

    def _visited(self) -> set[str]:
        return {trial.architecture_id for trial in self._ledger.trials.values()}

    def _unvisited(self) -> Point | None:
        visited = self._visited()
        if self._grid is not None:
            return next((point for point in self._grid if point.architecture.id not in visited), None)
        seed = f"{self._study.sampler.seed} unvisited {len(self._ledger.trials)}"
        return draw_unvisited(self._space, visited, self._feasible, seed, self._look)

    def _feasible(self, point: Point) -> bool:
        return not violated(self._study.constraints, self._costs.of(point.architecture))


def _uses_budget(trial: Trial) -> bool:
    """Infeasible and duplicate trials cost nothing and do not count."""
    return trial.state in (State.RUNNING, State.COMPLETE, State.PRUNED, State.FAILED)
