"""What every database does; `url` is one of SQLite, then one of PostgreSQL."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
from sqlalchemy.exc import IntegrityError

from dcasearch.architecture import Architecture
from dcasearch.errors import StorageError
from dcasearch.evaluation import Epoch
from dcasearch.metrics import METRICS, Metric
from dcasearch.store import Store
from dcasearch.trial import State
from tests.postgres import PASSWORD
from tests.store import sql
from tests.store.samples import ARCHITECTURE, STUDY, curve, evaluation, role, trial, with_study


def test_opening_twice_with_create_keeps_what_is_stored(store: Store, url: str) -> None:
    with_study(store)
    with Store.open(url, create=True) as again:
        assert again.get_study(STUDY) is not None


def test_a_stored_architecture_is_read_without_limits_that_came_later(store: Store) -> None:
    written = {"backbone": {"name": "resnet18", "width": 65.0}, "attention": {"name": "se", "reduction": 2**60}}
    beyond = Architecture.parse(written, stored=True)
    store.put_architecture(beyond)
    assert store.get_architecture(beyond.id) == beyond
    assert store.architectures([beyond.id]) == {beyond.id: beyond}


def test_a_study_is_stored_as_it_was_last_run(store: Store) -> None:
    store.put_study("b", {"space": "x"}, "first")
    store.put_study("a", {"space": "y"}, "other")
    created = store.studies()[0].created
    store.put_study("b", {"space": "x", "extended": [1, None, 0.1]}, "second")
    stored = store.get_study("b")
    assert stored is not None
    assert (stored.meaning, stored.resolved, stored.created) == (
        {"space": "x", "extended": [1, None, 0.1]},
        "second",
        created,
    )
    assert stored.created.utcoffset() is not None
    assert [study.name for study in store.studies()] == ["b", "a"]
    assert store.get_study("c") is None


def test_an_architecture_comes_back_as_the_network_it_was(store: Store) -> None:
    store.put_architecture(ARCHITECTURE)
    store.put_architecture(ARCHITECTURE)
    assert store.get_architecture(ARCHITECTURE.id) == ARCHITECTURE


def test_a_stored_architecture_does_not_depend_on_todays_defaults(store: Store, url: str) -> None:
    store.put_architecture(ARCHITECTURE)
    [(chosen,)] = sql.run(url, "SELECT CAST(written AS TEXT) FROM dca_architectures")
    assert json.loads(chosen)["connections"]["topology"] == "chain"


def test_the_first_written_form_of_a_network_stays(store: Store, url: str) -> None:
    store.put_architecture(ARCHITECTURE)
    same = Architecture.parse({**ARCHITECTURE.to_dict(), "connections": {"function": "direct", "topology": "chain"}})
    with Store.open(url) as other:
        other.put_architecture(same)
        assert other.get_architecture(same.id).to_dict() == ARCHITECTURE.to_dict()


def test_an_unknown_id_is_a_storage_error(store: Store) -> None:
    with pytest.raises(StorageError, match="has no architecture 0123"):
        store.get_architecture("0123")
    with pytest.raises(StorageError, match="has no evaluation 0123"):
        store.evaluation("0123")


def test_costs_are_kept_by_resolution_and_classes(store: Store) -> None:
    with_study(store)
    store.put_costs(ARCHITECTURE.id, 224, 1000, {"params": 11_000_000, "macs": 2**40})
    store.put_costs(ARCHITECTURE.id, 32, 10, {"params": 1, "macs": 2})
    store.put_costs(ARCHITECTURE.id, 32, 10, {"params": 1, "macs": 3})
    assert store.get_costs(ARCHITECTURE.id, 224, 1000) == {"params": 11_000_000, "macs": 2**40}
    assert store.get_costs(ARCHITECTURE.id, 32, 10) == {"params": 1, "macs": 3}
    assert store.get_costs(ARCHITECTURE.id, 32, 100) == {}


def test_many_architectures_and_their_costs_are_read_at_once(store: Store) -> None:
    ids = [ARCHITECTURE.id, *(f"{n:016x}" for n in range(600))]  # more than one query takes
    store.put_architecture(ARCHITECTURE)
    store.put_costs(ARCHITECTURE.id, 32, 10, {"params": 1, "macs": 2.5})
    assert store.architectures(ids) == {ARCHITECTURE.id: ARCHITECTURE}
    assert store.costs(ids, 32, 10) == {ARCHITECTURE.id: {"params": 1, "macs": 2.5}}
    assert store.costs(ids, 64, 10) == {}


def test_a_cost_of_one_device_is_kept_for_that_device(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    latency = Metric(name="latency", label="latency", known="before training", unit="ms", of_device=True)
    monkeypatch.setitem(METRICS._entries, "latency", latency)
    with_study(store)
    store.put_costs(ARCHITECTURE.id, 32, 10, {"params": 1, "latency": 2.5}, device="H100")
    store.put_costs(ARCHITECTURE.id, 32, 10, {"params": 1, "latency": 9.5}, device="cpu")
    assert store.get_costs(ARCHITECTURE.id, 32, 10, "H100") == {"params": 1, "latency": 2.5}
    assert store.get_costs(ARCHITECTURE.id, 32, 10, "cpu") == {"params": 1, "latency": 9.5}
    assert store.get_costs(ARCHITECTURE.id, 32, 10) == {"params": 1}


def test_an_evaluation_comes_back_equal_to_the_last_bit(store: Store) -> None:
    with_study(store)
    made = evaluation(50.0, 1 / 3, 200 / 3, weights="weights/x.safetensors", weights_sha256="ab" * 32)
    assert store.find(made.key) is None
    assert store.record(made) == made
    assert store.find(made.key) == store.evaluation(made.key.id) == made


def test_values_of_the_last_and_the_best_epoch_stand_in_rows_of_their_own(store: Store, url: str) -> None:
    with_study(store).record(evaluation(10.0, 60.0, 40.0))
    assert sql.run(url, "SELECT epochs, best_epoch FROM dca_evaluations") == [(3, 2)]
    assert sql.run(url, "SELECT value, best FROM dca_values WHERE metric = 'top1'") == [(40.0, 60.0)]


def test_a_longer_record_replaces_the_values_of_a_shorter_one(store: Store, url: str) -> None:
    with_study(store).record(evaluation(10.0))
    store.record(evaluation(10.0, 60.0))
    assert sql.run(url, "SELECT value, best FROM dca_values WHERE metric = 'top1'") == [(60.0, 60.0)]


def test_a_diverged_history_is_stored_as_portable_json(store: Store, url: str) -> None:
    first = curve(5.0)[0]
    epoch = dataclasses.replace(first, train_loss=math.inf, values={**first.values, "loss": math.nan})
    with_study(store).record(dataclasses.replace(evaluation(5.0), history=(epoch,)))
    [stored] = store.evaluation(evaluation(5.0).key.id).history
    assert stored.train_loss == math.inf
    assert math.isnan(stored.values["loss"])
    [(history,)] = sql.run(url, "SELECT CAST(history AS TEXT) FROM dca_evaluations")
    [(loss,)] = sql.run(url, "SELECT value FROM dca_values WHERE metric = 'loss'")
    assert json.loads(history, parse_constant=pytest.fail)
    assert loss is None


def test_the_same_record_twice_changes_nothing(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with_study(store)
    made = store.record(evaluation(50.0, 60.0))
    later = tuple(dataclasses.replace(epoch, seconds=9.0) for epoch in made.history)
    assert store.record(dataclasses.replace(made, history=later, device="cuda")) == made
    assert store.evaluation(made.key.id) == made
    assert not caplog.records


def test_weights_are_added_to_a_record_that_has_none(store: Store) -> None:
    with_study(store).record(evaluation(50.0))
    store.record(evaluation(50.0, weights="weights/x.safetensors", weights_sha256="cd"))
    assert store.evaluation(evaluation(50.0).key.id).weights_sha256 == "cd"


def test_a_longer_curve_replaces_a_shorter_one_and_never_the_other_way(store: Store) -> None:
    with_study(store).record(evaluation(50.0))
    longer = evaluation(50.0, 60.0, seconds=3.0)
    assert store.record(longer) == longer
    assert store.record(evaluation(50.0)) == longer
    assert store.find(longer.key) == longer


def test_a_record_without_coefficients_is_equal_to_one_with_them(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    made = with_study(store).record(evaluation(50.0))
    newer = tuple(dataclasses.replace(epoch, alphas={"channel 1→2": 0.5}) for epoch in made.history)
    assert store.record(dataclasses.replace(made, history=newer)) == made
    assert not caplog.records


def test_the_coefficients_of_an_epoch_come_back(store: Store) -> None:
    [epoch] = evaluation(50.0).history
    made = dataclasses.replace(evaluation(50.0), history=(dataclasses.replace(epoch, alphas={"channel 1→2": 0.5}),))
    with_study(store).record(made)
    assert store.evaluation(made.key.id).last.alphas == {"channel 1→2": 0.5}


def test_of_two_different_curves_the_first_stays_with_a_warning(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with_study(store).record(evaluation(50.0))
    with caplog.at_level(logging.WARNING):
        assert store.record(evaluation(51.0)).last.values["top1"] == 50.0
    assert "measured twice with different values" in caplog.text


def test_many_evaluations_are_found_at_once(store: Store) -> None:
    with_study(store)
    made = [store.record(evaluation(float(seed), seed=seed)) for seed in range(3)]
    wanted = [made[0].key.id, made[2].key.id, *(f"{n:016x}" for n in range(2000))]
    assert store.evaluations(wanted) == {made[0].key.id: made[0], made[2].key.id: made[2]}


def test_curves_and_seconds_are_read_without_their_records(store: Store) -> None:
    with_study(store)
    diverged = dataclasses.replace(curve(5.0)[0], values={**curve(5.0)[0].values, "loss": math.inf})
    made = [
        store.record(evaluation(50.0, 200 / 3, seconds=0.1)),
        store.record(dataclasses.replace(evaluation(5.0, seed=1, seconds=0.2), history=(diverged,))),
    ]
    ids = [record.key.id for record in made]
    assert store.curves([*ids, "0" * 16], "top1") == {ids[0]: [50.0, 200 / 3], ids[1]: [5.0]}
    assert store.curves(ids, "loss")[ids[1]] == [math.inf]
    assert store.seconds([*ids, ids[0], "0" * 16]) == pytest.approx(0.3)
    assert store.seconds([]) == 0


def test_seconds_that_a_longer_training_took_over_from_a_shorter_one_are_counted_once(store: Store) -> None:
    with_study(store)
    short = store.record(evaluation(50.0, seconds=2.0))
    long = store.record(evaluation(50.0, 60.0, seed=1, seconds=5.0, reused_seconds=2.0))
    assert store.seconds([short.key.id, long.key.id]) == pytest.approx(5.0)
    assert store.find(long.key) == long


def test_a_trial_comes_back_as_it_was_stored(store: Store) -> None:
    with_study(store)
    full = trial(
        3,
        state=State.DUPLICATE,
        evaluation="e" * 16,
        values=(0.1 + 0.2, 1 / 3),
        epochs=4,
        constraint="params 7 > 5",
        duplicate_of=1,
        failure="nan",
        message="loss is nan",
        retries=2,
        attributes={"reason": "place 1", "probability": 0.1},
    )
    store.put_trial(full)
    store.put_trial(trial(0))
    assert store.trial(STUDY, "proxy", 3) == full
    assert store.trial(STUDY, "proxy", 0) == trial(0)
    assert store.trial(STUDY, "proxy", 1) is None


def test_the_ledger_is_ordered_and_holds_one_row_a_trial(store: Store) -> None:
    with_study(store)
    for number in (10, 2, 0):
        store.put_trial(trial(number))
    store.put_trial(trial(0, fidelity="full"))
    store.put_trial(trial(2, state=State.COMPLETE, values=(1.0,)))
    assert [(t.fidelity, t.number) for t in store.trials(STUDY)] == [
        ("full", 0),
        ("proxy", 0),
        ("proxy", 2),
        ("proxy", 10),
    ]
    assert [t.state for t in store.trials(STUDY, "proxy")] == [State.RUNNING, State.COMPLETE, State.RUNNING]
    assert store.trials("other") == []
    assert store.counts(STUDY) == {"full": {State.RUNNING: 1}, "proxy": {State.RUNNING: 2, State.COMPLETE: 1}}


def test_a_trial_and_its_record_are_stored_together_or_not_at_all(store: Store) -> None:
    with_study(store)
    made = evaluation(50.0)
    with pytest.raises(IntegrityError):
        store.record_and_put(made, trial(0, study="not stored"))
    assert store.find(made.key) is None
    ended = trial(0, state=State.COMPLETE, evaluation=made.key.id, values=(50.0,), epochs=1)
    assert store.record_and_put(made, ended) == made
    assert (store.find(made.key), store.trial(STUDY, "proxy", 0)) == (made, ended)


def test_roles_keep_the_order_in_which_they_were_first_stored(store: Store) -> None:
    with_study(store)
    store.put_role(role("vanilla se"))
    store.put_role(role("chain"))
    store.put_role(role("winner", role="final", seed=1000))
    store.put_role(role("vanilla se", evaluation="e" * 16))
    store.put_role(role("chain", failure="oom", message="out of memory"))
    assert store.roles(STUDY) == [
        role("vanilla se", evaluation="e" * 16),
        role("chain", failure="oom", message="out of memory"),
        role("winner", role="final", seed=1000),
    ]
    assert store.roles("other") == []


def test_writers_wait_for_each_other(store: Store, url: str) -> None:
    with_study(store)

    def write(fidelity: str) -> None:
        with Store.open(url) as own:
            for number in range(30):
                own.put_trial(trial(number, fidelity=fidelity))
                own.put_role(role("chain", fidelity=fidelity))

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, ("proxy", "full")))
    assert store.counts(STUDY) == {"proxy": {State.RUNNING: 30}, "full": {State.RUNNING: 30}}


def test_a_request_stands_until_it_is_answered(store: Store) -> None:
    with_study(store)
    stop = store.request(STUDY, "stop")
    cancel = store.request(STUDY, "cancel", "proxy", 3)
    assert (cancel.study, cancel.kind, cancel.fidelity, cancel.number) == (STUDY, "cancel", "proxy", 3)
    assert cancel.made.utcoffset() is not None
    assert store.requests(STUDY) == [stop, cancel]
    assert store.requests("other") == []
    store.answer(stop)
    store.answer(stop)
    assert store.requests(STUDY) == [cancel]


def test_asking_for_the_same_again_is_one_request(store: Store) -> None:
    with_study(store)
    assert store.request(STUDY, "cancel", "proxy", 3) == store.request(STUDY, "cancel", "proxy", 3)
    assert store.request(STUDY, "stop") == store.request(STUDY, "stop")
    assert len(store.requests(STUDY)) == 2


def test_a_request_to_a_study_that_is_not_stored_is_refused(store: Store) -> None:
    with pytest.raises(IntegrityError):
        store.request("nobody's", "stop")


def test_two_drivers_that_store_the_same_at_once_both_succeed(url: str) -> None:
    barrier = threading.Barrier(4)

    def write(seconds: int) -> None:
        with Store.open(url) as own:
            for seed in range(10):
                barrier.wait()
                own.put_architecture(ARCHITECTURE)
                own.put_costs(ARCHITECTURE.id, seed, 10, {"params": 1, "macs": 2})
                own.record(evaluation(*[50.0] * (1 + seconds), seed=seed, seconds=float(seconds)))
                own.put_role(role(f"chain {seed}"))

    with Store.open(url, create=True) as store:
        store.put_study(STUDY, {}, "")
        with ThreadPoolExecutor() as pool:
            list(pool.map(write, range(4)))
        assert len(store.roles(STUDY)) == 10
        records = store.evaluations(evaluation(1.0, seed=seed).key.id for seed in range(10))
        assert {len(record.history) for record in records.values()} == {4}  # the longest, whoever came last


def test_a_store_has_no_pickle_and_shows_no_password(store: Store) -> None:
    for secretive in (store, store.optuna, optuna.create_study(storage=store.optuna)):
        with pytest.raises(TypeError, match="password"):
            pickle.dumps(secretive)
        assert PASSWORD not in repr(secretive)


def test_a_score_comes_back_as_it_was_with_nothing_measured_beside_it(store: Store, url: str) -> None:
    with_study(store)
    scored = dataclasses.replace(evaluation(1.0), history=(Epoch.of_score(-1 / 3, 0.5, "cpu"),))
    assert repr(store.record(scored)) == repr(scored)
    assert repr(store.record(scored)) == repr(scored)  # the same again, though nan differs from nan
    assert repr(store.evaluation(scored.key.id)) == repr(scored)
    assert store.curves([scored.key.id], "score") == {scored.key.id: [-1 / 3]}
    assert sql.run(url, "SELECT metric, value, best FROM dca_values") == [("score", -1 / 3, -1 / 3)]
