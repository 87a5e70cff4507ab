from __future__ import annotations

import os
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.forecast import Forecast, forecast
from dcasearch.analysis.speeds import room_here
from dcasearch.config.study import Race
from dcasearch.data import DataInfo, describe
from dcasearch.evaluation import Evaluation
from dcasearch.models import cost
from dcasearch.search.race import resolvable
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from tests.support import SPACE, Simulated, make_study

DATA = DataInfo(fingerprint="digits", classes=10, train_images=900, validation_images=100, test_images=10)
PROXY: dict[str, Any] = {"name": "proxy", "trials": 5, "resolution": 16, "epochs": 4}


def foresee(**changes: Any) -> Forecast:
    study = make_study(**changes)
    return forecast(study, read_space(study.space), DATA, None)


def test_the_ranges_are_those_of_every_architecture_of_a_small_space() -> None:
    space = {"backbone": {"name": ["resnet18", "resnet34"], "stem": "small"}, "attention": {"name": "none"}}
    seen = foresee(space=space)
    costs = [cost(point.architecture, 16, 10) for point in read_space(space).enumerate()]
    assert (seen.written, seen.costed, seen.distinct.value) == (2, 2, 2)
    assert (seen.params.low, seen.params.high) == (min(c.params for c in costs), max(c.params for c in costs))
    assert seen.macs.median == statistics.median(c.macs for c in costs)


def test_costs_are_those_at_the_last_fidelity() -> None:
    full = {"name": "full", "promote": {"top": 1}, "resolution": 32, "epochs": 4}
    assert foresee(fidelities=[PROXY, full]).macs.low > 3 * foresee(fidelities=[PROXY]).macs.low


def test_the_infeasible_share_is_that_of_each_constraint() -> None:
    free = foresee()
    seen = foresee(constraints={"params": {"max": free.params.low}, "macs": {"min": free.macs.low}})
    assert 0 < seen.infeasible["params"] < 1
    assert seen.infeasible["macs"] == 0


def test_trainings_are_trials_and_baselines_times_seeds_and_no_more_than_the_space_holds() -> None:
    full = {"name": "full", "promote": {"top": 2, "random": 1}, "resolution": 16, "epochs": 8, "seeds": [0, 1]}
    settings: dict[str, Any] = {"baselines": True, "final": {"seeds": [7, 8, 9]}}
    seen = foresee(fidelities=[PROXY, full], **settings)
    assert [(phase.name, phase.trainings) for phase in seen.phases] == [("proxy", 8), ("full", 12), ("final", 12)]
    two = {**SPACE, "connections": {}}
    assert foresee(space=two, fidelities=[{**PROXY, "trials": 500}]).phases[0].trainings == 2
    again = foresee(space=two, fidelities=[{**PROXY, "trials": 500}], on_duplicate="new_seed")
    assert again.phases[0].trainings == 500


def test_work_is_three_passes_over_train_and_one_over_the_held_out_part() -> None:
    space = {"backbone": {"name": "resnet18", "stem": "small"}, "attention": {"name": "none"}}
    (point,) = read_space(space).enumerate()
    macs = cost(point.architecture, 16, 10).macs
    seen = foresee(space=space, fidelities=[{**PROXY, "trials": 1, "train_fraction": 0.5}])
    assert seen.phases[0].macs == pytest.approx(4 * macs * (3 * 450 + 100))


def test_time_is_unknown_then_from_the_yaml_then_from_the_studys_own_trainings(tmp_path: Path) -> None:
    unknown = foresee()
    assert unknown.phases[0].seconds is None
    assert "gives no `throughput`" in unknown.basis
    written = foresee(throughput="1G", executor={"max_concurrent": 2})
    assert written.phases[0].seconds == pytest.approx(written.phases[0].macs / 1e9 / 2)
    store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    study = make_study(artifacts=str(tmp_path), throughput="1G")
    study_room.run(LoadedStudy(study, read_space(study.space), tmp_path, frozenset()), store, TimedSimulation())
    measured = forecast(study, read_space(study.space), describe(study.data), store)
    assert measured.basis == "this study's own trainings so far"
    architecture = store.get_architecture(store.trials("tiny")[0].architecture_id)
    speed = 3 * 10 * cost(architecture, 16, 10).macs / 5.0
    assert measured.phases[0].seconds == pytest.approx(measured.phases[0].macs / speed, rel=0.01)


class TimedSimulation(Simulated):
    """Each training takes five seconds for ten images."""

    def run(self, work: Any) -> None:
        super().run(Timed(work))


class Timed:
    def __init__(self, work: Any) -> None:
        self.ask, self.report, self.fail = work.ask, work.report, work.fail
        self._work = work

    def finish(self, job: Any, evaluation: Evaluation) -> None:
        self._work.finish(job, replace(evaluation, seconds=5.0))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"name": "cifar10", "root": "nowhere"}, (10, 50_000)),
        ({"name": "imagenet", "root": "nowhere"}, (1000, 1_281_167)),
        ({"name": "imagefolder", "root": "nowhere"}, (1000, 1_281_167)),
    ],
)
def test_data_that_is_not_there_is_assumed_and_said_to_be(data: dict[str, str], expected: tuple[int, int]) -> None:
    study = make_study(data=data)
    seen = forecast(study, read_space(study.space), None, None)
    assert (seen.classes, seen.images, seen.data_found) == (*expected, False)


def test_disk_is_kept_weights_and_checkpoints() -> None:
    seen = foresee(keep_weights=3, executor={"max_concurrent": 2})
    assert seen.disk_bytes == seen.params.high * 4 * (3 + 2 * 2)
    ema = foresee(keep_weights=3, fidelities=[{**PROXY, "recipe": {"ema": 0.99}}])
    assert ema.disk_bytes == ema.params.high * 4 * (3 + 3)


def test_disk_counts_the_weights_of_baselines_and_final_trainings() -> None:
    plain = foresee(keep_weights=3)
    more = foresee(keep_weights=3, baselines=True, final={"seeds": [1000, 1001]})
    baselines = len(read_space(make_study().space).baselines(True))
    assert baselines >= 2
    assert more.disk_bytes - plain.disk_bytes == more.params.high * 4 * (baselines + 2 * (1 + baselines))


def test_a_budget_of_disk_that_cannot_hold_the_study_is_said() -> None:
    needed = foresee(keep_weights=3)
    checkpoints = needed.checkpoint_bytes
    assert needed.disk_problem is None
    assert foresee(keep_weights=3, disk=needed.disk_bytes).disk_problem is None
    tight = foresee(keep_weights=3, disk=needed.disk_bytes - 1).disk_problem
    assert tight is not None
    assert "the worst ones will go" in tight
    hopeless = foresee(keep_weights=3, disk=checkpoints - 1).disk_problem
    assert hopeless is not None
    assert "the run would stop; raise `disk` or lower executor.max_concurrent" in hopeless


ZERO: dict[str, Any] = {"name": "zero", "kind": "zero_cost", "trials": 1, "resolution": 16}
LATER: dict[str, Any] = {"name": "proxy", "promote": {"top": 1}, "resolution": 16, "epochs": 4}


@pytest.mark.parametrize(
    ("score", "passes"),
    [
        ({"score": "synflow"}, 3),
        ({"score": "naswot", "batches": 2}, 2 * 64),
        ({"score": "snip"}, 3 * 64),
        ({"score": "zico", "batches": 4}, 3 * 4 * 64),
    ],
)
def test_a_score_is_worth_its_passes_over_its_batches_and_keeps_no_weights(score: dict[str, Any], passes: int) -> None:
    space = {"backbone": {"name": "resnet18", "stem": "small"}, "attention": {"name": "none"}}
    (point,) = read_space(space).enumerate()
    zero = {**ZERO, **score, "recipe": {"batch_size": 64}}
    seen = foresee(space=space, fidelities=[zero, LATER])
    assert seen.phases[0].macs == passes * cost(point.architecture, 16, 10).macs
    trained = foresee(space=space, fidelities=[{**PROXY, "trials": 1}])
    assert seen.disk_bytes == trained.disk_bytes


def test_the_time_of_scores_is_that_of_those_computed_so_far(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"fidelities": [{**ZERO, "score": "snip", "trials": 3}, LATER], "throughput": "1G"}
    store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    study = make_study(artifacts=str(tmp_path), **changes)
    study_room.run(LoadedStudy(study, read_space(study.space), tmp_path, frozenset()), store, TimedSimulation())
    zero, proxy = forecast(study, read_space(study.space), describe(study.data), store).phases
    assert zero.seconds == 5.0 * zero.trainings
    assert proxy.seconds is not None


def test_a_race_costs_from_two_seeds_of_each_candidate_to_its_last_and_says_what_it_finds() -> None:
    promote = {"top": 2, "random": 1, "race": {"max_seeds": 6}}
    full = {"name": "full", "promote": promote, "resolution": 16, "epochs": 8}
    seen = foresee(fidelities=[PROXY, full], baselines=True)
    told = [(phase.name, phase.least, phase.trainings) for phase in seen.phases]
    assert told == [("proxy", None, 8), ("full", None, 3 * 2 + 3), ("full race", 0, 3 * 4)]
    [race] = seen.races
    assert (race.fidelity, race.candidates, race.noise) == ("full", 3, None)
    assert race.ratio == resolvable(1.0, 3, Race(max_seeds=6))
    given = foresee(fidelities=[PROXY, {**full, "seeds": [0, 1, 2]}])
    assert [(phase.least, phase.trainings) for phase in given.phases] == [(None, 5), (None, 9), (0, 9)]


def test_the_parents_of_a_race_are_one_per_seed() -> None:
    promote = {"top": 2, "race": {"max_seeds": 6}}
    full = {"name": "full", "promote": promote, "resolution": 16, "epochs": 8, "initialize": "vanilla"}
    space = {**SPACE, "connections": {**SPACE["connections"], "function": "direct"}}
    phases = foresee(fidelities=[PROXY, full], space=space).phases
    assert [(phase.name, phase.least, phase.trainings) for phase in phases[1:2]] == [("full parents", 4, 12)]


def test_epochs_that_a_smaller_budget_did_already_are_not_counted_again_and_their_checkpoints_are() -> None:
    full = {"name": "full", "promote": {"top": 2, "random": 1}, "resolution": 16, "epochs": 8, "seeds": [0, 1]}
    step: dict[str, Any] = {"recipe": {"schedule": {"name": "step"}}}
    anew, going_on = (
        foresee(fidelities=[{**PROXY, **recipe}, {**full, **step}], baselines=True) for recipe in ({}, step)
    )
    per_epoch = anew.phases[1].macs / (12 * 8)
    # Of two seeds one is the proxy's: that of 3 trials and 3 baselines, 4 epochs each.
    assert going_on.phases[1].macs == pytest.approx(per_epoch * (12 * 8 - 6 * 4))
    assert going_on.disk_bytes > anew.disk_bytes
    assert going_on.checkpoint_bytes == anew.checkpoint_bytes


def test_the_hours_are_those_of_a_known_device_or_of_its_loaders_where_they_are_slower(tmp_path: Path) -> None:
    from dcasearch.gpu_check.findings import as_json
    from tests.gpu_check.support import NAME, loader, part, rate, report

    study = make_study()
    with Store.open(f"sqlite:///{tmp_path / 'study.db'}", create=True) as store:
        store.put_device(NAME, as_json(report(speed=part(rate("resnet50", 32, 1e12)), data=part(loader("files", 1.0)))))
        held = forecast(study, read_space(study.space), DATA, store, NAME)
        loaded = forecast(study, read_space(study.space), replace(DATA, encoded=1010), store, NAME)
    [phase] = held.phases
    assert phase.seconds == pytest.approx(phase.macs / 1e12)
    assert f"what `gpu-check` measured on {NAME}" in held.basis
    # Five trainings of four epochs, of a thousand images each, at two a second.
    assert loaded.phases[0].seconds == pytest.approx(5 * 4 * 1000 / 2)


def test_the_parents_of_constant_messages_are_counted_unless_they_are_baselines() -> None:
    space = {
        "backbone": {"name": "resnet18", "stem": "small"},
        "attention": {"name": "se", "reduction": [8, 16]},
        "connections": {"dimensions": {"channel": [True, False]}, "message": ["sender", "constant"]},
    }
    settings: dict[str, Any] = {"space": space, "fidelities": [PROXY], "final": {"seeds": [7, 8]}}
    seen = foresee(**settings, baselines=False)
    assert [(phase.name, phase.trainings) for phase in seen.phases] == [
        ("proxy parents", 2),
        ("proxy", 5),
        ("final parents", 2),
        ("final", 2),
    ]
    among = foresee(**settings, baselines=["vanilla se"]).phases
    assert [(phase.name, phase.trainings) for phase in among[:2]] == [("proxy parents", 1), ("proxy", 6)]
    assert not any("parents" in phase.name for phase in foresee(fidelities=[PROXY]).phases)


def test_a_parent_of_constant_messages_that_is_a_row_of_the_list_is_trained_anyway() -> None:
    backbone, attention = {"name": "resnet18", "stem": "small"}, {"name": "se"}
    vanilla = {"label": "SE", "backbone": backbone, "attention": attention}
    constant = {**vanilla, "label": "constant", "connections": {"message": "constant"}}
    plain = {"label": "plain", "backbone": backbone}
    level = {**{key: value for key, value in PROXY.items() if key != "trials"}, "seeds": [0, 1]}

    def phases(*rows: dict[str, Any]) -> list[tuple[str, int]]:
        listed: dict[str, Any] = {"space": {"architectures": list(rows)}, "sampler": {"name": "grid"}}
        seen = foresee(**listed, fidelities=[level], baselines=False)
        return [(phase.name, phase.trainings) for phase in seen.phases]

    assert phases(plain, vanilla, constant) == [("proxy", 6)]
    assert phases(plain, constant) == [("proxy parents", 2), ("proxy", 4)]


def test_two_trainings_are_not_divided_among_eight_workers() -> None:
    proxy = {**PROXY, "trials": 2}
    alone, eight = (
        foresee(fidelities=[proxy], throughput="1G", executor={"max_concurrent": workers}).phases[0].seconds
        for workers in (1, 8)
    )
    assert alone is not None
    assert eight == pytest.approx(alone / 2)


def test_a_promotion_beyond_the_trials_there_are_counts_those_and_says_so() -> None:
    full = {"name": "full", "promote": {"top": 100}, "resolution": 16, "epochs": 8}
    seen = foresee(fidelities=[PROXY, full])
    assert [phase.trainings for phase in seen.phases] == [5, 5]
    assert seen.short == ("full: promote asks for the top 100, but proxy has 5 trials at most",)
    assert not foresee(fidelities=[PROXY, {**full, "promote": {"top": 5}}]).short


def test_constraints_that_no_architecture_meets_leave_nothing_feasible() -> None:
    low, high = (foresee().params.low, foresee().params.high)
    assert foresee(constraints={"params": {"max": low - 1}}).nothing_feasible
    assert not foresee(constraints={"params": {"max": high}}).nothing_feasible


def test_each_fidelity_has_a_speed_of_its_own() -> None:
    later = {"name": "full", "promote": {"top": 2}, "resolution": 16, "epochs": 8}
    seen = foresee(fidelities=[PROXY, later], throughput={"proxy": "1G", "full": "4G"}, executor={"max_concurrent": 1})
    proxy, full = (phase for phase in seen.phases if phase.name in ("proxy", "full"))
    assert proxy.seconds == pytest.approx(proxy.macs / 1e9)
    assert full.seconds == pytest.approx(full.macs / 4e9)
    partly = foresee(fidelities=[PROXY, later], throughput={"full": "4G"}, executor={"max_concurrent": 1})
    assert {phase.name: phase.seconds is None for phase in partly.phases} == {"proxy": True, "full": False}
    assert partly.basis.startswith("proxy: no training")
    assert "full: `throughput` of the YAML" in partly.basis


@pytest.mark.parametrize(("room", "at_once"), [({"proxy": 2}, 2), ({"proxy": 64}, 4), ({}, 4)])
def test_workers_are_counted_as_far_as_there_is_room(room: dict[str, int], at_once: int) -> None:
    study = make_study(
        fidelities=[{**PROXY, "trials": 50}],
        throughput="1G",
        baselines=False,
        executor={"name": "ray", "max_concurrent": 4},
    )
    [phase] = forecast(study, read_space(study.space), DATA, None, room=room).phases
    assert phase.at_once == at_once
    assert phase.seconds == pytest.approx(phase.macs / 1e9 / at_once)


def test_this_machine_has_room_for_its_cores_and_a_cluster_is_asked() -> None:
    cores = len(os.sched_getaffinity(0))
    local = make_study(executor={"max_concurrent": 99, "resources": {"proxy": {"cpu": cores}}})
    assert room_here(local) == {"proxy": 1}
    assert room_here(make_study(executor={"name": "ray", "max_concurrent": 99})) == {}


def test_what_would_stop_the_run_is_a_mistake_and_no_warning() -> None:
    assert foresee().mistakes == ()
    [disk] = foresee(disk=1000).mistakes
    assert disk.startswith("disk: 1e-06 GB cannot hold")
    [nothing] = foresee(constraints={"params": {"max": 1000}}).mistakes
    assert nothing.startswith("constraints: ")
    assert "and the bound is max 1k. Widen a bound or the space" in nothing
