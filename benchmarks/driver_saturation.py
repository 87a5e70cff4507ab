"""When one driver has too many workers: a simulation without training and with a clock that is replaced.

A driver serves its workers one call after another: it answers an epoch's report, stores a record, asks the sampler for
the next trial. Those calls are the real ones (`dcasearch.search.trials` over a real database) and what they cost is
measured in real seconds; the workers' epochs take simulated seconds (log-normal), and the clock of the simulation is
advanced by both. So it shows at how many workers the driver becomes the bottleneck.

    python benchmarks/driver_saturation.py                      # measures, simulates, draws the figure
    python benchmarks/driver_saturation.py --real 1000 --workers 100   # every call of 1,000 trials made for real

A simulation that makes every call of 20,000 trials for real takes hours for one number of workers. So by default the
calls are measured with few and many recorded trials, each with few and many running ones, and the simulation reads
their costs from that table, linear between its points. `--real` makes them all, and prints both, so that the table can
be held against them.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy
import optuna
import yaml
from ten_thousand import EPOCHS, SPACE, Recorder, made_up, make_study, postgresql

from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.search.costing import Costs
from dcasearch.search.trials import Trials
from dcasearch.search.work import Job
from dcasearch.space import read_space
from dcasearch.store import Store

RECORDED = (1_000, 20_000)
RUNNING = (10, 100, 300, 1_000)
MEASURED = 30
"""Trials that are measured at each point of the table."""
TRIALS = 20_000
WORKERS = (10, 20, 50, 100, 200, 300, 500, 700, 1_000)
EPOCH_SECONDS = (10.0, 60.0, 300.0)
SPREAD = 0.3
"""Of an epoch's seconds between trials: sigma of the log-normal's logarithm."""
FIGURE = Path(__file__).parent.parent / "docs" / "images" / "driver_saturation.svg"
CALLS = ("ask", "report", "finish")
CLOCKS: Mapping[str, Callable[[], float]] = {"sqlite": time.process_time, "postgresql": time.perf_counter}
"""SQLite works in the driver's own process, whose CPU seconds do not depend on what else the machine does; a server's
work is in other processes, so the clock on the wall is the only one."""


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

    def __init__(self, url: str, sampler: str, recorded: int, folder: Path, clock: Callable[[], float]) -> None:
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
        self._clock = clock
        self._jobs: dict[int, Job] = {}
        self._histories: dict[int, list[Epoch]] = {}
        self.costs: dict[str, list[float]] = {call: [] for call in CALLS}
        self.told = recorded
        """Suggestions that were made so far, repeated and infeasible ones among them."""

    @property
    def running(self) -> int:
        """Trials that were asked for and have not ended."""
        return len(self._jobs)

    def _timed(self, call: str, began: float) -> float:
        self.costs[call].append(self._clock() - began)
        return self.costs[call][-1]

    def ask(self) -> tuple[float, int]:
        began = self._clock()
        job = self._trials.ask()
        cost = self._timed("ask", began)
        if job is None:
            raise RuntimeError("the space is used up")
        self.told = len(self._trials.ledger.trials)
        self._jobs[job.number], self._histories[job.number] = job, []
        return cost, job.number

    def report(self, trial: int, epoch: int) -> tuple[float, bool]:
        job = self._jobs[trial]
        measured = made_up(job.assignment.architecture.id, epoch)
        self._histories[trial].append(measured)
        began = self._clock()
        goes_on = self._trials.report(job, measured)
        return self._timed("report", began), goes_on

    def finish(self, trial: int, epoch: int) -> float:
        job = self._jobs.pop(trial)
        history = tuple(self._histories.pop(trial))
        record = Evaluation(key=job.assignment.key, history=history, seconds=1.0, images=1, device="cpu")
        began = self._clock()
        self._trials.finish(job, record)
        return self._timed("finish", began)


@dataclass(frozen=True)
class Table:
    """What the calls cost, by the number of recorded and of running trials."""

    recorded: Sequence[int]
    running: Sequence[int]
    seconds: Mapping[str, Sequence[Sequence[float]]]
    """Per call a row for each number of recorded trials, a column for each of running ones."""

    def cost(self, call: str, recorded: int, running: int) -> float:
        """Return a call's cost, linear between the points."""
        column = [float(numpy.interp(running, self.running, row)) for row in self.seconds[call]]
        return float(numpy.interp(recorded, self.recorded, column))


class Read:
    """A driver whose costs are read from a table, and whose rungs stop two trials of three, as the core's do."""

    def __init__(self, table: Table, recorded: int, extra: float = 0.0) -> None:
        self._table, self._draw = table, random.Random(0)
        self._recorded, self._running = recorded, 0
        self._extra = extra
        """Seconds that the executor takes for each call, in the driver's own thread."""
        self._asked = 0

    def _cost(self, call: str) -> float:
        return self._table.cost(call, self._recorded, self._running)

    def ask(self) -> tuple[float, int]:
        self._asked += 1
        self._recorded += 1
        self._running += 1
        return self._cost("ask") + self._extra, self._asked

    def report(self, trial: int, epoch: int) -> tuple[float, bool]:
        goes_on = epoch not in (3, 9) or self._draw.random() < 1 / 3
        return self._cost("report") + self._extra, goes_on

    def finish(self, trial: int, epoch: int) -> float:
        self._running -= 1
        return self._cost("finish")  # in the same turn as its last report


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


def measure(new_core: Callable[[int, Path], Core], options: argparse.Namespace) -> Table:
    """Measure the calls at each point of the table."""
    seconds: dict[str, list[list[float]]] = {call: [] for call in CALLS}
    for recorded in options.recorded:
        for rows in seconds.values():
            rows.append([])
        with tempfile.TemporaryDirectory() as folder:
            core = new_core(recorded, Path(folder))
            for running in options.running:
                while core.running < running:
                    core.ask()
                core.costs, before = {call: [] for call in CALLS}, core.told
                Simulation(core, 1, options.measured, 1.0).run()
                for call, costs in core.costs.items():
                    seconds[call][-1].append(statistics.fmean(costs))
                shown = ", ".join(f"{call} {1000 * rows[-1][-1]:.1f} ms" for call, rows in seconds.items())
                each = (core.told - before) / options.measured
                point = f"{recorded:>6} recorded, {running:>4} running"
                print(f"  {point}: {shown}; {each:.1f} suggestions a trial", flush=True)
    return Table(options.recorded, options.running, seconds)


def report(outcome: Outcome) -> str:
    return (
        f"| {outcome.workers} | {outcome.utilisation:.1%} | {outcome.busy:.1%} | {outcome.per_hour:,.0f} "
        f"| {outcome.wait:.2f} | {outcome.wait_99:.2f} |"
    )


def draw_figure(found: Mapping[str, Mapping[float, Sequence[Outcome]]], file: Path) -> None:
    """Draw a panel for each length of an epoch: how much of the workers' time is spent in training."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "dcasearch"  # the same numbers, the same file
    from matplotlib import pyplot

    lengths = list(dict.fromkeys(seconds for by_epoch in found.values() for seconds in by_epoch))
    figure, panels = pyplot.subplots(
        1, len(lengths), figsize=(3.6 * len(lengths), 3.4), sharey=True, layout="constrained", squeeze=False
    )
    for seconds, axes in zip(lengths, panels[0], strict=True):
        for case, by_epoch in found.items():
            workers = [outcome.workers for outcome in by_epoch[seconds]]
            axes.plot(workers, [100 * outcome.utilisation for outcome in by_epoch[seconds]], marker=".", label=case)
        axes.set(title=f"epochs of {seconds:g} s", xlabel="workers", xscale="log", ylim=(0, 103))
        axes.set_xticks(WORKERS[::2], [str(number) for number in WORKERS[::2]])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    panels[0][0].set_ylabel("workers' time in training, %")
    panels[0][-1].legend(fontsize="small", loc="lower left")
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
            recorded = core.told
            real = Simulation(core, workers, options.real, seconds).run()
            read = Simulation(Read(table, recorded), workers, options.real, seconds).run()
            print(f"epochs of {seconds:g} s, every call made:  {report(real)}")
            print(f"epochs of {seconds:g} s, from the table:   {report(read)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--workers", type=int, nargs="*", default=WORKERS)
    parser.add_argument("--epoch-seconds", type=float, nargs="*", default=EPOCH_SECONDS)
    parser.add_argument("--recorded", type=int, nargs="*", default=RECORDED, help="trials recorded while measuring")
    parser.add_argument("--running", type=int, nargs="*", default=RUNNING, help="trials running while measuring")
    parser.add_argument("--measured", type=int, default=MEASURED, help="trials measured at each point")
    parser.add_argument("--samplers", nargs="*", default=["tpe", "random"])
    parser.add_argument("--databases", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--extra", type=float, default=0.0, help="driver's seconds per call that the executor takes")
    parser.add_argument("--real", type=int, default=0, help="make every call of so many trials")
    parser.add_argument("--figure", type=Path, default=FIGURE)
    options = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found: dict[str, dict[float, list[Outcome]]] = {}
    with databases(options.databases) as makers:
        for sampler, name in itertools.product(options.samplers, makers):
            case = f"{sampler}, {name}"
            print(f"{case}, two objectives: mean costs of a call")

            def new_core(recorded: int, folder: Path, name: str = name, sampler: str = sampler) -> Core:
                return Core(makers[name](), sampler, recorded, folder, CLOCKS[name])

            table = measure(new_core, options)
            if options.real:
                with tempfile.TemporaryDirectory() as folder:
                    held_against_the_table(new_core(options.recorded[0], Path(folder)), table, options)
                continue
            for seconds in options.epoch_seconds:
                print(f"{case}, {options.trials:,} trials, epochs of {seconds:g} s")
                print("| workers | trains | driver busy | trials per hour | wait, median s | wait, 99% s |")
                for workers in options.workers:
                    driver = Read(table, options.recorded[0], options.extra)
                    outcome = Simulation(driver, workers, options.trials, seconds).run()
                    found.setdefault(case, {}).setdefault(seconds, []).append(outcome)
                    print(report(outcome), flush=True)
    if not options.real:
        draw_figure(found, options.figure)
        print(f"figure: {options.figure}")


if __name__ == "__main__":
    main()
