"""What a Ray cluster can hold, what is wrong with it before anything is spent, and who may see a password."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from dcasearch.config.study import Resources
from dcasearch.errors import UserError
from dcasearch.executors.ray.cluster import bundles, capacity, connected, may_grow, raylet_logged
from dcasearch.executors.ray.preflight import NodeReport, preflight, refuse_unholdable, unholdable
from tests.support import make_study

NODES = [{"CPU": 8.0, "GPU": 2.0}, {"CPU": 4.0}]


@pytest.mark.parametrize(
    ("resources", "places"),
    [
        (Resources(cpu=1), 12),
        (Resources(cpu=4, gpu=0.5), 2),  # both on the node with the GPUs, by its CPUs
        (Resources(cpu=1, gpu=0.5), 4),
        (Resources(cpu=1, gpu=0.3), 6),
        (Resources(cpu=3, ranks=3), 4),
        (Resources(cpu=2, gpu=2), 1),
        (Resources(cpu=16), 0),
        (Resources(cpu=4, gpu=4), 0),
    ],
)
def test_capacity_counts_what_fits_whole_into_a_node(resources: Resources, places: int) -> None:
    assert capacity(resources, NODES) == places


def test_each_rank_has_a_bundle_with_its_share() -> None:
    assert bundles(Resources(cpu=8, gpu=2)) == [{"CPU": 4.0, "GPU": 1.0}] * 2
    assert bundles(Resources(cpu=2, gpu=0.5)) == [{"CPU": 2.0, "GPU": 0.5}]
    assert bundles(Resources(cpu=2, ranks=2)) == [{"CPU": 1.0}] * 2


def test_the_raylets_messages_are_logged_and_not_printed_among_the_studys_lines(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    from ray._private import worker

    message = {"lines": ["A worker died"], "pid": "raylet", "is_err": False}
    before = worker.print_to_stdstream
    with raylet_logged(), caplog.at_level("INFO"):
        worker.print_to_stdstream(message, ignore_prefix=False)
    assert "A worker died" in caplog.text
    assert capsys.readouterr().out == ""
    assert worker.print_to_stdstream is before
    worker.print_to_stdstream(message, ignore_prefix=False)  # Ray calls it by this name and prints to stdout
    assert "A worker died" in capsys.readouterr().out


def test_resources_that_no_node_can_hold_are_refused_by_name() -> None:
    study = make_study(executor={"name": "ray", "resources": {"proxy": {"cpu": 64, "gpu": 8}}})
    (problem,) = unholdable(study, NODES)
    assert problem.startswith("executor.resources.proxy: a trial needs 8 x (8 CPU, 1 GPU), each within one node")
    assert problem.endswith("the largest of 2 nodes has 8 CPU, 2 GPU")
    assert unholdable(make_study(executor={"name": "ray"}), NODES) == []


@pytest.mark.parametrize(
    ("growing", "refused"),
    [(False, True), (True, False)],
)
def test_a_study_that_no_node_can_hold_is_refused_unless_the_cluster_grows(
    growing: bool, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules[refuse_unholdable.__module__]  # the package has a function of the module's name
    monkeypatch.setattr(module, "grows", lambda: growing)
    monkeypatch.setattr(module, "nodes", lambda: dict(enumerate(NODES)))
    study = make_study(executor={"name": "ray", "resources": {"proxy": {"cpu": 9}}})
    with pytest.raises(UserError, match="the largest of 2 nodes has 8 CPU") if refused else nullcontext():
        refuse_unholdable(study)
    refuse_unholdable(make_study(executor={"name": "ray"}))


@pytest.mark.parametrize(
    ("status", "groups", "expected"),
    [
        (None, ["", ""], False),
        ({"autoscaler_report": {"active_nodes": {"node_0a1b": 1}, "pending_nodes": []}}, [""], False),
        ({"autoscaler_report": {"active_nodes": {"ray.head.default": 1}}}, [""], True),
        ({"autoscaler_report": {"active_nodes": {}, "pending_nodes": [["1.2.3.4", "gpu", "up"]]}}, [""], True),
        ({"autoscaler_report": None}, ["", "workergroup"], True),
    ],
)
def test_a_cluster_grows_where_an_autoscaler_names_its_nodes(
    status: dict[str, Any] | None, groups: list[str], expected: bool
) -> None:
    assert may_grow(None if status is None else json.dumps(status), groups) is expected


def report(**changes: str) -> NodeReport:
    same: dict[str, Any] = {
        "node": "n1",
        "resources": "2 CPU",
        "data": "abc",
        "version": "0.1.0 1234",
        "device": "cpu",
        "scratch": "/tmp, 5 GiB free",
        "artifacts": "/shared",
    }
    return NodeReport(**{**same, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"data": "other"}, "its data has fingerprint other, the driver's abc"),
        ({"data": "no: there is no folder /data"}, "data: no: there is no folder /data"),
        ({"version": "0.1.0 9999"}, "runs 0.1.0 9999, the driver 0.1.0 1234"),
        ({"scratch": "no: read-only"}, "scratch: no: read-only"),
        ({"artifacts": "no: not the driver's"}, "artifacts: no: not the driver's"),
    ],
)
def test_a_node_that_differs_from_the_driver_is_a_problem(changes: dict[str, str], words: str | None) -> None:
    problems = report(**changes).problems(report(node="driver"))
    assert problems == ([] if words is None else [f"n1: {words}"])


def test_ranks_need_a_cpu_each_and_whole_gpus_or_a_share() -> None:
    with pytest.raises(ValueError, match="4 ranks need at least 4 CPUs"):
        Resources(cpu=2, ranks=4)
    with pytest.raises(ValueError, match="cannot be shared by 2 ranks"):
        Resources(cpu=8, gpu=3, ranks=2)


@pytest.mark.parametrize("password", ["s3%25cret", pytest.param("s3%cret", marks=pytest.mark.slow)])
def test_a_password_in_the_command_line_is_refused_before_ray_could_show_it(password: str) -> None:
    code = (
        "from dcasearch.executors.ray import connected\n"
        "from dcasearch.errors import UserError\n"
        "try:\n    with connected(None, 's3%cret'): print('connected')\n"
        "except UserError as error: print(error)\n"
    )
    written = f"--storage=postgresql://me:{password}@host/db"
    shown = subprocess.run([sys.executable, "-c", code, written], capture_output=True, text=True, check=True).stdout
    assert "stands in the command line" in shown
    assert "cret" not in shown


@pytest.mark.parametrize("address", ["127.0.0.1:1", "auto", "nowhere"])
def test_no_cluster_at_the_address_says_both_ways_out_at_once(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # What `auto` finds once a head has gone without a `ray stop`.
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    begun = time.monotonic()
    with pytest.raises(UserError) as refused, connected(address):
        pass
    assert time.monotonic() - begun < 60
    assert f"no Ray cluster at executor.address '{address}'" in str(refused.value)
    assert "`ray start --head`" in str(refused.value)
    assert "leave `address` out" in str(refused.value)


@pytest.mark.slow
@pytest.mark.ray
def test_a_process_that_had_a_ray_of_its_own_can_use_a_cluster_afterwards(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import ray\n"
        "from ray.cluster_utils import Cluster\n"
        "from dcasearch.executors.ray import connected\n"
        "with connected(None):\n    pass\n"
        "cluster = Cluster(initialize_head=True, head_node_args={'num_cpus': 1})\n"
        "with connected(str(cluster.address)):\n"
        "    counter = ray.remote(type('Actor', (), {'train': lambda self: 'trained'})).remote()\n"
        "    print(ray.get(counter.train.remote(), timeout=100))\n"
        "cluster.shutdown()\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=250, check=False)
    assert "trained" in done.stdout, done.stderr


@pytest.fixture
def two_nodes() -> Iterator[str]:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=2, num_gpus=1)
    yield str(cluster.address)
    cluster.shutdown()


@pytest.mark.slow
@pytest.mark.ray
def test_check_cluster_asks_every_node_and_refuses_what_none_can_hold(
    two_nodes: str, tmp_path: Path, write_study: Callable[..., Path]
) -> None:
    artifacts = str(tmp_path / "artifacts")
    ready = make_study(artifacts=artifacts, executor={"name": "ray", "address": two_nodes})
    with connected(two_nodes):
        found = preflight(ready)
        assert len(found.nodes) == 2
        assert {node.data for node in found.nodes} == {found.driver.data}
        assert found.problems == ()
    too_much = {"name": "ray", "address": two_nodes, "resources": {"proxy": {"cpu": 3}}}
    command = [sys.executable, "-m", "dcasearch", "check", "--cluster", str(write_study(executor=too_much))]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert shown.returncode == 2
    assert "executor.resources.proxy: a trial needs 1 x (3 CPU)" in shown.stderr
    assert shown.stdout.count("ready") == 0
    assert "2 CPU, 1 GPU" in shown.stdout


@pytest.mark.slow
@pytest.mark.ray
def test_run_refuses_at_its_start_what_no_node_can_hold(
    two_nodes: str, tmp_path: Path, write_study: Callable[..., Path]
) -> None:
    too_much = {"name": "ray", "address": two_nodes, "resources": {"proxy": {"cpu": 3}}}
    command = [sys.executable, "-m", "dcasearch", "run", str(write_study(executor=too_much))]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    assert shown.returncode == 2, shown.stderr
    assert "a trial needs 1 x (3 CPU), each within one node, and the largest of 2 nodes has 2 CPU, 1 GPU" in (
        " ".join(shown.stderr.split())
    )
    assert "started" not in shown.stdout
