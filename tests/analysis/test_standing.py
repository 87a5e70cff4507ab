from __future__ import annotations

import dataclasses
import statistics
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.standing import Compared, load_study_of, others_of, standing_of
from dcasearch.errors import TrialFailure, UserError
from dcasearch.evaluation import Epoch
from dcasearch.metrics import METRICS
from dcasearch.search.work import Job
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from dcasearch.trial import State
from tests import support
from tests.support import DriverDied, Simulated, accuracy, make_study

PROXY: dict[str, Any] = {"name": "proxy", "trials": 5, "resolution": 16, "epochs": 3}
FULL: dict[str, Any] = {"name": "full", "promote": {"top": 2}, "resolution": 16, "epochs": 4, "seeds": [0, 1]}


def run(folder: Path, executor: Simulated | None = None, **changes: Any) -> Store:
    study = make_study(
        **{
            "artifacts": str(folder),
            "fidelities": [PROXY, FULL],
            "baselines": True,
            "final": {"seeds": [100, 101]},
            **changes,
        }
    )
    store = Store.open(f"sqlite:///{folder}/study.db", create=True)
    loaded = LoadedStudy(study, read_space(study.space), folder / "study.yaml", frozenset())
    study_room.run(loaded, store, executor or Simulated())
    return store


def test_a_finished_study_has_counts_leaders_baselines_and_a_winner_over_its_seeds(tmp_path: Path) -> None:
    store = run(tmp_path)
    standing = standing_of(store, "tiny")
    proxy, full = standing.fidelities
    assert proxy.counts[State.COMPLETE] == 5
    best = max(t.values[0] for t in proxy.trials if t.values is not None)
    assert proxy.leader is not None
    assert proxy.leader.compared == (best,)
    assert [baseline.name for baseline in full.baselines] == ["plain", "vanilla se", "dca se"]
    assert all(baseline.seeds == (0, 1) for baseline in full.baselines)
    assert full.leader is not None
    assert full.leader.seeds == (0, 1)
    assert standing.winner is not None
    assert full.leader.architecture_id == standing.winner.architecture.id
    assert full.leader.mean == pytest.approx(statistics.fmean(full.leader.compared))
    first, *others = standing.finals
    assert (first.name, first.seeds) == ("winner", (100, 101))
    assert [other.name for other in others] == ["plain", "vanilla se", "dca se"]


def test_a_study_that_optimises_a_further_metric_is_led_and_compared_by_it(tmp_path: Path) -> None:
    store = run(tmp_path, objectives={"balanced_accuracy": "maximize"}, metrics=["auroc"])
    standing = standing_of(store, "tiny")
    proxy, full = standing.fidelities
    assert proxy.leader is not None
    assert proxy.leader.headline is METRICS["balanced_accuracy"]
    assert proxy.leader.compared == (max(t.values[0] for t in proxy.trials if t.values is not None),)
    of_trials = store.measured(t.evaluation for t in proxy.trials if t.evaluation is not None)
    assert proxy.leader.values["top1"] == (min(values["top1"] for values in of_trials.values()),)
    assert {metric.name for metric in others_of(proxy.leader)} == {"top1", "top5", "auroc"}
    for power in standing.powers:
        assert power.metric == "balanced_accuracy"
        assert power.headline.at_least is None  # no image's part of it is known, unlike that of a share of images
    assert full.leader is not None
    for baseline in (*full.baselines, *standing.finals[1:]):
        assert baseline.behind is not None
        assert baseline.behind.seeds_alone
    behind = full.baselines[0].behind
    assert behind is not None
    assert behind.value == pytest.approx(full.leader.mean - full.baselines[0].mean)


def test_a_further_metric_that_is_only_measured_leaves_the_leader_and_stands_beside_it(tmp_path: Path) -> None:
    for name in ("usual", "asked"):
        (tmp_path / name).mkdir()
    usual = standing_of(run(tmp_path / "usual"), "tiny").fidelities[-1].leader
    asked = standing_of(run(tmp_path / "asked", metrics=["macro_f1"]), "tiny").fidelities[-1].leader
    assert usual is not None
    assert asked is not None
    assert (asked.architecture_id, asked.compared) == (usual.architecture_id, usual.compared)
    assert [metric.name for metric in others_of(asked)] == ["top5", "macro_f1"]


def test_a_failed_baseline_is_told_with_its_reason(tmp_path: Path) -> None:
    def fail(job: Job) -> TrialFailure | None:
        return TrialFailure("oom", "9 GB") if "baseline plain" in job.label else None

    standing = standing_of(run(tmp_path, Simulated(fail=fail)), "tiny")
    assert standing.fidelities[0].baselines[0].failure == "oom: 9 GB"
    assert standing.fidelities[0].baselines[0].compared == ()


def test_a_study_that_was_cut_off_tells_what_was_running(tmp_path: Path) -> None:
    with pytest.raises(DriverDied):
        run(tmp_path, Simulated(die_at=9), baselines=False)
    standing = standing_of(Store.open(f"sqlite:///{tmp_path}/study.db"), "tiny")
    proxy, full = standing.fidelities
    assert len(proxy.suspended) == 1
    assert (full.trials, full.leader, standing.winner, standing.finals) == ((), None, None, ())


def test_an_unknown_study_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    store = run(tmp_path)
    assert load_study_of(store, "tiny").name == "tiny"
    with pytest.raises(UserError, match="holds no study 'other'; Known: tiny"):
        standing_of(store, "other")


def test_a_zero_cost_fidelity_stands_with_scores_and_without_accuracies(tmp_path: Path) -> None:
    zero = {"name": "zero", "kind": "zero_cost", "score": "snip", "trials": 5, "resolution": 16}
    proxy = {"name": "proxy", "promote": {"top": 2}, "resolution": 16, "epochs": 2}
    objectives = {"top1": "maximize", "macs": "minimize"}
    first, second = standing_of(run(tmp_path, fidelities=[zero, proxy], objectives=objectives), "tiny").fidelities
    assert (first.score, second.score) == ("snip", None)
    assert list(first.objectives) == ["score", "macs"]
    assert list(second.objectives) == ["top1", "macs"]
    assert first.leader is not None
    assert (first.leader.trained, first.leader.mean) == (False, first.leader.values["score"][0])
    assert all(baseline.scored and baseline.compared for baseline in first.baselines)
    assert first.leader.mean == max(t.values[0] for t in first.trials if t.values is not None)


def test_a_lead_is_taken_over_the_seeds_that_both_have() -> None:
    def compared(name: str, **by_seed: float) -> Compared:
        seeds = tuple(int(seed.removeprefix("seed")) for seed in by_seed)
        values = {"top1": tuple(by_seed.values())}
        return Compared(name=name, architecture_id=name, seeds=seeds, headline=METRICS["top1"], values=values)

    leader = compared("trial 0", seed0=90.0, seed1=80.0, seed2=70.0)
    assert leader.ahead_of(compared("plain", seed1=79.0)) == 1.0
    assert leader.ahead_of(compared("plain", seed5=79.0, seed6=80.0)) == 0.5
    scored = [
        Compared(name="z", architecture_id="z", seeds=(0,), headline=METRICS["score"], values={"score": (value,)})
        for value in (3.0, 1.0)
    ]
    assert scored[0].ahead_of(scored[1]) == 2.0


def test_classes_are_those_of_the_last_epoch_of_every_seed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plain = support.make_epoch

    def with_classes(job: Job, epoch: int) -> Epoch:
        of_classes = {"cat": accuracy(job, epoch) / 2, "dog": 1.0 * epoch}
        if job.assignment.seed == 0:
            of_classes["hen"] = 3.0  # of one seed alone: it has no mean over both
        return dataclasses.replace(plain(job, epoch), of_classes=of_classes)

    monkeypatch.setattr(support, "make_epoch", with_classes)
    standing = standing_of(run(tmp_path), "tiny")
    leader = standing.fidelities[1].leader
    assert leader is not None
    assert leader.seeds == (0, 1)
    assert set(leader.of_classes) == {"cat", "dog"}
    assert leader.of_classes["cat"] == tuple(value / 2 for value in leader.compared)
    assert leader.of_classes["dog"] == (4.0, 4.0)
    assert all(set(candidate.of_classes) == {"cat", "dog"} for candidate in standing.finals)
