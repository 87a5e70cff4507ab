"""A study gets another name, or leaves the database, with all its rows and nobody else's."""

from __future__ import annotations

import dataclasses
import json

import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from dcasearch.errors import StorageError, UserError
from dcasearch.store import Store
from dcasearch.trial import State
from tests.store import sql
from tests.store.samples import ARCHITECTURE, STUDY, evaluation, role, trial

OTHER = "other"
OWN, SHARED = evaluation(50.0, seed=1), evaluation(60.0, seed=2)


def put(store: Store, name: str) -> None:
    """A study of this name with Optuna's trials, one training of its own and one that every such study names."""
    store.put_study(name, {"sampler.seed": 0}, json.dumps({"name": name, "fidelities": [{"name": "proxy"}]}), {"n": 1})
    store.put_architecture(ARCHITECTURE)
    store.put_costs(ARCHITECTURE.id, 32, 10, {"params": 5})
    storage = store.optuna
    made = storage.create_new_study([StudyDirection.MAXIMIZE], f"{name}.proxy")
    for _ in range(2):
        id = storage.create_new_trial(made)
        storage.set_trial_param(id, "n", 1.0, optuna.distributions.IntDistribution(0, 3))
        storage.set_trial_user_attr(id, "state", "complete")
        storage.set_trial_intermediate_value(id, 1, 0.5)
        storage.set_trial_state_values(id, optuna.trial.TrialState.COMPLETE, [0.5])
    own = dataclasses.replace(OWN, key=dataclasses.replace(OWN.key, data=name))
    values = {"state": State.COMPLETE, "values": (1.0,)}
    store.record_and_put(own, trial(0, study=name, evaluation=own.key.id, **values))
    store.record_and_put(SHARED, trial(1, study=name, evaluation=SHARED.key.id, **values))
    store.put_role(role("vanilla se", study=name, evaluation=own.key.id))
    store.request(name, "cancel", "proxy", 1)
    with store.lease(name):
        pass


def optuna_names(storage: BaseStorage) -> set[str]:
    return {study.study_name for study in storage.get_all_studies()}


def test_a_renamed_study_is_what_it_was_under_its_new_name(store: Store, url: str) -> None:
    put(store, STUDY)
    put(store, OTHER)
    before, other = store.get_study(STUDY), store.trials(OTHER)
    trials, roles, run = store.trials(STUDY), store.roles(STUDY), store.last_run(STUDY)
    changed = sql.run(url, "SELECT changed FROM dca_trials ORDER BY study, number")
    store.rename_study(STUDY, "a-new")
    assert before is not None
    after = store.get_study("a-new")
    assert after is not None
    assert json.loads(after.resolved) == {**json.loads(before.resolved), "name": "a-new"}
    assert dataclasses.replace(after, name=STUDY, resolved=before.resolved) == before
    assert store.trials("a-new") == [dataclasses.replace(one, study="a-new") for one in trials]
    assert store.roles("a-new") == [dataclasses.replace(one, study="a-new") for one in roles]
    assert store.last_run("a-new") == run
    assert [request.number for request in store.requests("a-new")] == [1]
    assert sql.run(url, "SELECT changed FROM dca_trials ORDER BY study, number") == changed
    assert (store.get_study(STUDY), store.trials(STUDY), store.last_run(STUDY)) == (None, [], None)
    assert store.trials(OTHER) == other
    with sql.plain_optuna(url) as storage:
        assert optuna_names(storage) == {"a-new.proxy", f"{OTHER}.proxy"}


def test_a_rename_that_is_repeated_changes_nothing(store: Store) -> None:
    put(store, STUDY)
    store.rename_study(STUDY, "anew")
    store.rename_study(STUDY, "anew")
    assert [study.name for study in store.studies()] == ["anew"]


def test_a_name_that_is_taken_is_refused_and_nothing_is_renamed(store: Store) -> None:
    put(store, STUDY)
    put(store, OTHER)
    with pytest.raises(UserError, match="holds a study 'other' already; nothing was renamed"):
        store.rename_study(STUDY, OTHER)
    assert {study.name for study in store.studies()} == {STUDY, OTHER}


def test_a_damaged_study_is_not_renamed(store: Store) -> None:
    store.put_study(STUDY, {}, "name: digits\n")
    with pytest.raises(StorageError, match="'digits' is damaged"):
        store.rename_study(STUDY, "anew")
    assert store.get_study(STUDY) is not None


def test_a_study_that_optuna_was_never_told_of_is_renamed_and_deleted(store: Store, url: str) -> None:
    store.put_study(STUDY, {}, "{}")
    assert "trials" not in sql.tables(url)
    store.rename_study(STUDY, "anew")
    store.delete_study("anew")
    assert store.studies() == []


def test_what_a_study_shares_with_another_stays_when_it_is_deleted(store: Store, url: str) -> None:
    put(store, OTHER)
    before = {table: sql.run(url, f'SELECT count(*) FROM "{table}"') for table in sorted(sql.tables(url))}
    kept = store.trials(OTHER), store.roles(OTHER), store.evaluation(SHARED.key.id)
    put(store, STUDY)
    held = store.holdings(STUDY)
    assert (held.trials, held.roles, len(held.evaluations), held.shared) == (2, 1, 1, 1)
    store.delete_study(STUDY)
    assert store.recorded({*held.evaluations, SHARED.key.id}) == {SHARED.key.id}
    assert (store.trials(OTHER), store.roles(OTHER), store.evaluation(SHARED.key.id)) == kept
    after = {table: sql.run(url, f'SELECT count(*) FROM "{table}"') for table in sorted(sql.tables(url))}
    assert after == before
    with sql.plain_optuna(url) as storage:
        assert optuna_names(storage) == {f"{OTHER}.proxy"}
        assert len(storage.get_all_trials(storage.get_study_id_from_name(f"{OTHER}.proxy"))) == 2


def test_nothing_is_left_of_the_only_study_that_is_deleted(store: Store, url: str) -> None:
    put(store, STUDY)
    store.delete_study(STUDY)
    store.delete_study(STUDY)  # as after a commit whose answer was lost
    left = {table for table in sql.tables(url) if sql.run(url, f'SELECT count(*) FROM "{table}"') != [(0,)]}
    assert left <= {"version_info", "alembic_version", "dcasearch_alembic_version"}
    put(store, STUDY)  # the store does not believe that the architecture is still there
    assert store.get_architecture(ARCHITECTURE.id) == ARCHITECTURE


def test_architectures_stay_while_another_study_runs_and_may_know_them(store: Store) -> None:
    put(store, STUDY)
    store.put_study(OTHER, {}, "{}")
    with store.lease(OTHER):
        store.delete_study(STUDY)
        assert store.architecture_ids() == [ARCHITECTURE.id]


def test_an_optuna_study_of_the_users_own_stays(store: Store, url: str) -> None:
    put(store, STUDY)
    store.optuna.create_new_study([StudyDirection.MAXIMIZE], f"{STUDY}.mine")
    store.delete_study(STUDY)
    with sql.plain_optuna(url) as storage:
        assert optuna_names(storage) == {f"{STUDY}.mine"}


def test_housekeeping_is_not_a_run_of_the_study(store: Store) -> None:
    with store.lease(STUDY) as lease:
        lease.outcome = "2 hours of this run are over"
    with store.lease(STUDY, noted=False):
        pass
    run = store.last_run(STUDY)
    assert run is not None
    assert run.outcome == "2 hours of this run are over"
