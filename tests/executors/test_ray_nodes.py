"""Nodes that cannot run a study: they are named and left out, and its trials go elsewhere."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dcasearch.config.data_set import Data
from dcasearch.config.study import Executor as Settings
from dcasearch.config.study import Resources
from dcasearch.errors import DataError, UserError
from dcasearch.executors.ray import node_watch
from dcasearch.executors.ray.bridge import Bridge
from dcasearch.executors.ray.node_watch import NodeWatch
from dcasearch.executors.ray.preflight import NodeReport
from dcasearch.executors.ray.signals import Signals
from dcasearch.search.work import Job
from tests.executors.support import Listed
from tests.training.support import curve, make_assignment

REPORTED = [field.name for field in dataclasses.fields(NodeReport)]
JOB = Job(label="job 0", number=0, assignment=make_assignment(), resources=Resources(cpu=2))


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, float]]:
    known = {"aa": {"CPU": 2.0}, "bb": {"CPU": 2.0}, "small": {"CPU": 1.0}}
    monkeypatch.setattr(node_watch, "nodes", lambda: known)
    monkeypatch.setattr(node_watch, "grows", lambda: False)
    monkeypatch.setattr(node_watch, "_name", lambda node: f"host-{node}")
    return known


def test_trials_keep_away_from_the_nodes_that_are_left_out(nodes: dict[str, Any]) -> None:
    watch = NodeWatch("artifacts", "token")
    assert watch.selector() is None
    assert watch.leave_out("bb", DataError("no data")) == "host-bb: no data"
    watch.leave_out("aa", DataError("no data either"))
    assert watch.selector() == {"ray.io/node-id": "!in(aa, bb)"}


def test_a_study_ends_once_every_node_that_could_hold_a_trial_is_left_out(
    nodes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = NodeWatch("artifacts", "token")
    watch.leave_out("bb", DataError("no data"))
    watch.refuse_nowhere(JOB)
    watch.leave_out("aa", DataError("another package"))
    with pytest.raises(UserError, match="no node can run this study:\nhost-aa: another package\nhost-bb: no data"):
        watch.refuse_nowhere(JOB)
    watch.refuse_nowhere(dataclasses.replace(JOB, resources=Resources(cpu=1)))  # the small node holds it
    monkeypatch.setattr(node_watch, "grows", lambda: True)
    watch.refuse_nowhere(JOB)  # a node may come


def test_a_node_is_named_once_however_many_trials_were_on_their_way_there(
    nodes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = NodeWatch("artifacts", "token")
    monkeypatch.setattr(watch, "look", lambda job: [])
    work = Listed([make_assignment(), make_assignment(seed=1)])
    signals = cast(Signals, SimpleNamespace(name="signals"))
    bridge = Bridge(work, "artifacts", 2, threading.Event(), signals, watch)
    monkeypatch.setattr(bridge, "_capacity", lambda: 2)
    assert bridge.suggest("a")
    assert bridge.suggest("b")
    for trial in ("a", "b"):
        bridge.result(trial, DataError("no data here"), "aa")
    assert bridge.error is None
    assert work.notes == ["node left out: host-aa: no data here"]
    assert [job.number for job in work.ready] == [0, 1]


def test_every_node_is_asked_about_one_split_of_the_data_also_where_later_jobs_are_of_another(
    nodes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Remote:
        def options(self, **options: Any) -> Remote:
            return self

        def remote(self, data: Data, *rest: Any) -> object:
            asked.append(data.split_seed)
            return object()

    monkeypatch.setattr(node_watch, "look_here", lambda data, *rest: NodeReport(**dict.fromkeys(REPORTED, "")))
    monkeypatch.setattr(node_watch, "remote", lambda *arguments, **options: Remote())
    monkeypatch.setattr(node_watch, "NodeAffinitySchedulingStrategy", lambda node, soft: None)
    monkeypatch.setattr(node_watch.ray, "wait", lambda answers, **options: ([], answers))
    watch = NodeWatch("artifacts", "token")
    watch.look(JOB)
    split = JOB.assignment.data.model_copy(update={"split_seed": 5})
    nodes["late"] = {"CPU": 2.0}
    watch.look(dataclasses.replace(JOB, assignment=dataclasses.replace(JOB.assignment, data=split)))
    assert asked == [0, 0, 0, 0]


@pytest.fixture
def one_good_and_one_bad_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A node of one CPU, and one of two whose Python lacks this package."""
    from ray.cluster_utils import Cluster

    from dcasearch.executors.ray import connected

    broken = tmp_path_factory.mktemp("broken")
    # The driver's folders come first in a worker's path, so an empty folder would hide nothing.
    (broken / "sitecustomize.py").write_text("import sys\nsys.modules['dcasearch'] = None\n")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=2, env_vars={"PYTHONPATH": str(broken)})
    with connected(str(cluster.address)):
        yield
    cluster.shutdown()


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.usefixtures("one_good_and_one_bad_node")
def test_a_node_that_lacks_the_package_is_named_and_its_trials_go_elsewhere(tmp_path: Path) -> None:
    from dcasearch.executors.ray import RayExecutor

    work = Listed([make_assignment(), make_assignment(seed=1)], retries=0)
    RayExecutor(str(tmp_path), Settings(name="ray", max_concurrent=3, address="auto")).run(work)
    assert work.failures == []
    assert sorted(work.finished) == [0, 1]
    assert sorted(work.placed) == [0, 1]
    (note,) = work.notes
    assert note.startswith("node left out: ")
    assert "cannot run this package: " in note
    assert not list(tmp_path.glob("preflight-*"))


@pytest.mark.slow
@pytest.mark.ray
def test_a_node_that_lacks_the_data_gives_its_trial_back_and_a_cluster_without_any_ends_the_run(
    tmp_path: Path,
) -> None:
    import ray
    from ray.cluster_utils import Cluster

    from dcasearch.executors.ray import RayExecutor, connected
    from dcasearch.executors.ray.actor import TrainingActor

    class Lacking(TrainingActor):
        """Meets data that has gone, on the nodes that a file names."""

        def step(self) -> dict[str, Any]:
            node = ray.get_runtime_context().get_node_id()
            if node in (tmp_path / "lacking").read_text().split():
                return {"message": DataError("no data here"), "node": node}
            return super().step()

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    try:
        with connected(str(cluster.address)):
            settings = Settings(name="ray", max_concurrent=2, address="auto")
            ids = [node["NodeID"] for node in ray.nodes()]  # type: ignore[no-untyped-call]  # ray has no types here
            (tmp_path / "lacking").write_text(ids[0])
            work, reference = (
                Listed([make_assignment(), make_assignment(seed=1)], retries=0),
                Listed([make_assignment()]),
            )
            RayExecutor(str(tmp_path / "some"), settings, trainable=Lacking).run(work)
            assert work.failures == []
            assert sorted(work.finished) == [0, 1]
            assert [note.split(": ")[-1] for note in work.notes] == ["no data here"]
            RayExecutor(str(tmp_path / "reference"), settings).run(reference)
            assert curve(work.finished[0]) == curve(reference.finished[0])
            (tmp_path / "lacking").write_text(" ".join(ids))
            with pytest.raises(UserError, match=r"no node can run this study:(\n.*no data here){2}"):
                RayExecutor(str(tmp_path / "none"), settings, trainable=Lacking).run(Listed([make_assignment(seed=2)]))
    finally:
        cluster.shutdown()
