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
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from dcasearch.analysis.eta import Estimate, estimate
from dcasearch.analysis.progress import Progress
from dcasearch.config.study import Pruner
from dcasearch.search.pruning import goes_on, keeps, rungs
from dcasearch.search.work import Event

Timed = tuple[float, Event]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What the simulated studies of one kind have in common."""

    name: str
    trials: int = 40
    epochs: int = 9
    pruner: Pruner = Pruner(name="successive_halving", startup=4)
    promoted: int = 4
    full_epochs: int = 20
    full_work: float = 4.0
    """Work of an epoch of the second fidelity, in epochs of the first."""
    full_true: float = 1.0
    """Spread (log) of what it really takes beside that."""
    spread: float = 0.3
    """Log-deviation of networks' speeds."""
    noise: float = 0.1
    """Log-deviation of the epochs of one training."""
    busy: float = 0.15
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

    def __init__(self, kind: Kind, seed: int) -> None:
        self.kind = kind
        self.rng = random.Random(f"{kind.name} {seed}")
        self.workers = self.rng.randint(1, 4)
        self.scale = math.exp(self.rng.gauss(math.log(20), 1.5))
        """Seconds of an epoch."""
        self.full_work = kind.full_work * math.exp(self.rng.gauss(0, 0.2 * (kind.full_work != 1)))
        self.start = self.scale * self.rng.uniform(0.0, 1.5)
        self.busy, self.busy_at = self.rng.gauss(0, kind.busy), 0.0
        self.curves: list[list[float]] = []
        self.events: list[Timed] = []

    def run(self) -> list[Timed]:
        """Return the events of the run, each with its time in seconds."""
        kind = self.kind
        self._tell(0.0, "run", "study", workers=self.workers, limit_seconds=None, may_end_early=False)
        phases = [
            ("proxy baselines", 5, kind.epochs, 1.0, ""),
            ("proxy trials", kind.trials, kind.epochs, 1.0, ""),
            ("full baselines", 5, kind.full_epochs, kind.full_work, ""),
            ("full trials", kind.promoted, kind.full_epochs, kind.full_work, "proxy trials"),
            ("full finals", 6, kind.full_epochs, kind.full_work, "full trials"),
        ]
        for label, total, epochs, work, after in phases:
            self._announce(0.0, "plan", label, total, epochs, work, after)
        free = [(0.0, worker) for worker in range(self.workers)]
        ended: dict[str, float] = {}
        for label, total, epochs, work, after in phases:
            begun = max(ended.get(after, 0.0), min(free)[0])
            self._announce(begun, "phase", label, total, epochs, work, after)
            ended[label] = 0.0
            for number in range(total):
                at, worker = min(free)
                at = max(at, begun)
                job = _Job(f"{label.removesuffix('s')} {number}", epochs, work, label == "proxy trials", number)
                if job.trial and self.rng.random() < 0.1:
                    self._tell(at, "duplicate", f"proxy trial {100 + number}")
                end = self._train(job, at)
                free[free.index((min(free)[0], worker))] = (end, worker)
                ended[label] = max(ended[label], end)
        return sorted(self.events, key=lambda timed: timed[0])

    def _announce(self, at: float, kind: str, label: str, total: int, epochs: int, work: float, after: str) -> None:
        pruner = self.kind.pruner if label == "proxy trials" else Pruner()
        fields = {"rungs": ", ".join(map(str, rungs(pruner, epochs))), "keeps": keeps(pruner, epochs), "metric": "top1"}
        self._tell(at, kind, label, total=total, epochs=epochs, work=work, after=after, **fields)

    def _train(self, job: _Job, at: float) -> float:
        """Tell the course of one training that begins at a time; return its end."""
        rng = self.rng
        self._tell(at, "started", job.label)
        work = self.scale * (1.0 if job.work == 1.0 and not job.label.startswith("full") else self.full_work)
        speed = work * math.exp(rng.gauss(0, self.kind.spread))
        fails_after = rng.random() * job.epochs if rng.random() < self.kind.failures else math.inf
        level, now = rng.gauss(60, 8), at + self.start
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
        return self.given is not None and self.given.low <= self.true <= self.given.high


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=150)
    arguments = parser.parse_args()
    for kind in KINDS:
        found = [m for seed in range(arguments.runs) for m in moments(Simulated(kind, seed).run(), 6, seed)]
        given = [m for m in found if m.given is not None]
        thirds = [[m for m in given if n / 3 <= m.at < (n + 1) / 3] for n in range(3)]

        def share(ms):
            return sum(m.right for m in ms) / len(ms)

        below = sum(m.true < m.given.low for m in given) / len(given)
        import statistics

        width = statistics.median(m.given.high / max(1e-9, m.given.low) for m in given)
        print(
            f"{kind.name:12} right {share(given):.0%} by thirds {' '.join(f'{share(t):.0%}' for t in thirds)}; below {below:.0%}; no estimate {1 - len(given) / len(found):.0%}; high/low {width:.2f}"
        )


if __name__ == "__main__":
    main()
