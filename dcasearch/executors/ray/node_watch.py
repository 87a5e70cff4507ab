"""Which nodes of a cluster trials keep away from: those that lack the data, the artifacts or this very package.

Each node is looked at once, as it comes, in the way of `check --cluster`; what a training meets there later counts too.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dcasearch.config.data_set import Data
from dcasearch.errors import UserError
from dcasearch.executors.ray.cluster import capacity, grows, nodes, remote
from dcasearch.executors.ray.preflight import NodeReport, look_here
from dcasearch.search.work import Job

FIRST_SECONDS = 60.0
"""How long the first trial waits for what the nodes say; one that has said nothing by then is not left out."""
_NODE_LABEL = "ray.io/node-id"


class NodeWatch:
    """Looks at each node once and remembers which ones are left out.

    Args:
        artifacts: where the study's artifacts are.
        token: a file that the driver wrote there.
    """

    def __init__(self, artifacts: str, token: str) -> None:
        self._artifacts, self._token = artifacts, token
        self._driver: NodeReport | None = None
        self._data: Data | None = None
        """That every node is asked about: splits of one data set have fingerprints of their own."""
        self._asked: dict[str, Any] = {}
        """By node what its look will return, until it has."""
        self._met: set[str] = set()
        self.left_out: dict[str, str] = {}
        """By node why."""

    def look(self, job: Job) -> list[str]:
        """Ask the nodes that are new, and return why some are left out from now on.

        The first call waits for the answers, the others take those that are there.

        Args:
            job: one of the study's, whose data every node must have.
        """
        first, assignment = self._driver is None, job.assignment
        if self._driver is None or self._data is None:
            self._data = assignment.data
            here = look_here(self._data, self._artifacts, None, {})
            self._driver = dataclasses.replace(here, data=assignment.data_fingerprint)
        for node, resources in nodes().items():
            if node not in self._met:
                self._met.add(node)
                there = NodeAffinitySchedulingStrategy(node, soft=False)
                ask = remote(look_here, num_cpus=0, max_retries=0).options(scheduling_strategy=there)
                self._asked[node] = ask.remote(self._data, self._artifacts, self._token, dict(resources))
        return self._answers(FIRST_SECONDS if first else 0.0, self._driver)

    def _answers(self, seconds: float, driver: NodeReport) -> list[str]:
        if not self._asked:
            return []
        ready, _ = ray.wait(list(self._asked.values()), num_returns=len(self._asked), timeout=seconds)
        found: list[str] = []
        for node, answer in list(self._asked.items()):
            if answer in ready:
                del self._asked[node]
                problems = _problems(node, answer, driver)
                if problems:
                    self.left_out[node] = "; ".join(problems)
                    found.append(self.left_out[node])
        return found

    def leave_out(self, node: str, error: UserError) -> str:
        """Leave a node out for what a training met there; return why, with its name."""
        self.left_out[node] = f"{_name(node)}: {error}"
        return self.left_out[node]

    def refuse_nowhere(self, job: Job) -> None:
        """Raise UserError where only nodes that are left out could hold a job, and no other node may come."""
        usable = [resources for node, resources in nodes().items() if node not in self.left_out]
        if self.left_out and capacity(job.resources, usable) == 0 and not grows():
            raise UserError("no node can run this study:\n" + "\n".join(sorted(self.left_out.values())))

    def selector(self) -> dict[str, str] | None:
        """Return the label selector that keeps a bundle away from the nodes that are left out; None where none is."""
        return {_NODE_LABEL: f"!in({', '.join(sorted(self.left_out))})"} if self.left_out else None


def _problems(node: str, answer: Any, driver: NodeReport) -> list[str]:
    try:
        report: NodeReport = ray.get(answer)
    except (ray.exceptions.NodeDiedError, ray.exceptions.WorkerCrashedError, ray.exceptions.TaskUnschedulableError):
        return []  # it has gone; a node that comes back has another id
    except Exception as error:  # whatever an interpreter raises that lacks this package, or a part of it
        lines = [line for line in str(error).strip().splitlines() if line.strip()]
        return [f"{_name(node)}: cannot run this package: {lines[-1].strip() if lines else type(error).__name__}"]
    return report.problems(driver)


def _name(node: str) -> str:
    """Return the host name and address of a node."""
    for known in ray.nodes():  # type: ignore[no-untyped-call]  # ray has no types here
        if known["NodeID"] == node:
            return f"{known['NodeManagerHostname']} {known['NodeManagerAddress']}"
    return f"node {node[:8]}"
