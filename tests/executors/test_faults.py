"""A study on a real Ray cluster of several nodes, and what may happen to it: the ledger stays whole.

With several workers the order of completion decides what the search sees, so the studies here are random without
pruning: then the ledger is equal, to the last bit, to that of an undisturbed run with every training in one process.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from dcasearch import study as study_room
from dcasearch.analysis.wholeness import Rows, broken_invariants, differences, ledger_of
from dcasearch.space import load_study
from dcasearch.store import Store
from dcasearch.trial import State
from tests.executors.support import InProcess, training_actors
from tests.postgres import PASSWORD, Server, running_server

pytestmark = [pytest.mark.slow, pytest.mark.ray]
NAME = "faults"
STUDY: dict[str, Any] = {
    "name": NAME,
    "space": {
        "backbone": {"name": "mobilenet_v2", "width": 0.25, "stem": "small"},
        "attention": {"name": "se", "reduction": [4, 8]},
        "connections": {"granularity": "stage", "dimensions": {"channel": [True, False]}},
    },
    "data": {"name": "digits"},
    "sampler": {"name": "random", "seed": 1},
    "baselines": ["plain"],
    "fidelities": [
        {
            "name": "proxy",
            "trials": 6,
            "resolution": 16,
            "epochs": 4,
            "train_fraction": 0.5,
            "recipe": {"batch_size": 32, "lr": 0.05, "bn_momentum": 0.1},
        },
    ],
}
EXECUTOR: dict[str, Any] = {
    "name": "ray",
    "max_concurrent": 3,
    "retries": 20,
    "resources": {"proxy": {"cpu": 1, "gpu": 0.5}},
}


@dataclass
class Run:
    """A study in a folder of its own, run by the command line on a cluster."""

    folder: Path
    storage: str
    address: str
    changes: dict[str, Any]

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    def start(self) -> subprocess.Popen[str]:
        self.folder.mkdir(exist_ok=True)
        executor = {**EXECUTOR, **self.changes, "address": self.address}
        study = {**STUDY, "artifacts": str(self.artifacts), "executor": executor}
        (self.folder / "study.yaml").write_text("# faults\n" + yaml.safe_dump(study))
        command = [sys.executable, "-m", "dcasearch", "run", str(self.folder / "study.yaml"), "--json"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "DCASEARCH_STORAGE": self.storage}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=self.folder
        )

    def finish(self) -> list[dict[str, Any]]:
        """Run the study to its end and return the events."""
        with self.start() as driver:
            output, errors = driver.communicate(timeout=400)
        assert driver.returncode == 0, errors
        return [json.loads(line) for line in output.splitlines()]

    def until(self, driver: subprocess.Popen[str], kind: str, count: int = 1) -> list[dict[str, Any]]:
        """Read events until there were so many of one kind."""
        assert driver.stdout is not None
        seen: list[dict[str, Any]] = []
        while sum(event["event"] == kind for event in seen) < count:
            line = driver.stdout.readline()
            assert line, driver.stderr.read() if driver.stderr is not None else ""
            seen.append(json.loads(line))
        return seen

    def must_be(self, expected: Rows) -> None:
        """The ledger is whole in both senses."""
        with Store.open(self.storage) as store:
            assert broken_invariants(store, NAME) == []
            assert differences(expected, ledger_of(store, NAME)) == []


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """The ledger of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "study.yaml").write_text("# faults\n" + yaml.safe_dump({**STUDY, "artifacts": str(folder)}))
    with Store.open(f"sqlite:///{folder}/study.db", create=True) as store:
        study_room.run(load_study(folder / "study.yaml"), store, InProcess(folder))
        assert broken_invariants(store, NAME) == []
        return ledger_of(store, NAME)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


class ThreeNodes:
    """A head without resources, and three nodes of two CPUs and a GPU that only Ray believes in."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        self.nodes = [self.add() for _ in range(3)]

    def add(self) -> Any:
        return self.cluster.add_node(num_cpus=2, num_gpus=1)

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def close(self) -> None:
        self.cluster.shutdown()


@pytest.fixture(scope="module")
def three_nodes() -> Iterator[ThreeNodes]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"period_ms": "1000", "timeout_ms": "1000", "failure_threshold": "3"}.items():
            patch.setenv(f"RAY_health_check_{name}", value)  # a silent node is noticed within seconds
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        three = ThreeNodes()
        yield three
        three.close()


@pytest.fixture
def make_run(tmp_path: Path, three_nodes: ThreeNodes) -> Callable[..., Run]:
    def make(storage: str | None = None, **changes: Any) -> Run:
        url = storage or f"sqlite:///{tmp_path}/study.db"
        return Run(tmp_path / "study", url, three_nodes.address, changes)

    return make


def workers() -> list[psutil.Process]:
    """The processes that train, on all nodes; the nodes are this process's children."""
    return training_actors(psutil.Process().children(recursive=True))


def test_undisturbed_on_several_nodes_the_ledger_is_that_of_one_process(
    make_run: Callable[..., Run], expected: Rows
) -> None:
    run = make_run()
    events = run.finish()
    assert sum(event["event"] == "complete" for event in events) == 7
    run.must_be(expected)


def test_a_driver_that_is_killed_at_random_moments(make_run: Callable[..., Run], expected: Rows) -> None:
    run, moments = make_run(), random.Random("driver")
    for _ in range(3):
        driver = run.start()
        try:
            driver.communicate(timeout=moments.uniform(6.0, 30.0))
            break  # it has come to its end
        except subprocess.TimeoutExpired:
            driver.kill()
            driver.communicate()
    run.finish()
    run.must_be(expected)


def test_workers_that_are_killed_within_an_epoch(make_run: Callable[..., Run], expected: Rows) -> None:
    run = make_run()
    with run.start() as driver:
        for _ in range(3):
            run.until(driver, "epoch")
            alive = workers()
            assert alive
            alive[0].kill()
        output, errors = driver.communicate(timeout=400)
    assert driver.returncode == 0, errors
    assert '"lost"' in output
    for noise in ("raylet", "did not complete"):  # the study tells by itself what became of its workers
        assert noise not in output + errors
    run.must_be(expected)


def test_a_node_that_is_lost(make_run: Callable[..., Run], expected: Rows, three_nodes: ThreeNodes) -> None:
    run = make_run()
    with run.start() as driver:
        run.until(driver, "epoch", 2)
        three_nodes.cluster.remove_node(three_nodes.nodes.pop(), allow_graceful=False)
        _, errors = driver.communicate(timeout=400)
    assert driver.returncode == 0, errors
    three_nodes.nodes.append(three_nodes.add())
    run.must_be(expected)


def test_a_node_that_comes_while_the_study_runs_is_used(make_run: Callable[..., Run], expected: Rows) -> None:
    from ray.cluster_utils import Cluster

    small = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 1})
    try:
        run = make_run()
        run.address = small.address
        with run.start() as driver:
            run.until(driver, "epoch")
            small.add_node(num_cpus=2, num_gpus=1)
            _, errors = driver.communicate(timeout=400)
        assert driver.returncode == 0, errors
    finally:
        small.shutdown()
    run.must_be(expected)


def test_the_head_is_lost_and_the_study_goes_on_on_another_cluster(
    make_run: Callable[..., Run], expected: Rows, three_nodes: ThreeNodes
) -> None:
    from ray.cluster_utils import Cluster

    doomed = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 1})
    run = make_run()
    run.address = doomed.address
    driver = run.start()
    try:
        run.until(driver, "epoch", 2)
        doomed.head_node.kill_gcs_server(check_alive=False)
        doomed.head_node.kill_raylet(check_alive=False)
        # Ray itself ends a driver whose head is gone for a minute; whether it does so or we end with an error is one.
        assert_ends(driver, 150)
    finally:
        driver.kill()
        driver.communicate()
        doomed.shutdown()
    run.address = three_nodes.address
    run.finish()
    run.must_be(expected)


def assert_ends(driver: subprocess.Popen[str], seconds: float) -> None:
    with_errors = threading.Thread(target=driver.communicate, daemon=True)
    with_errors.start()
    with_errors.join(seconds)
    assert driver.poll() not in (None, 0)


def test_a_database_that_is_away_for_twenty_seconds(
    make_run: Callable[..., Run], expected: Rows, server: Server
) -> None:
    run = make_run(server.new_database())
    with run.start() as driver:
        run.until(driver, "epoch", 2)
        server.stop()
        time.sleep(20)
        server.start()
        _, errors = driver.communicate(timeout=400)
    assert driver.returncode == 0, errors
    run.must_be(expected)


def test_a_checkpoint_folder_that_cannot_be_written_stops_the_run_and_loses_nothing(
    make_run: Callable[..., Run], expected: Rows
) -> None:
    run = make_run()
    run.artifacts.mkdir(parents=True)
    (run.artifacts / "checkpoints").write_text("in the way")
    with run.start() as driver:
        _, errors = driver.communicate(timeout=200)
    assert driver.returncode == 2
    assert "cannot read" in errors or "cannot write" in errors
    assert "Traceback" not in errors
    (run.artifacts / "checkpoints").unlink()
    run.finish()
    run.must_be(expected)


def test_preemption_by_sigterm_leaves_a_checkpoint_within_the_epoch_and_costs_a_retry_only(
    make_run: Callable[..., Run], expected: Rows
) -> None:
    run = make_run()
    with run.start() as driver:
        run.until(driver, "epoch", 2)
        alive = workers()
        assert alive
        alive[0].send_signal(signal.SIGTERM)
        output, errors = driver.communicate(timeout=400)
    assert driver.returncode == 0, errors
    lost = [json.loads(line) for line in output.splitlines() if '"lost"' in line]
    assert [event["message"] for event in lost] == ["its machine was taken away (SIGTERM)"]
    run.must_be(expected)


def test_a_run_is_stopped_from_elsewhere_and_goes_on(make_run: Callable[..., Run], expected: Rows) -> None:
    run = make_run()
    with run.start() as driver:
        run.until(driver, "epoch", 2)
        stopped = subprocess.run(
            [sys.executable, "-m", "dcasearch", "stop", NAME, "--storage", run.storage], capture_output=True, text=True
        )
        _, errors = driver.communicate(timeout=60)
    assert stopped.returncode == 0, stopped.stderr
    assert driver.returncode == 130
    assert "stopped by `dcasearch stop`" in errors
    assert not workers()
    run.finish()
    run.must_be(expected)


def test_a_trial_is_cancelled_from_elsewhere(make_run: Callable[..., Run]) -> None:
    run = make_run()
    with run.start() as driver:
        started = run.until(driver, "epoch", 6)
        number = next(e["number"] for e in started if e["event"] == "started" and "trial" in e["label"])
        subprocess.run(
            [sys.executable, "-m", "dcasearch", "cancel", NAME, str(number), "--storage", run.storage], check=True
        )
        driver.communicate(timeout=400)
    assert driver.returncode == 0
    with Store.open(run.storage) as store:
        trial = store.trial(NAME, "proxy", number)
        assert broken_invariants(store, NAME) == []
    assert trial is not None
    assert (trial.state, trial.failure) in ((State.FAILED, "cancelled"), (State.COMPLETE, None))


def test_the_storages_password_is_in_no_file_log_or_state_of_ray(
    make_run: Callable[..., Run], server: Server, three_nodes: ThreeNodes
) -> None:
    url = server.new_database()
    run = make_run(url)
    with run.start() as driver:
        run.until(driver, "epoch", 2)
        environments = [process.environ() for process in workers()]
        assert environments
        assert not any(PASSWORD in value for env in environments for value in env.values())
        output, errors = driver.communicate(timeout=400)
    assert driver.returncode == 0, errors
    assert PASSWORD not in output + errors
    places = [run.artifacts, Path(three_nodes.cluster.head_node.get_session_dir_path())]
    read = 0
    for place in places:
        for file in (path for path in place.rglob("*") if path.is_file() and not path.is_symlink()):
            read += 1
            assert PASSWORD.encode() not in file.read_bytes(), file
    assert read > 10
