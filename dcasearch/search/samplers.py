"""Optuna's samplers, each suggestion seeded by (study seed, trial number), so that a resume suggests the same.

A sampler's random state is not in the database. A fresh sampler per trial makes the suggestion a function of
the database alone: a driver that died while it asked is followed by one that asks the same again.

TPE looks at a window: the latest ended trials and the best of those before them. Its work, otherwise in proportion
to all trials, stays the same from there on; with one objective what it calls good is still the best of all.
"""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial, TrialState

from dcasearch.config.study import Sampler
from dcasearch.registry import Registry
from dcasearch.store.optuna_private import View, pareto_front, share_search_space

Make: TypeAlias = Callable[[Sampler, int], BaseSampler]

SAMPLERS: Registry[Make] = Registry("a sampler")
"""Name -> maker of an Optuna sampler from (configuration, seed)."""
_GOOD = 25
"""With one objective TPE calls at most so many trials good."""


@SAMPLERS.register("tpe")
def _tpe(sampler: Sampler, seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        # `group` is what a conditional space needs, and is experimental in name since Optuna 2.8.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(
            n_startup_trials=sampler.startup,
            multivariate=True,
            group=True,
            constant_liar=True,
            seed=seed,
        )


@SAMPLERS.register("random")
def _random(sampler: Sampler, seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


@SAMPLERS.register("grid")
def _grid(sampler: Sampler, seed: int) -> BaseSampler:
    """Grid's points are enqueued by `dcasearch.search.suggestions`; nothing is left for a sampler to draw."""
    return RandomSampler(seed=seed)


@SAMPLERS.register("nsga2")
def _nsga2(sampler: Sampler, seed: int) -> BaseSampler:
    return NSGAIISampler(population_size=sampler.population, seed=seed)


class SeededPerTrial(BaseSampler):
    """Delegates each trial to a fresh sampler whose seed is a function of (study seed, trial number).

    Parameters that are drawn independently get a sampler each, seeded by their name too: a trial that is
    asked again after a crash may have some of its parameters already, and the others must not shift.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._relative: BaseSampler | None = None
        self._common = IntersectionSearchSpace()
        self._view: tuple[int, optuna.Study] | None = None
        """Of the trial that is being asked for."""

    def _make(self, number: int, name: str = "") -> BaseSampler:
        digest = hashlib.sha256(f"{self._sampler.seed} {number} {name}".encode()).digest()
        made = SAMPLERS[self._sampler.name](self._sampler, int.from_bytes(digest[:4], "big"))
        if isinstance(made, NSGAIISampler):
            share_search_space(made, self._common)  # the same space, without going through all trials again
        return made

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Ask a sampler made for this trial which parameters it draws jointly."""
        self._relative, self._view = self._make(trial.number), None
        return self._relative.infer_relative_search_space(self._seen_by(study, trial), trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw the joint parameters; Optuna calls this after `infer_relative_search_space` of the same trial."""
        if self._relative is None:
            raise RuntimeError("Optuna asked for a joint sample before its search space")
        return self._relative.sample_relative(self._seen_by(study, trial), trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one parameter by itself."""
        sampler = self._make(trial.number, param_name)
        return sampler.sample_independent(self._seen_by(study, trial), trial, param_name, param_distribution)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Let the sampler see the end of a trial."""
        self._make(trial.number).after_trial(study, trial, state, values)

    def _seen_by(self, study: optuna.Study, trial: FrozenTrial) -> optuna.Study:
        """Return the study as a trial's sampler shall see it, the same for all of the trial's parameters."""
        if self._sampler.name != "tpe":
            return study
        if self._view is None or self._view[0] != trial.number:
            self._view = (trial.number, _Window(study, self._sampler.window))
        return self._view[1]


class _Window(View):
    """A view of a study that holds what TPE models: at most `size` latest ended trials, the best before, the running.

    Optuna 5.0's TPE ranks a pruned trial by its curve and asks for the one direction of the study, which a
    study with several objectives does not have (RuntimeError after the start-up trials): there the curves of
    pruned trials are left out.
    """

    def __init__(self, study: optuna.Study, size: int) -> None:
        trials = study.get_trials(deepcopy=False)
        ended = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        running = [t for t in trials if t.state == TrialState.RUNNING]
        seen = [*_best(study, ended[:-size], size), *ended[-size:]]
        if len(study.directions) > 1:
            seen = [_blank(t) if t.state == TrialState.PRUNED else t for t in seen]
        super().__init__(study, sorted(seen + running, key=lambda t: t.number))


def _best(study: optuna.Study, trials: Sequence[FrozenTrial], size: int) -> list[FrozenTrial]:
    """Return those of the trials before the window that TPE would call good, or the latest of them."""
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    if len(study.directions) == 1:
        sign = -1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1.0
        return sorted(complete, key=lambda t: sign * (t.value or 0.0))[: min(_GOOD, size)]
    front = pareto_front(complete, study.directions)
    return front[-max(1, size // 10) :]


def _blank(trial: FrozenTrial) -> FrozenTrial:
    blank = copy.copy(trial)
    blank.intermediate_values = {}
    return blank
