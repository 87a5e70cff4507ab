"""Optuna's samplers, each suggestion seeded by (study seed, trial number), so that a resume suggests the same.

A sampler's random state is not in the database. A fresh sampler per trial makes the suggestion a function of
the database alone: a driver that died while it asked is followed by one that asks the same again.
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
from optuna.trial import FrozenTrial, TrialState

from dcasearch.config.study import Sampler
from dcasearch.registry import Registry

Make: TypeAlias = Callable[[Sampler, int], BaseSampler]

SAMPLERS: Registry[Make] = Registry("a sampler")
"""Name -> maker of an Optuna sampler from (configuration, seed)."""


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
    """Grid's points are enqueued by `dcasearch.search.trials`; nothing is left for a sampler to draw."""
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

    def _make(self, number: int, name: str = "") -> BaseSampler:
        digest = hashlib.sha256(f"{self._sampler.seed} {number} {name}".encode()).digest()
        return SAMPLERS[self._sampler.name](self._sampler, int.from_bytes(digest[:4], "big"))

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Ask a sampler made for this trial which parameters it draws jointly."""
        self._relative = self._make(trial.number)
        return self._relative.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw the joint parameters; Optuna calls this after `infer_relative_search_space` of the same trial."""
        if self._relative is None:
            raise RuntimeError("Optuna asked for a joint sample before its search space")
        return self._relative.sample_relative(_readable(study), trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one parameter by itself."""
        sampler = self._make(trial.number, param_name)
        return sampler.sample_independent(_readable(study), trial, param_name, param_distribution)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Let the sampler see the end of a trial."""
        self._make(trial.number).after_trial(study, trial, state, values)


def _readable(study: optuna.Study) -> optuna.Study:
    """Return the study as TPE can read it: with several objectives, without the curves of pruned trials.

    Optuna 5.0's TPE ranks a pruned trial by its curve and asks for the one direction of the study, which a
    study with several objectives does not have (RuntimeError after the start-up trials).
    """
    return _WithoutPrunedCurves(study) if len(study.directions) > 1 else study


class _WithoutPrunedCurves(optuna.Study):
    """A view of a study in which pruned trials have no intermediate values."""

    def __init__(self, study: optuna.Study) -> None:
        self.__dict__.update(study.__dict__)

    def _get_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
        return [_blank(t) if t.state == TrialState.PRUNED else t for t in super()._get_trials(*args, **kwargs)]


def _blank(trial: FrozenTrial) -> FrozenTrial:
    blank = copy.copy(trial)
    blank.intermediate_values = {}
    return blank
