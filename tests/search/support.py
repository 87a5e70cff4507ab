"""A study on a database of its own, without an executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna

from dcasearch.config.study import Study
from dcasearch.evaluation import Epoch
from dcasearch.search.costing import Costs
from dcasearch.search.trials import Trials
from dcasearch.search.work import Event, Job
from dcasearch.space import read_space
from dcasearch.store import Store
from dcasearch.trial import Trial
from tests.support import Simulated, make_epoch, with_top1

HALVING = {"name": "successive_halving", "min_epochs": 1, "reduction_factor": 2, "startup": 2}


def proxy(**changes: Any) -> list[dict[str, Any]]:
    return [{"name": "proxy", "trials": 8, "resolution": 16, "epochs": 4, **changes}]


class Bench:
    """A study on a database of its own; `trials()` is a new driver each time."""

    def __init__(self, folder: Path, study: Study, events: list[Event] | None = None) -> None:
        self.folder, self.study = folder, study
        folder.mkdir(exist_ok=True)
        self.url = f"sqlite:///{folder}/study.db"
        self.events = events if events is not None else []

    def trials(self) -> Trials:
        store = Store.open(self.url, create=True)
        store.put_study(self.study.name, {}, self.study.model_dump_json(exclude={"storage"}))
        return Trials(
            study=self.study,
            fidelity=self.study.fidelities[0],
            space=read_space(self.study.space),
            store=store,
            costs=Costs(store, 16, 10),
            data_fingerprint="digits",
            artifacts=self.folder,
            observe=self.events.append,
        )

    def run(self, executor: Simulated | None = None) -> list[Trial]:
        work = self.trials()
        (executor or Simulated()).run(work)
        return self.ledger()

    def ledger(self) -> list[Trial]:
        return Store.open(self.url).trials(self.study.name, "proxy")

    def optuna(self) -> list[optuna.trial.FrozenTrial]:
        storage = Store.open(self.url).optuna
        return optuna.load_study(study_name=f"{self.study.name}.proxy", storage=storage).trials

    def whole(self) -> list[tuple[Any, ...]]:
        """Everything of both ledgers that must not depend on when a driver died."""
        ours = {trial.number: trial for trial in self.ledger()}
        return [
            (t.number, t.state, t.params, t.values, t.intermediate_values, t.user_attrs, ours[t.number])
            for t in self.optuna()
        ]


def train(work: Trials, job: Job, level: float, epochs: int) -> tuple[Epoch, ...]:
    """Report epochs of a made-up top-1 that starts above `level`, until a rung stops them; return them."""
    history: list[Epoch] = []
    for number in range(1, epochs + 1):
        history.append(with_top1(make_epoch(job, number), level + number))
        if not work.report(job, history[-1]):
            break
    return tuple(history)
