"""What a trial's bookkeeping costs on Ray beside a bare Tune run of the same trainable, and what ends a shared trial.

Both run the same trainable, whose training takes no time, in reused processes, one trial at a time. Ours samples with
tpe, gates, stores in SQLite and tells; the bare run draws as many parameters at random and stores nothing. The runs
alternate; a trial's cost is the time between the first and the last trial's end over the trials between them, so that
the start of processes is in neither. Aims: at most 0.3 s per trial, at most 1.2x of the bare run.

Then a trial of two ranks on two nodes is stopped while another one waits for both of its bundles: the seconds until
that one has measured its first epoch (a process imports torch meanwhile); it is stopped in turn: the seconds until
every bundle is free.

    python benchmarks/ray_bookkeeping.py [--trials 30] [--runs 3]
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import statistics
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import optuna
import ray
from bookkeeping import SPACE, made_up
from ray import tune
from ray.cluster_utils import Cluster

from dcasearch.architecture import Architecture
from dcasearch.config.data_set import Data
from dcasearch.config.study import Executor as Settings
from dcasearch.config.study import Fidelity, Resources, Study
from dcasearch.data import describe
from dcasearch.errors import TrialFailure
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.executors.ray import RayExecutor, connected
from dcasearch.executors.ray.actor import Ticket, TrainingActor
from dcasearch.executors.ray.signals import Signals
from dcasearch.search.costing import Costs
from dcasearch.search.pipeline import Part, Pipeline
from dcasearch.search.trials import Trials
from dcasearch.search.work import Event, Job
from dcasearch.space import read_space
from dcasearch.store import Store
from dcasearch.training import Assignment


class NoTraining(TrainingActor):
    """Returns a record at once."""

    def _epoch(self) -> Evaluation:
        job = self._ticket.job
        return Evaluation(key=job.assignment.key, history=(made_up(job),), seconds=0.0, images=1, device="cpu")


def ours(folder: Path, trials: int) -> tuple[float, Job]:
    """Return seconds per trial, and one of the jobs."""
    ends: list[float] = []
    jobs: list[Job] = []

    def note(event: Event) -> None:
        if event.kind == "complete":
            ends.append(time.perf_counter())

    written = {
        "name": "bench",
        "space": SPACE,
        "data": {"name": "digits"},
        "sampler": {"name": "tpe", "seed": 0},
        "fidelities": [{"name": "proxy", "trials": trials, "resolution": 32, "epochs": 1}],
    }
    study = Study.model_validate(written)
    with Store.open(f"sqlite:///{folder}/ours.db", create=True) as store:
        store.put_study(study.name, {}, study.model_dump_json(exclude={"storage"}))
        source = Trials(
            study=study,
            fidelity=study.fidelities[0],
            space=read_space(SPACE),
            store=store,
            costs=Costs(store, 32, 10),
            data_fingerprint="none",
            artifacts=folder,
            observe=note,
        )

        def keep(event_job: Job) -> Job:
            jobs.append(event_job)
            return event_job

        first_ask = source.ask
        source.ask = lambda: keep(job) if (job := first_ask()) is not None else None  # type: ignore[method-assign]
        RayExecutor(str(folder), Settings(name="ray"), trainable=NoTraining).run(Pipeline([Part(lambda: source)]))
    return (ends[-1] - ends[0]) / (len(ends) - 1), jobs[0]


class Ends(tune.Callback):
    """When each trial of a bare run ended."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def on_trial_complete(self, *args: Any, **kwargs: Any) -> None:
        self.at.append(time.perf_counter())

    def __getstate__(self) -> dict[str, Any]:
        return {"at": []}


def bare(trials: int, parameters: int, job: Job) -> float:
    """Return seconds per trial of Tune by itself."""
    ends, signals = Ends(), Signals()
    space: dict[str, Any] = {f"p{n}": tune.choice([0, 1, 2]) for n in range(parameters)}
    with tempfile.TemporaryDirectory() as scratch:
        tune.Tuner(
            tune.with_resources(NoTraining, {"CPU": 1}),
            param_space={**space, "ticket": Ticket(job, scratch, signals.name)},
            tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=True, max_concurrent_trials=1),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                stop={"training_iteration": 1},
                callbacks=[ends],
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            ),
        ).fit()
    return (ends.at[-1] - ends.at[0]) / (len(ends.at) - 1)


class StopTheFirst:
    """Two jobs of two ranks; the first is stopped after its second epoch, and the second needs all that it held."""

    def __init__(self) -> None:
        data = Data(name="digits")
        self.watching = threading.Thread()
        self.stopped = self.began = self.stopped_too = self.freed = 0.0
        self.ready = [
            Job(label=f"job {n}", number=n, assignment=_assignment(data, n), resources=Resources(cpu=2, ranks=2))
            for n in range(2)
        ]

    def ask(self) -> Job | None:
        return self.ready.pop(0) if self.ready else None

    def report(self, job: Job, epoch: Epoch) -> bool:
        if job.number == 0 and epoch.epoch == 2:
            self.stopped = time.perf_counter()
            return False
        if job.number == 1 and epoch.epoch == 1:
            self.began = self.stopped_too = time.perf_counter()
            self.watching = threading.Thread(target=self._watch)
            self.watching.start()
            return False
        return True

    def _watch(self) -> None:
        while ray.available_resources().get("CPU", 0.0) < ray.cluster_resources()["CPU"]:
            time.sleep(0.02)
        self.freed = time.perf_counter()

    def finish(self, job: Job, evaluation: Evaluation) -> None:
        """Nothing is kept."""

    def fail(self, job: Job, failure: TrialFailure) -> None:
        raise failure

    def waits(self) -> bool:
        return False

    def attend(self) -> list[Job]:
        return []


def _assignment(data: Data, seed: int) -> Assignment:
    written = {"backbone": {"name": "mobilenet_v2", "width": 0.1}, "attention": {"name": "se", "reduction": 4}}
    fidelity = {"name": "proxy", "resolution": 16, "epochs": 1000, "train_fraction": 0.05, "recipe": {"batch_size": 16}}
    return Assignment(
        architecture=Architecture.parse(written),
        fidelity=Fidelity.model_validate(fidelity),
        data=data,
        data_fingerprint=describe(data).fingerprint,
        protocol="search",
        seed=seed,
    )


def stopping() -> tuple[float, float]:
    """Return the seconds from the decisions to the free bundles, and to the next trial's first epoch."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        work = StopTheFirst()
        with connected(str(cluster.address)), tempfile.TemporaryDirectory() as folder:
            RayExecutor(folder, Settings(name="ray", max_concurrent=2)).run(work)
            work.watching.join()
    finally:
        cluster.shutdown()
    return work.freed - work.stopped_too, work.began - work.stopped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # Tune's own deprecations
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    first, other = [], []
    with connected(None):
        for _ in range(options.runs):
            with tempfile.TemporaryDirectory() as folder:
                seconds, job = ours(Path(folder), options.trials)
            first.append(seconds)
            other.append(bare(options.trials, 12, dataclasses.replace(job, epoch_seconds=None)))
    ratios = [a / b for a, b in zip(first, other, strict=True)]
    print("ours s per trial:", " ".join(f"{s:.3f}" for s in first), "(aim <= 0.3)")
    print("bare s per trial:", " ".join(f"{s:.3f}" for s in other))
    print(f"ratio ours/bare: {statistics.median(ratios):.2f} (aim <= 1.2)")
    # A process can be the head of one such cluster.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as processes:
        stopped = [processes.apply(stopping) for _ in range(options.runs)]
    freed, began = zip(*stopped, strict=True)
    print("a stopped trial of two ranks frees its bundles after s:", " ".join(f"{s:.2f}" for s in freed))
    print("the next trial's first epoch is measured after s:", " ".join(f"{s:.1f}" for s in began))


if __name__ == "__main__":
    main()
