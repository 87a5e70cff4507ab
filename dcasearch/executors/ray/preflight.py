"""What `check --cluster` finds out: one small assignment on every node, before anything is spent."""

from __future__ import annotations

import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import dcasearch
from dcasearch.artifacts import open_artifacts
from dcasearch.config.data_set import Data
from dcasearch.config.study import Resources, Study
from dcasearch.data import describe, scratch_of
from dcasearch.errors import DcasearchError, UserError
from dcasearch.executors.ray.cluster import bundles, capacity, grows, nodes, own_address, remote
from dcasearch.training.network import choose_device
from dcasearch.training.provenance import commit, device_name

_SECONDS = 600
"""A first look at the data lists its files, which takes a while on shared storage."""


@dataclass(frozen=True)
class NodeReport:
    """What one node has; a text that starts with `no` names what is missing."""

    node: str
    """Host name."""
    resources: str
    data: str
    """Fingerprint as the node reads it."""
    version: str
    """Of the package, with its commit."""
    device: str
    scratch: str
    artifacts: str

    def problems(self, driver: NodeReport) -> list[str]:
        """Return what keeps trials of this driver from running there."""
        found = [
            f"{self.node}: {name}: {value}"
            for name, value in (("data", self.data), ("scratch", self.scratch), ("artifacts", self.artifacts))
            if value.startswith("no")
        ]
        if self.version != driver.version:
            found.append(f"{self.node}: runs {self.version}, the driver {driver.version}")
        if not self.data.startswith("no") and not driver.data.startswith("no") and self.data != driver.data:
            found.append(f"{self.node}: its data has fingerprint {self.data}, the driver's {driver.data}")
        return found


@dataclass(frozen=True)
class Preflight:
    """What the cluster is ready for."""

    driver: NodeReport
    nodes: tuple[NodeReport, ...]
    problems: tuple[str, ...]
    """Empty where the study can run."""
    room: Mapping[str, int]
    """How many trainings of each fidelity the cluster holds, if nothing else runs there."""


def preflight(study: Study) -> Preflight:
    """Ask every living node; a Ray connection is open (see `dcasearch.executors.ray.cluster.connected`)."""
    with marked(study.artifacts) as token:
        known = nodes()
        look = remote(look_here, num_cpus=0)
        asked = [
            look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
                study.data, study.artifacts, token, dict(resources)
            )
            for node, resources in known.items()
        ]
        reports = tuple(sorted(ray.get(asked, timeout=_SECONDS), key=lambda report: report.node))
    driver = look_here(study.data, study.artifacts, None, {})
    problems = [problem for report in reports for problem in report.problems(driver)]
    problems += unholdable(study, list(known.values()))
    wanted = {one.name: study.executor.resources.get(one.name, Resources()) for one in study.fidelities}
    # A cluster that grows is as large as it is asked to be.
    room = {} if grows() else {name: capacity(of, known.values()) for name, of in wanted.items()}
    return Preflight(driver, reports, tuple(problems), room)


@contextmanager
def marked(artifacts: str) -> Iterator[str]:
    """Write a file into the artifacts and yield its name: a node that reads it has the driver's artifacts."""
    token = f"preflight-{uuid.uuid4().hex}"
    mark = open_artifacts(artifacts) / token
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(token, encoding="utf-8")
    try:
        yield token
    finally:
        mark.unlink(missing_ok=True)


def refuse_unholdable(study: Study) -> None:
    """Refuse a study of which no node can ever hold a trial; a Ray connection is open.

    Raises:
        UserError: names what was asked and the largest node. Not where the cluster grows by demand: the node may come.
    """
    known = list(nodes().values())
    if not grows() and (problems := unholdable(study, known)):
        raise UserError("\n".join(problems))


def unholdable(study: Study, known: Sequence[Mapping[str, float]]) -> list[str]:
    """Return which fidelities ask for what these nodes, all idle, cannot hold."""
    found = []
    for fidelity in study.fidelities:
        resources = study.executor.resources.get(fidelity.name, Resources())
        if capacity(resources, known) == 0:
            ranks = bundles(resources)
            each = ", ".join(f"{amount:g} {name}" for name, amount in ranks[0].items())
            largest = max(known, key=lambda node: (_fits(ranks[0], node), node.get("GPU", 0), node.get("CPU", 0)))
            found.append(
                f"executor.resources.{fidelity.name}: a trial needs {len(ranks)} x ({each}), each within one node, and "
                f"the largest of {len(known)} nodes has {largest.get('CPU', 0):g} CPU, {largest.get('GPU', 0):g} GPU"
            )
    return found


def _fits(share: Mapping[str, float], node: Mapping[str, float]) -> int:
    return min(int(node.get(name, 0.0) / amount) for name, amount in share.items())


def look_here(data: Data, artifacts: str, token: str | None, resources: Mapping[str, float]) -> NodeReport:
    """Return what the node has that this runs on.

    Args:
        data: the study's.
        artifacts: where its artifacts are.
        token: a file that the driver wrote there; None on the driver itself.
        resources: of the node; empty on the driver itself.
    """
    revision = commit()
    return NodeReport(
        node=socket.gethostname() if not resources else f"{socket.gethostname()} {own_address()}",
        resources=", ".join(f"{resources[name]:g} {name}" for name in ("CPU", "GPU") if name in resources),
        data=_data(data),
        version=dcasearch.__version__ + ("" if revision is None else f" {revision[:8]}"),
        device=device_name(choose_device("auto")),
        scratch=_scratch(data, artifacts),
        artifacts=_artifacts(artifacts, token),
    )


def _data(data: Data) -> str:
    try:
        return describe(data).fingerprint
    except DcasearchError as error:
        return f"no: {error}"


def _scratch(data: Data, artifacts: str) -> str:
    """Write a file where a node keeps what only it needs."""
    try:
        folder = scratch_of(data, open_artifacts(artifacts))
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix="dcasearch-", dir=folder):
            return f"{folder}, {shutil.disk_usage(folder).free / 2**30:,.0f} GiB free"
    except (OSError, DcasearchError) as error:
        return f"no: {error}"


def _artifacts(location: str, token: str | None) -> str:
    """Read what the driver wrote there, and write."""
    try:
        folder = open_artifacts(location)
        if token is not None and not (folder / token).exists():
            return f"no: {folder} is not the driver's folder of that name; it must be shared by all nodes"
        mine = folder / f"preflight-{uuid.uuid4().hex}"
        mine.write_text("written by a check of the cluster", encoding="utf-8")
        mine.unlink()
    except (OSError, DcasearchError) as error:
        return f"no: {error}"
    return str(folder)
