"""Everything private of Optuna that this package uses, behind a few public names.

No other module touches a private part of Optuna (tests/test_private_parts.py reads the sources). `PRIVATE` lists
each part; a test looks each one up in the installed Optuna, so that a part that has moved is named. pyproject.toml
bounds Optuna's version for the same reason: private parts may change in any release.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import optuna
from optuna.artifacts._upload import ARTIFACTS_ATTR_PREFIX
from optuna.distributions import BaseDistribution
from optuna.samplers import NSGAIISampler
from optuna.search_space import IntersectionSearchSpace
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.study import StudyDirection
from optuna.study._constrained_optimization import _CONSTRAINTS_KEY
from optuna.study._multi_objective import _get_pareto_front_trials_by_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.orm import Session

PRIVATE: Final = {
    "optuna.study:Study._storage": "rows of a trial are written by its number, also in a study of several objectives",
    "optuna.study:Study._study_id": "a trial's number becomes Optuna's id of it",
    "optuna.study:Study._get_trials": "samplers read trials by it: `View` shows them fewer",
    "optuna.trial:FrozenTrial._trial_id": "a trial that a dead driver left running is taken up again",
    "optuna.study._constrained_optimization:_CONSTRAINTS_KEY": "where a trial's constraints are stored",
    "optuna.study._multi_objective:_get_pareto_front_trials_by_trials": "the front of trials before TPE's window",
    "optuna.artifacts._upload:ARTIFACTS_ATTR_PREFIX": "where a trial's artifacts are named: a drawing is no file",
    "optuna.samplers:NSGAIISampler._search_space": "a fresh sampler per trial goes on with the space of the one before",
    "optuna.storages._cached_storage:_CachedStorage._backend": "a cache would hide a number that is there twice",
    "optuna.storages._rdb.storage:_create_scoped_session": "a transaction on Optuna's tables",
    "optuna.storages:RDBStorage.scoped_session": "its sessions",
    "optuna.storages:RDBStorage.engine": "it gets our pragmas, and is closed",
    "optuna.storages:RDBStorage._set_trial_param": "parameters are kept and written together",
    "optuna.storages:RDBStorage._create_new_trial": "a trial whose commit arrived unseen is found again",
    "optuna.storages:RDBStorage._get_prepared_new_trial": "the same",
    "optuna.storages:RDBStorage._get_trials": "trials are read as plain rows",
    "optuna.storages:RDBStorage._get_best_trial_id": "it waits for a database that is away",
    "optuna.storages._rdb.models:NOT_FOUND_MSG": "the message of Optuna's own KeyError",
    "optuna.storages._rdb.models:StudyModel.study_id": "rows of the table `studies`",
    "optuna.storages._rdb.models:StudyModel.study_name": "a study gets another name",
    "optuna.storages._rdb.models:TrialModel.metadata": "all of Optuna's tables: a study is deleted from each",
    "optuna.storages._rdb.models:TrialModel.trial_id": "rows of the table `trials`",
    "optuna.storages._rdb.models:TrialModel.study_id": "the same",
    "optuna.storages._rdb.models:TrialModel.number": "the same",
    "optuna.storages._rdb.models:TrialModel.state": "the same",
    "optuna.storages._rdb.models:TrialModel.datetime_start": "the same",
    "optuna.storages._rdb.models:TrialModel.datetime_complete": "the same",
    "optuna.storages._rdb.models:TrialModel.find_or_raise_by_id": "a trial's row, or Optuna's own KeyError",
    "optuna.storages._rdb.models:TrialParamModel.trial_id": "rows of the table `trial_params`",
    "optuna.storages._rdb.models:TrialParamModel.param_name": "the same",
    "optuna.storages._rdb.models:TrialParamModel.param_value": "the same",
    "optuna.storages._rdb.models:TrialParamModel.distribution_json": "the same",
    "optuna.storages._rdb.models:TrialValueModel.trial_id": "rows of the table `trial_values`",
    "optuna.storages._rdb.models:TrialValueModel.objective": "the same",
    "optuna.storages._rdb.models:TrialValueModel.value": "the same",
    "optuna.storages._rdb.models:TrialValueModel.value_type": "the same",
    "optuna.storages._rdb.models:TrialValueModel.stored_repr_to_value": "infinities are stored as words",
    "optuna.storages._rdb.models:TrialIntermediateValueModel.trial_id": "rows of `trial_intermediate_values`",
    "optuna.storages._rdb.models:TrialIntermediateValueModel.step": "the same",
    "optuna.storages._rdb.models:TrialIntermediateValueModel.intermediate_value": "the same",
    "optuna.storages._rdb.models:TrialIntermediateValueModel.intermediate_value_type": "the same",
    "optuna.storages._rdb.models:TrialIntermediateValueModel.stored_repr_to_intermediate_value": "as of values",
    "optuna.storages._rdb.models:TrialUserAttributeModel.trial_id": "rows of the table `trial_user_attributes`",
    "optuna.storages._rdb.models:TrialUserAttributeModel.key": "the same",
    "optuna.storages._rdb.models:TrialUserAttributeModel.value_json": "the same",
    "optuna.storages._rdb.models:TrialSystemAttributeModel.trial_id": "rows of the table `trial_system_attributes`",
    "optuna.storages._rdb.models:TrialSystemAttributeModel.key": "the same",
    "optuna.storages._rdb.models:TrialSystemAttributeModel.value_json": "the same",
}
"""`module:name` of each private part -> what it is used for. Attributes of instances stand behind their class."""

# Optuna's tables. Any: their columns are typed as columns, not as what they hold.
STUDIES: Any = models.StudyModel
TRIALS: Any = models.TrialModel
PARAMS: Any = models.TrialParamModel
VALUES: Any = models.TrialValueModel
INTERMEDIATE_VALUES: Any = models.TrialIntermediateValueModel
USER_ATTRIBUTES: Any = models.TrialUserAttributeModel
SYSTEM_ATTRIBUTES: Any = models.TrialSystemAttributeModel
NOT_FOUND: str = models.NOT_FOUND_MSG


# A study and its trials


def storage_of(study: optuna.Study) -> BaseStorage:
    """Return the storage of a study."""
    return study._storage


def id_of(study: optuna.Study, number: int) -> int:
    """Return Optuna's id of a trial."""
    return study._storage.get_trial_id_from_study_id_trial_number(study._study_id, number)


def taken_up(study: optuna.Study, frozen: FrozenTrial) -> optuna.trial.Trial:
    """Return a trial that is RUNNING in the database as one that can be drawn further."""
    return optuna.trial.Trial(study, frozen._trial_id)


def set_constraints(study: optuna.Study, number: int, amounts: Iterable[tuple[str, float]]) -> None:
    """Store how far a trial violates each constraint; an amount above 0 is a violation."""
    storage, id, named = study._storage, id_of(study, number), dict(amounts)
    # The list is what optuna-dashboard 0.21 shows, the named ones are Optuna 5's own.
    storage.set_trial_system_attr(id, _CONSTRAINTS_KEY, list(named.values()))
    for name, amount in named.items():
        storage.set_trial_system_attr(id, f"{_CONSTRAINTS_KEY}:{name}", amount)


def attach_drawing(study: optuna.Study, number: int, architecture_id: str) -> None:
    """Attach the drawing of its network to a trial that has not ended, as an artifact of Optuna.

    The artifact's id is the network's. No file is written: `dcasearch.dashboard.drawings` draws it from the database.
    """
    meta = drawing_of(architecture_id)
    id = id_of(study, number)
    study._storage.set_trial_system_attr(id, f"{ARTIFACTS_ATTR_PREFIX}{architecture_id}", json.dumps(meta))


def drawing_of(architecture_id: str) -> dict[str, str | None]:
    """Return what Optuna stores of the artifact that is a network's drawing."""
    return {
        "artifact_id": architecture_id,
        "filename": "network.svg",
        "mimetype": "image/svg+xml",
        "encoding": None,
    }


class View(optuna.Study):
    """A study as a sampler shall see it: with these trials alone."""

    def __init__(self, study: optuna.Study, trials: Sequence[FrozenTrial]) -> None:
        self.__dict__.update(study.__dict__)
        self._seen = trials

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return [t for t in self._seen if states is None or t.state in states]


# Samplers


def pareto_front(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> list[FrozenTrial]:
    """Return the complete trials that no other one is better than in every objective."""
    return _get_pareto_front_trials_by_trials(trials, directions)


def share_search_space(sampler: NSGAIISampler, space: IntersectionSearchSpace) -> None:
    """Let a new sampler use the search space that earlier ones have worked out, instead of reading all trials."""
    sampler._search_space = space


# Storages


def uncached(storage: BaseStorage) -> BaseStorage:
    """Return the storage behind Optuna's cache."""
    return storage._backend if isinstance(storage, _CachedStorage) else storage


class OpenStorage(RDBStorage):
    """Optuna's `RDBStorage`; its private steps are methods that a subclass may replace."""

    def transaction(self) -> AbstractContextManager[Session]:
        """Return a session on Optuna's tables; the end of the block commits it."""
        return _create_scoped_session(self.scoped_session)

    def row_of(self, trial_id: int, session: Session) -> Any:
        """Return a trial's row; KeyError where there is none."""
        return TRIALS.find_or_raise_by_id(trial_id, session)

    def close(self) -> None:
        """Close the connections; the storage can be used no more."""
        if "scoped_session" in vars(self):  # not where the driver is missing
            self.remove_session()
            self.engine.dispose()

    def write_param(
        self,
        trial_id: int,
        name: str,
        value: float,
        distribution: BaseDistribution,
        previous_distribution: BaseDistribution | None,
    ) -> None:
        """Write a parameter of a running trial; `previous_distribution` is None where the cache knows none."""
        super()._set_trial_param(trial_id, name, value, distribution, previous_distribution)

    def make_trial(self, study_id: int, template_trial: FrozenTrial | None) -> FrozenTrial:
        """Make a trial in a transaction of its own."""
        return super()._create_new_trial(study_id, template_trial)

    def make_row(self, study_id: int, template_trial: FrozenTrial | None, session: Session) -> Any:
        """Make a trial's row within the transaction of `make_trial`."""
        return super()._get_prepared_new_trial(study_id, template_trial, session)

    def read_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """Return a study's trials above an id, and the included ones below it."""
        return super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)

    def best_trial_id(self, study_id: int, direction: StudyDirection) -> int:
        """Return the id of the best complete trial."""
        return super()._get_best_trial_id(study_id, direction)

    # What Optuna calls

    def _set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
        previous_distribution: BaseDistribution | None,
    ) -> None:
        self.write_param(trial_id, param_name, param_value_internal, distribution, previous_distribution)

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        return self.make_trial(study_id, template_trial)

    def _get_prepared_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None, session: Session
    ) -> models.TrialModel:
        row: models.TrialModel = self.make_row(study_id, template_trial, session)
        return row

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        return self.read_trials(study_id, states, included_trial_ids, trial_id_greater_than)

    def _get_best_trial_id(self, study_id: int, direction: StudyDirection) -> int:
        return self.best_trial_id(study_id, direction)
