"""A study with everything that figures show: two objectives, pruning, a failure, seconds and coefficients."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.findings import Findings, findings_of
from dcasearch.analysis.standing import Standing, standing_of
from dcasearch.errors import TrialFailure
from dcasearch.evaluation import Epoch
from dcasearch.search.work import Job, Work
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from tests.support import Simulated, make_epoch, make_evaluation, make_study

PRUNER: dict[str, Any] = {"name": "successive_halving", "min_epochs": 1, "reduction_factor": 2, "startup": 4}
STUDY: dict[str, Any] = {
    "fidelities": [
        {"name": "proxy", "trials": 21, "resolution": 16, "epochs": 4, "pruner": PRUNER},
        {"name": "full", "promote": {"top": 2, "random": 1}, "resolution": 16, "epochs": 3},
    ],
    "objectives": {"top1": "maximize", "macs": "minimize"},
    "baselines": True,
    "final": {"seeds": [1000]},
}


class Timed(Simulated):
    """Every epoch takes ten seconds and moves every coefficient by a tenth; one trial fails after an epoch."""

    def _train(self, work: Work, job: Job) -> None:
        history: list[Epoch] = []
        edges = job.assignment.architecture.network.edges
        for number in range(1, job.assignment.fidelity.epochs + 1):
            alphas = {f"{e.dimension} {e.source + 1}→{e.target + 1}": 1 - number / 10 for e in edges}
            history.append(dataclasses.replace(make_epoch(job, number), seconds=10.0, alphas=alphas))
            if not work.report(job, history[-1]):
                break
            if job.label == "proxy trial 2":
                work.fail(job, TrialFailure("nan", "the loss is nan"))
                return
        work.finish(job, dataclasses.replace(make_evaluation(job, tuple(history)), seconds=10.0 * len(history)))


@dataclasses.dataclass(frozen=True)
class Ended:
    store: Store
    standing: Standing
    findings: Findings


def run(folder: Path, executor: Simulated | None = None, **changes: Any) -> Ended:
    study = make_study(artifacts=str(folder), **{**STUDY, **changes})
    store = Store.open(f"sqlite:///{folder}/study.db", create=True)
    loaded = LoadedStudy(study, read_space(study.space), folder / "s.yaml", frozenset())
    study_room.run(loaded, store, executor or Timed())
    standing = standing_of(store, study.name)
    return Ended(store, standing, findings_of(store, standing))


@pytest.fixture(scope="session")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The study at its end."""
    return run(tmp_path_factory.mktemp("figures"))
