"""When one driver has too many workers: a simulation without training and with a clock that is replaced.

A driver serves its workers one call after another: it answers an epoch's report, stores a record, asks the sampler for
the next trial. Those calls are the real ones (`dcasearch.search.trials` over a real database) and what they cost is
measured in real seconds; the workers' epochs take simulated seconds (log-normal), and the clock of the simulation is
advanced by both. So it shows at how many workers the driver becomes the bottleneck.

    python benchmarks/driver_saturation.py                      # measures, simulates, draws the figure
    python benchmarks/driver_saturation.py --real 1000 --workers 200   # every call of 1,000 trials made for real

A simulation that makes every call of 20,000 trials for real takes an hour for one number of workers. So by default the
calls are measured with ledgers of several sizes and many running trials, and the simulation reads their costs from that
table, linear between the sizes. `--real` makes them all and prints both, so that the table can be held against them.
"""

from __future__ import annotations

import argparse
import heapq
import random
import statistics
import tempfile
import time
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import optuna
import yaml
from ten_thousand import EPOCHS, SPACE, Recorder, made_up, make_study, postgresql

from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.search.costing import Costs
from dcasearch.search.trials import Trials
from dcasearch.search.work import Job
from dcasearch.space import read_space
from dcasearch.store import Store

SIZES = (100, 1_000, 5_000, 10_000, 20_000)
RUNNING = 200
"""Trials that run while calls are measured."""
MEASURED = 60
"""Trials that are measured at each size."""
TRIALS = 20_000
WORKERS = (10, 20, 50, 100, 200, 300, 500, 700, 1_000)
EPOCH_SECONDS = (2.0, 10.0, 60.0)
SPREAD = 0.3
"""Of an epoch's seconds between trials: sigma of the log-normal's logarithm."""
FIGURE = Path(__file__).parent.parent / "docs" / "images" / "driver_saturation.svg"
CALLS = ("ask", "report", "finish")


class Driver(Protocol):
    """The core, and what each call to it costs in seconds."""

    def ask(self) -> tuple[float, int]:
        """Return the cost and the new trial's handle."""

    def report(self, trial: int, epoch: int) -> tuple[float, bool]:
        """Return the cost and whether the trial goes on."""

    def finish(self, trial: int, epoch: int) -> float:
        """Return the cost."""


class Core:
    """The real core over a real database; trainings are made up."""

    def __init__(self, url: str, sampler: str, recorded: int, folder: Path) -> None:
        space = read_space(yaml.safe_load(SPACE.read_text()))
        study = make_study(sampler, 2)
        with Store.open(url, create=True) as store:
            Recorder(store, study, space).fill(recorded)
        store = Store.open(url)
        self._trials = Trials(
            study=study,
            fidelity=study.fidelities[0],
            space=space,
            store=store,
            costs=Costs(store, 32, 10),
            data_fingerprint="none",
            artifacts=folder,
            observe=lambda event: None,
        )
        self._jobs: dict[int, Job] = {}
        self._histories: dict[int, list[Epoch]] = {}
        self.costs: dict[str, list[float]] = {call: [] for call in CALLS}

    def _timed(self, call: str, began: float) -> float:
        self.costs[call].append(time.perf_counter() - began)
        return self.costs[call][-1]

    def ask(self) -> tuple[float, int]:
        began = time.perf_counter()
        job = self._trials.ask()
        cost = self._timed("ask", began)
        if job is None:
            raise RuntimeError("the space is used up")
        self._jobs[job.number], self._histories[job.number] = job, []
        return cost, job.number

    def report(self, trial: int, epoch: int) -> tuple[float, bool]:
        job = self._jobs[trial]
        measured = made_up(job.task.architecture.id, epoch)
        self._histories[trial].append(measured)
        began = time.perf_counter()
        goes_on = self._trials.report(job, measured)
        return self._timed("report", began), goes_on

    def finish(self, trial: int, epoch: int) -> float:
        job = self._jobs.pop(trial)
        history = tuple(self._histories.pop(trial))
        record = Evaluation(key=job.task.key, history=history, seconds=1.0, images=1, device="cpu")
        began = time.perf_counter()
        self._trials.finish(job, record)
        return self._timed("finish", began)


@dataclass(frozen=True)
class Table:
    """What the calls cost, by the number of trials in the ledger."""

    sizes: Sequence[int]
    seconds: Mapping[str, Sequence[float]]

    def cost(self, call: str, trials: int) -> float:
        """Return a call's cost, linear between the sizes."""
        costs = self.seconds[call]
        right = min(max(bisect_right(self.sizes, trials), 1), len(self.sizes) - 1)
        low, high = self.sizes[right - 1], self.sizes[right]
        share = min(max((trials - low) / (high - low), 0.0), 1.0)
        return costs[right - 1] + share * (costs[right] - costs[right - 1])


@dataclass
class Read:
    """A driver whose costs are read from a table, and whose rungs stop two trials of three, as the core's do."""

    table: Table
    draw: random.Random
    extra: float = 0.0
    """Seconds that the executor takes for each call, in the driver's own thread."""
    asked: int = 0

    def ask(self) -> tuple[float, int]:
        self.asked += 1
        return self.table.cost("ask", self.asked) + self.extra, self.asked

    def report(self, trial: int, epoch: int) -> tuple[float, bool]:
        goes_on = epoch not in (3, 9) or self.draw.random() < 1 / 3
        return self.table.cost("report", self.asked) + self.extra, goes_on

    def finish(self, trial: int, epoch: int) -> float:
        return self.table.cost("finish", self.asked)  # in the same turn as its last report


@dataclass(frozen=True)
class Outcome:
    """What a simulation showed, while all workers had something to do."""

    workers: int
    utilisation: float
    """Share of the workers' time in which they trained."""
    busy: float
    """Share of the time in which the driver worked."""
    per_hour: float
    """Trials that ended."""
    wait: float
    """Median seconds for which a worker waits for the driver."""
    wait_99: float


@dataclass(order=True)
class Call:
    """A worker that turns to the driver, with an epoch's report or, without a trial, for a new one."""

    moment: float
    order: int
    trial: int | None = field(default=None, compare=False)
    epoch: int = field(default=0, compare=False)
    pace: float = field(default=0.0, compare=False)
    """Seconds of each of the trial's epochs."""


class Simulation:
    """Workers that train and one driver that serves them in the order in which they call."""

    def __init__(self, driver: Driver, workers: int, trials: int, epoch_seconds: float, seed: int = 0) -> None:
        self._driver, self._workers, self._trials = driver, workers, trials
        self._epoch_seconds, self._draw = epoch_seconds, random.Random(seed)
        self._calls = [Call(0.0, n) for n in range(workers)]
        self._order = workers
        self._asked: list[float] = []
        self._ended: list[float] = []
        self._served: list[tuple[float, float, float]] = []
        """When the driver began a call, how long it took, how long the worker had waited before."""
        self._trained: list[tuple[float, float]] = []
        """When each epoch began and ended."""

    def run(self) -> Outcome:
        free = 0.0  # when the driver has served all that has called by now
        while self._calls:
            call = heapq.heappop(self._calls)
            began = max(call.moment, free)
            cost = self._serve(call, began)
            self._served.append((began, cost, began - call.moment))
            free = began + cost
        return self._outcome()

    def _serve(self, call: Call, began: float) -> float:
        """Serve a call, schedule what follows from it, and return what it cost."""
        if call.trial is None:
            if len(self._asked) == self._trials:
                return 0.0
            cost, trial = self._driver.ask()
            self._asked.append(began + cost)
            pace = self._epoch_seconds * self._draw.lognormvariate(-(SPREAD**2) / 2, SPREAD)
            self._train(began + cost, trial, 1, pace)
            return cost
        cost, goes_on = self._driver.report(call.trial, call.epoch)
        if goes_on and call.epoch < EPOCHS:
            self._train(began + cost, call.trial, call.epoch + 1, call.pace)
            return cost
        cost += self._driver.finish(call.trial, call.epoch)
        self._ended.append(began + cost)
        self._later(Call(began + cost, self._order))
        return cost

    def _train(self, moment: float, trial: int, epoch: int, pace: float) -> None:
        self._trained.append((moment, moment + pace))
        self._later(Call(moment + pace, self._order, trial, epoch, pace))

    def _later(self, call: Call) -> None:
        self._order += 1
        heapq.heappush(self._calls, call)

    def _outcome(self) -> Outcome:
        """Look at the time in which no worker waits for its first trial or has had its last."""
        start, end = self._asked[self._workers - 1], self._asked[-1]
        length = end - start
        trained = sum(max(0.0, min(b, end) - max(a, start)) for a, b in self._trained)
        within = [(cost, wait) for began, cost, wait in self._served if start <= began < end]
        waits = sorted(cost + wait for cost, wait in within)
        return Outcome(
            workers=self._workers,
            utilisation=trained / (self._workers * length),
            busy=sum(cost for cost, _ in within) / length,
            per_hour=3600 * sum(start <= moment < end for moment in self._ended) / length,
            wait=waits[len(waits) // 2],
            wait_99=waits[len(waits) * 99 // 100],
        )


def measure(new_database: Callable[[], str], sampler: str, sizes: Sequence[int], running: int, trials: int) -> Table:
    """Measure the calls with ledgers of several sizes, while many trials run."""
    seconds: dict[str, list[float]] = {call: [] for call in CALLS}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            core = Core(new_database(), sampler, size, Path(folder))
            for _ in range(running):
                core.ask()
            core.costs = {call: [] for call in CALLS}
            Simulation(core, 1, trials, 1.0).run()
            for call, costs in core.costs.items():
                seconds[call].append(statistics.fmean(costs))
        shown = ", ".join(f"{call} {1000 * costs[-1]:.1f} ms" for call, costs in seconds.items())
        print(f"  {size:>6} trials in the ledger, {running} running: {shown}", flush=True)
    return Table(sizes, seconds)


def report(outcome: Outcome) -> str:
    return (
        f"| {outcome.workers} | {outcome.utilisation:.1%} | {outcome.busy:.1%} | {outcome.per_hour:,.0f} "
        f"| {outcome.wait:.2f} | {outcome.wait_99:.2f} |"
    )


def draw_figure(found: Mapping[str, Mapping[float, Sequence[Outcome]]], file: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "dcasearch"  # the same numbers, the same file
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    colours = {seconds: f"C{n}" for n, seconds in enumerate(EPOCH_SECONDS)}
    for (database, by_epoch), style in zip(found.items(), ("-", "--"), strict=False):
        for seconds, outcomes in by_epoch.items():
            label = f"epochs of {seconds:g} s, {database}"
            workers = [outcome.workers for outcome in outcomes]
            settings = {"color": colours[seconds], "linestyle": style, "marker": ".", "label": label}
            left.plot(workers, [100 * outcome.utilisation for outcome in outcomes], **settings)
            right.plot(workers, [outcome.per_hour for outcome in outcomes], **settings)
    left.set(xlabel="workers", ylabel="workers' time spent in training, %", xscale="log", ylim=(0, 102))
    right.set(xlabel="workers", ylabel="trials per hour", xscale="log", yscale="log")
    for axes in (left, right):
        axes.set_xticks(WORKERS[::2], [str(number) for number in WORKERS[::2]])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    left.legend(fontsize="small", loc="lower left")
    figure.savefig(file, metadata={"Date": None})


@contextmanager
def databases(wanted: Sequence[str]) -> Iterator[dict[str, Callable[[], str]]]:
    """Yield what makes an empty database of each kind."""
    count = iter(range(1_000_000))
    with tempfile.TemporaryDirectory() as folder, postgresql() as server:
        makers: dict[str, Callable[[], str]] = {"sqlite": lambda: f"sqlite:///{folder}/{next(count)}.db"}
        if server is not None:
            makers["postgresql"] = server
        yield {name: makers[name] for name in wanted if name in makers}


def held_against_the_table(core: Core, table: Table, options: argparse.Namespace) -> None:
    """Simulate with every call made for real, and with the table."""
    for seconds in options.epoch_seconds:
        for workers in options.workers:
            real = Simulation(core, workers, options.real, seconds).run()
            read = Simulation(Read(table, random.Random(0)), workers, options.real, seconds).run()
            print(f"every call made, epochs of {seconds:g} s: {report(real)}")
            print(f"read from the table:           {report(read)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--workers", type=int, nargs="*", default=WORKERS)
    parser.add_argument("--epoch-seconds", type=float, nargs="*", default=EPOCH_SECONDS)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--measured", type=int, default=MEASURED, help="trials measured at each size")
    parser.add_argument("--running", type=int, default=RUNNING, help="trials that run meanwhile")
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--databases", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--extra", type=float, default=0.0, help="driver's seconds per call that the executor takes")
    parser.add_argument("--real", type=int, default=0, help="make every call of so many trials")
    parser.add_argument("--figure", type=Path, default=FIGURE)
    options = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found: dict[str, dict[float, list[Outcome]]] = {}
    with databases(options.databases) as makers:
        for name, new_database in makers.items():
            print(f"{name}, {options.sampler}, two objectives: mean costs of a call")
            table = measure(new_database, options.sampler, options.sizes, options.running, options.measured)
            if options.real:
                with tempfile.TemporaryDirectory() as folder:
                    core = Core(new_database(), options.sampler, options.sizes[0], Path(folder))
                    held_against_the_table(core, table, options)
                continue
            for seconds in options.epoch_seconds:
                print(f"{name}, {options.trials:,} trials, epochs of {seconds:g} s")
                print("| workers | trains | driver busy | trials per hour | wait, median s | wait, 99% s |")
                for workers in options.workers:
                    driver = Read(table, random.Random(0), options.extra)
                    outcome = Simulation(driver, workers, options.trials, seconds).run()
                    found.setdefault(name, {}).setdefault(seconds, []).append(outcome)
                    print(report(outcome), flush=True)
    if not options.real:
        draw_figure(found, options.figure)
        print(f"figure: {options.figure}")


if __name__ == "__main__":
    main()
