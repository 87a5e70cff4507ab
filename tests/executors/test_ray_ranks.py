"""Trials that several ranks train together on Ray: one rank a bundle, in the trial's own placement group."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dcasearch.config.study import Executor as Settings
from dcasearch.config.study import Resources
from dcasearch.evaluation import Epoch
from dcasearch.search.work import Job
from dcasearch.training import Assignment
from tests.executors.support import Listed, faulty
from tests.training.support import curve, make_assignment

pytestmark = [pytest.mark.slow, pytest.mark.ray]


@pytest.fixture(scope="module")
def _two_cpus() -> Iterator[None]:
    """A Ray with room for one trial of two ranks."""
    from ray.cluster_utils import Cluster

    from dcasearch.executors.ray import connected

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    cluster.add_node(num_cpus=1)
    cluster.add_node(num_cpus=1)
    with connected(str(cluster.address)):
        yield
    cluster.shutdown()


def of_two_ranks(*assignments: Assignment, **options: object) -> Listed:
    work = Listed(list(assignments), **options)  # type: ignore[arg-type]  # passed on
    work.ready = [dataclasses.replace(job, resources=Resources(cpu=2, ranks=2)) for job in work.ready]
    return work


def run(work: Listed, artifacts: Path) -> None:
    from dcasearch.executors.ray import RayExecutor

    RayExecutor(str(artifacts), Settings(name="ray", max_concurrent=2)).run(work)


def held() -> float:
    """CPUs that something holds."""
    import ray

    return float(ray.cluster_resources()["CPU"] - ray.available_resources().get("CPU", 0.0))


@pytest.mark.usefixtures("_two_cpus")
def test_two_nodes_train_one_network_and_repeat_its_values(tmp_path: Path) -> None:
    first, second = of_two_ranks(make_assignment()), of_two_ranks(make_assignment())
    run(first, tmp_path / "first")
    run(second, tmp_path / "second")
    assert first.failures == []
    assert [epoch for _, epoch, _ in first.epochs] == [1, 2, 3]
    assert first.finished[0].provenance["ranks"] == "2"
    assert curve(first.finished[0]) == curve(second.finished[0])


@pytest.mark.usefixtures("_two_cpus")
def test_a_trial_that_is_stopped_frees_every_bundle_at_once(tmp_path: Path) -> None:
    """The second trial needs both CPUs that the first one held."""
    work = of_two_ranks(make_assignment(epochs=1000), make_assignment(seed=1, epochs=1))
    stopped: list[float] = []

    def stop_the_first(job: Job, epoch: Epoch) -> bool:
        if job.number == 0 and epoch.epoch == 2:
            stopped.append(time.monotonic())
            return False
        return True

    work.on_epoch = stop_the_first
    run(work, tmp_path)
    assert set(work.finished) == {0, 1}
    (ended,) = (when for job, _, when in work.epochs if job == 1)
    assert ended - stopped[0] < 60  # two processes import torch meanwhile; a leaked group would never give way
    deadline = time.monotonic() + 10
    while held() > 0 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert held() == 0


@pytest.mark.usefixtures("_two_cpus")
@pytest.mark.parametrize(("fault", "kind"), [("raise", "bug"), ("oom", "oom")])
def test_what_the_ranks_raise_is_the_trials_failure_and_the_next_trial_runs(
    fault: str, kind: str, tmp_path: Path
) -> None:
    work = of_two_ranks(faulty(fault), make_assignment(seed=2, epochs=1))  # type: ignore[arg-type]  # one of its faults
    run(work, tmp_path)
    assert [(number, failure.kind) for number, failure in work.failures] == [(0, kind)], work.failures
    assert 1 in work.finished


@pytest.mark.usefixtures("_two_cpus")
def test_a_rank_that_is_killed_costs_a_retry_and_the_trial_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_the_other_rank(job: Job, epoch: Epoch) -> bool:
        if epoch.epoch == 2 and not killed:
            killed.extend(
                p.pid for p in psutil.Process().children(recursive=True) if "ray::_Rank" in " ".join(p.cmdline())
            )
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
        return True

    work = of_two_ranks(make_assignment(epochs=4))
    work.on_epoch = kill_the_other_rank
    run(work, tmp_path / "killed")
    assert len(killed) == 1
    ((_, failure),) = work.failures
    assert failure.kind == "lost"
    undisturbed = of_two_ranks(make_assignment(epochs=4))
    run(undisturbed, tmp_path / "undisturbed")
    assert curve(work.finished[0]) == curve(undisturbed.finished[0])
