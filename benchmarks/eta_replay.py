"""How often the live view's range of the time left is right: replays of runs, simulated and real. A minute.

    python benchmarks/eta_replay.py                        # simulated runs of five kinds
    python benchmarks/eta_replay.py sqlite:///dcasearch.db quickstart    # the run of a study that is stored
    python benchmarks/eta_replay.py events.jsonl           # one that `dcasearch run --json > events.jsonl` recorded

Events are fed to the estimator with their times; at moments drawn at random its range is held against the true end. A
range shall be right in 80% of the moments. A simulated run has networks of different speed, heavy-tailed epochs (one in
fifty takes 3 to 20 times as long), a machine that is not equally busy all the time, slow first epochs, pruning by the
code that prunes real runs, failures, duplicates and one to four workers.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from dcasearch.analysis.eta import Estimate, estimate
from dcasearch.analysis.progress import Progress
from dcasearch.config.study import Fidelity, Pruner, Study
from dcasearch.search.pruning import goes_on, keeps, rungs
from dcasearch.search.work import Event
from dcasearch.store import Store

Timed = tuple[float, Event]
HALVING = Pruner(name="successive_halving", startup=4)


TABLES = [Path(__file__).parent / "tables" / f"{name}.jsonl" for name in ("dev", "test")]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What the simulated studies of one kind have in common."""

    name: str
    trials: int = 40
    epochs: int = 9
    pruner: Pruner = HALVING
    promoted: int = 4
    full_epochs: int = 20
    full_work: float = 4.0
    """Work of an epoch of the second fidelity, in epochs of the first."""
    full_true: float = 1.0
    """Spread (log) of what it really takes beside that."""
    spread: float = 0.35
    """Log-deviation of networks' speeds."""
    noise: float = 0.1
    """Log-deviation of the epochs of one training."""
    busy: float = 0.25
    """Log-deviation of how busy the machine is."""
    failures: float = 0.02


KINDS = (
    Kind(name="halving"),
    Kind(name="no pruning", pruner=Pruner(), trials=25, spread=0.15),
    Kind(name="median", pruner=Pruner(name="median", min_epochs=3, startup=5), epochs=15, spread=0.5),
    Kind(name="failing", failures=0.15, trials=60, full_work=1.0, full_epochs=9),
    Kind(name="small", trials=12, epochs=4, promoted=3, full_epochs=8, full_work=1.0),
)


@dataclass
class _Job:
    label: str
    epochs: int
    work: float
    trial: bool
    number: int
    curve: list[float] = field(default_factory=list)


class Simulated:
    """One study, run by workers that take the time that it says; every draw comes from one seed."""

    pruned = "proxy trials"
    """The phase whose trainings are pruned."""

    def __init__(self, kind: Kind, seed: int) -> None:
        self.kind = kind
        self.rng = random.Random(f"{kind.name} {seed}")
        self.workers = self.rng.randint(1, 4)
        self.scale = math.exp(self.rng.gauss(math.log(20), 1.5))
        """Seconds of an epoch."""
        self.full_work = kind.full_work * math.exp(self.rng.gauss(0, 0.2 * (kind.full_work != 1)))
        self.process = self.scale * self.rng.uniform(0.0, 4.0)
        """Seconds until a worker's process trains; processes are kept."""
        self.start = self.scale * self.rng.uniform(0.0, 1.5)
        self.busy, self.busy_at = self.rng.gauss(0, kind.busy), 0.0
        self.curves: list[list[float]] = []
        self.events: list[Timed] = []

    def run(self) -> list[Timed]:
        """Return the events of the run, each with its time in seconds."""
        self._tell(0.0, "run", "study", workers=self.workers, limit_seconds=None, may_end_early=False)
        phases = self._phases()
        for label, total, epochs, work, after in phases:
            self._announce(0.0, "plan", label, total, epochs, work, after)
        free = [(0.0, worker) for worker in range(self.workers)]
        fresh = set(range(self.workers))
        ended: dict[str, float] = {}
        for label, total, epochs, work, after in phases:
            begun = max(ended.get(after, 0.0), min(free)[0])
            self._announce(begun, "phase", label, total, epochs, work, after)
            ended[label] = 0.0
            for number in range(total):
                at, worker = min(free)
                at = max(at, begun)
                job = _Job(f"{label.removesuffix('s')} {number}", epochs, work, label == self.pruned, number)
                if job.trial and self.rng.random() < 0.1:
                    self._tell(at, "duplicate", f"{self.pruned.removesuffix('s')} {100 + number}")
                end = self._train(job, at, self.process * (worker in fresh))
                fresh.discard(worker)
                free[free.index((min(free)[0], worker))] = (end, worker)
                ended[label] = max(ended[label], end)
        return sorted(self.events, key=lambda timed: timed[0])

    def _phases(self) -> list[tuple[str, int, int, float, str]]:
        """Return of each phase its label, trainings, epochs, work of an epoch, and the phase that it waits for."""
        kind = self.kind
        return [
            ("proxy baselines", 5, kind.epochs, 1.0, ""),
            ("proxy trials", kind.trials, kind.epochs, 1.0, ""),
            ("full baselines", 5, kind.full_epochs, kind.full_work, ""),
            ("full trials", kind.promoted, kind.full_epochs, kind.full_work, "proxy trials"),
            ("full finals", 6, kind.full_epochs, kind.full_work, "full trials"),
        ]

    def _announce(self, at: float, kind: str, label: str, total: int, epochs: int, work: float, after: str) -> None:
        pruner = self.kind.pruner if label == self.pruned else Pruner()
        fields = {"rungs": ", ".join(map(str, rungs(pruner, epochs))), "keeps": keeps(pruner, epochs), "metric": "top1"}
        self._tell(at, kind, label, total=total, epochs=epochs, work=work, after=after, **fields)

    def _train(self, job: _Job, at: float, late: float) -> float:
        """Tell the course of one training that begins at a time; return its end."""
        rng = self.rng
        self._tell(at, "started", job.label)
        work = self.scale * (1.0 if job.work == 1.0 and not job.label.startswith("full") else self.full_work)
        speed = work * math.exp(rng.gauss(0, self.kind.spread))
        fails_after = rng.random() * job.epochs if rng.random() < self.kind.failures else math.inf
        level, now = rng.gauss(60, 8), at + self.start + late
        for epoch in range(1, job.epochs + 1):
            took = speed * math.exp(rng.gauss(0, self.kind.noise)) * self._busy(now)
            if rng.random() < 0.02:
                took *= min(20.0, 3.0 * rng.paretovariate(1.5))
            now += took
            if epoch > fails_after:
                self._tell(now, "failed", job.label)
                return now
            job.curve.append(100 - level - 5 * math.log(epoch) + rng.gauss(0, 2))
            self._tell(now, "epoch", job.label, epoch=epoch, of=job.epochs, seconds=took, top1=50.0)
            if job.trial and not goes_on(self.kind.pruner, job.epochs, [100 - v for v in job.curve], self.curves):
                self.curves.append([100 - v for v in job.curve])
                self._tell(now, "pruned", job.label, top1=50.0, epochs=epoch, seconds=now - at)
                return now
        if job.trial:
            self.curves.append([100 - v for v in job.curve])
        self._tell(now, "complete", job.label, top1=50.0, epochs=job.epochs, seconds=now - at)
        return now

    def _busy(self, now: float) -> float:
        """Return the factor of an epoch that begins at a time: an Ornstein-Uhlenbeck process over 60 epochs' time."""
        keep = math.exp(-max(0.0, now - self.busy_at) / (60 * self.scale))
        self.busy = keep * self.busy + self.rng.gauss(0, self.kind.busy * math.sqrt(1 - keep**2))
        self.busy_at = max(now, self.busy_at)
        return math.exp(self.busy)

    def _tell(self, at: float, kind: Any, label: str, **fields: Any) -> None:
        self.events.append((at, Event(kind, label, fields=fields)))


class Measured(Simulated):
    """A study of trainings that were really done, with the seconds of their epochs, as `benchmarks/tables` has them.

    They are a stretch of the table in the order in which they were trained, so that the machine's load is what it was.
    """

    pruned = "long trials"
    KIND = Kind(name="measured", trials=30, epochs=6)

    def __init__(self, rows: Sequence[dict[str, Any]], seed: int) -> None:
        super().__init__(self.KIND, seed)
        begin = self.rng.randrange(len(rows) - self.kind.trials - 6)
        self._rows = iter(rows[begin:])

    def _phases(self) -> list[tuple[str, int, int, float, str]]:
        return [
            ("long trials", self.kind.trials, self.kind.epochs, 1.0, ""),
            ("long finals", 6, self.kind.epochs, 1.0, "long trials"),
        ]

    def _train(self, job: _Job, at: float, late: float) -> float:
        row, now = next(self._rows), at
        self._tell(at, "started", job.label)
        for epoch, took in enumerate(row["seconds"], start=1):
            now += took
            self._tell(now, "epoch", job.label, epoch=epoch, of=job.epochs, seconds=took, top1=50.0)
            curve = row["losses"][:epoch]
            if job.trial and not goes_on(self.kind.pruner, job.epochs, [100 - v for v in curve], self.curves):
                self.curves.append([100 - v for v in curve])
                self._tell(now, "pruned", job.label, top1=50.0, epochs=epoch, seconds=now - at)
                return now
        self.curves.append([100 - v for v in row["losses"]])
        self._tell(now, "complete", job.label, top1=50.0, epochs=job.epochs, seconds=now - at)
        return now


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the trainings of six epochs that a table holds."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in rows if row.get("fidelity") == "long"]


@dataclass(frozen=True)
class Moment:
    """One range, held against what came."""

    at: float
    """Share of the run that was over."""
    given: Estimate | None
    true: float
    """Seconds that were left."""

    @property
    def right(self) -> bool:
        """Whether the range that people read holds the true time."""
        if self.given is None:
            return False
        low, high = self.given.rounded
        return low <= self.true <= high


def moments(events: Iterable[Timed], count: int, seed: int) -> Iterator[Moment]:
    """Replay a run and yield its ranges at moments drawn uniformly over its time."""
    timed = list(events)
    begin, end = timed[0][0], timed[-1][0]
    rng = random.Random(f"moments {seed}")
    drawn = sorted(begin + rng.random() * (end - begin) for _ in range(count))
    progress, at = Progress(), 0
    for moment in drawn:
        while timed[at][0] <= moment:
            progress.take(timed[at][1], timed[at][0])
            at += 1
        yield Moment((moment - begin) / (end - begin), estimate(progress, moment), end - moment)


def recorded(path: Path) -> list[Timed]:
    """Return the run that `dcasearch run --json` has written into a file."""
    events: list[Timed] = []
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        at = datetime.fromisoformat(entry.pop("time")).timestamp()
        events.append((at, Event(entry.pop("event"), entry.pop("label"), entry.pop("message"), entry)))
    return events


def stored(url: str, name: str) -> list[Timed]:
    """Return the run of a stored study, put together from its records: who was trained, and the seconds of each epoch.

    Trainings are handed to as many workers as the study has, in the order of the study.
    """
    store = Store.open(url)
    study = Study.model_validate_json(store.get_study(name).resolved)
    run = _Stored(store, study)
    run.tell(0.0, "run", name, workers=study.executor.max_concurrent, limit_seconds=None, may_end_early=False)
    roles = store.roles(name)
    parts: list[tuple[str, Fidelity, str, list[Any]]] = []
    before = ""
    for fidelity in study.fidelities:
        baselines = [r for r in roles if (r.role, r.fidelity) == ("baseline", fidelity.name)]
        trials = [t for t in store.trials(name, fidelity.name) if t.duplicate_of is None]
        parts.append((f"{fidelity.name} baselines", fidelity, "", baselines))
        parts.append((f"{fidelity.name} trials", fidelity, before, trials))
        before = f"{fidelity.name} trials"
    finals = [r for r in roles if r.role == "final"]
    parts.append((f"{fidelity.name} finals", fidelity, before, finals))
    ended = {"": 0.0}
    parts = [(*part[:3], [row for row in part[3] if row.evaluation is not None]) for part in parts]
    for label, fidelity, after, rows in parts:
        run.announce(0.0, "plan", label, fidelity, after, len(rows))
    for label, fidelity, after, rows in parts:
        ended[label] = run.train(label, fidelity, after, ended[after], rows)
    return sorted(run.events, key=lambda timed: timed[0])


class _Stored:
    """The events of a stored study, as they are put together."""

    def __init__(self, store: Store, study: Study) -> None:
        self._store, self._free = store, [0.0] * study.executor.max_concurrent
        self.events: list[Timed] = []

    def tell(self, at: float, kind: Any, label: str, **fields: Any) -> None:
        self.events.append((at, Event(kind, label, fields=fields)))

    def announce(self, at: float, kind: str, label: str, fidelity: Fidelity, after: str, total: int) -> None:
        pruner = fidelity.pruner if label.endswith(" trials") else Pruner()
        steps, epochs = rungs(pruner, fidelity.epochs), fidelity.epochs
        work = fidelity.train_fraction * fidelity.resolution**2
        fields = {"total": total, "epochs": epochs, "work": work, "after": after, "metric": "top1"}
        self.tell(at, kind, label, rungs=", ".join(map(str, steps)), keeps=keeps(pruner, epochs), **fields)

    def train(self, label: str, fidelity: Fidelity, after: str, begin: float, rows: list[Any]) -> float:
        """Train what a phase has trained; return its end."""
        self.announce(max(begin, min(self._free)), "phase", label, fidelity, after, len(rows))
        end = begin
        for number, row in enumerate(rows):
            record = self._store.evaluation(row.evaluation)
            worker = self._free.index(min(self._free))
            now = max(begin, self._free[worker])
            job = f"{label.removesuffix('s')} {number}"
            self.tell(now, "started", job)
            now += max(0.0, record.seconds - sum(epoch.seconds for epoch in record.history))
            for epoch in record.history:
                now += epoch.seconds
                self.tell(now, "epoch", job, epoch=epoch.epoch, of=fidelity.epochs, seconds=epoch.seconds)
            state = "complete" if len(record.history) == fidelity.epochs else "pruned"
            self.tell(now, state, job, epochs=len(record.history))
            self._free[worker] = now
            end = max(end, now)
        return end


def sentence(name: str, found: Sequence[Moment]) -> str:
    """Return how often the ranges of some moments were right."""
    given = [moment for moment in found if moment.given is not None]
    thirds = [[m.right for m in given if n / 3 <= m.at < (n + 1) / 3] for n in range(3)]
    shares = ", ".join(f"{statistics.fmean(third):.0%}" if third else "none" for third in thirds)
    width = statistics.median(m.given.high / max(m.given.low, 1.0) for m in given if m.given is not None)
    return (
        f"{name:14} right {statistics.fmean(m.right for m in given):4.0%} of {len(given)} moments "
        f"({shares} of each third of the run); no estimate in {1 - len(given) / len(found):.0%}; "
        f"high / low {width:.1f} in the median"
    )


def main() -> None:
    """Print a line for each kind of simulated run, or one for a real run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", nargs="?", help="a database, or the file of a recorded run")
    parser.add_argument("study", nargs="?", help="a study of the database")
    parser.add_argument("--runs", type=int, default=150, help="simulated runs of each kind")
    arguments = parser.parse_args()
    if arguments.study is not None:
        print(sentence(arguments.study, list(moments(stored(arguments.run, arguments.study), 300, 0))))
    elif arguments.run is not None:
        print(sentence(arguments.run, list(moments(recorded(Path(arguments.run)), 300, 0))))
    else:
        every: list[Moment] = []
        for kind in KINDS:
            found = [m for seed in range(arguments.runs) for m in moments(Simulated(kind, seed).run(), 6, seed)]
            print(sentence(kind.name, found), flush=True)
            every += found
        for table in TABLES:
            rows = rows_of(table)
            found = [m for seed in range(arguments.runs) for m in moments(Measured(rows, seed).run(), 6, seed)]
            print(sentence(f"table {table.stem}", found), flush=True)
        print(sentence("all simulated", every))


if __name__ == "__main__":
    main()
