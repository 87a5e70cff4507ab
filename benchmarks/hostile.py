"""Hostile runs of every command, counted: each a process of its own, in a copy of a folder where one thing is spoiled.

Files of any content (studies, specs, weights, images, lists, annotations, tables, checkpoints), damaged rows, odd
arguments and odd surroundings, of a seed. A run is well where it ends with a sentence and an exit code, without a
traceback, without a stranger's code or a password shown, within 10 CPU seconds and 1 GB (of its whole family of
processes) above the same command's run on good files. Every other run is printed, with how to make it again. Exit code
1 where there was one.

    python benchmarks/hostile.py [--runs 1000] [--seed 0] [--jobs 2] [--kind NAME] [--keep FOLDER]

Needs `pip install 'dcasearch[dev,detection]'`. 1,000 runs take about an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.fuzz.attacks import KINDS, Attack, good_run
from tests.fuzz.measured import Ran
from tests.fuzz.workshop import make_workshop

SHOWN, FAULT = 1500, 200
"""Characters of a run that is not well, and of why."""


@dataclass(frozen=True)
class Outcome:
    """What became of one hostile run."""

    kind: str
    command: tuple[str, ...]
    code: int
    fault: str
    """Why it is not well; empty where it is."""
    said: str
    seconds: float
    """CPU seconds above the good run's."""
    bytes: float
    """Memory above the good run's."""


def outcomes(workshop: Path, own: Path, kind: str, runs: int, of: int) -> Iterator[Outcome]:
    """Run so many attacks of a kind, with a seed."""
    attacks: list[Attack] = []

    @seed(of)
    @settings(
        max_examples=runs,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(attack=KINDS[kind](workshop))
    def collect(attack: Attack) -> None:
        attacks.append(attack)

    collect()
    known: dict[tuple[str, ...], Ran] = {}
    folder = own / "copy"
    for attack in attacks[:runs]:
        command = attack.good or attack.command
        try:
            if command not in known:
                known[command] = good_run(attack, workshop, folder)
            good = known[command]
            ran = attack.run(workshop, folder)
        except pytest.fail.Exception as late:
            yield Outcome(kind, attack.command, -1, str(late), "", 0.0, 0.0)
            continue
        fault = ""
        try:
            attack.check(ran, good, folder)
        except AssertionError as error:
            fault = str(error).partition("\n")[0][:FAULT] or "not well"
        yield Outcome(kind, attack.command, ran.code, fault, ran.said, ran.seconds - good.seconds, ran.peak - good.peak)


def job(given: tuple[Path, Path, str, int, int]) -> list[Outcome]:
    workshop, own, *rest = given
    own.mkdir()
    return list(outcomes(workshop, own, *rest))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kind", choices=list(KINDS))
    parser.add_argument("--keep", type=Path, help="Write every run into this file, as JSON lines.")
    options = parser.parse_args()
    kinds = [options.kind] if options.kind else list(KINDS)
    shares = {kind: options.runs // len(kinds) + (n < options.runs % len(kinds)) for n, kind in enumerate(kinds)}
    with tempfile.TemporaryDirectory(prefix="hostile-") as name:
        folder = Path(name)
        workshop = folder / "workshop"
        workshop.mkdir()
        make_workshop(workshop)
        jobs = [(workshop, folder / f"own-{kind}", kind, runs, options.seed) for kind, runs in shares.items()]
        faulty = 0
        counted: Counter[str] = Counter()
        most: dict[str, tuple[float, float]] = {}
        with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
            for done in pool.imap_unordered(job, jobs):
                for outcome in done:
                    counted[outcome.kind] += 1
                    seconds, size = most.get(outcome.kind, (0.0, 0.0))
                    most[outcome.kind] = (max(seconds, outcome.seconds), max(size, outcome.bytes))
                    if outcome.fault:
                        faulty += 1
                        show(outcome)
                    if options.keep:
                        with options.keep.open("a") as file:
                            file.write(json.dumps(vars(outcome)) + "\n")
                kind = done[0].kind
                print(row(kind, counted, most), flush=True)
    print(f"{sum(counted.values())} hostile runs, seed {options.seed}: {faulty} not well")
    sys.exit(bool(faulty))


def row(kind: str, counted: Counter[str], most: Mapping[str, tuple[float, float]]) -> str:
    """Return a line about a kind that is done."""
    seconds, size = most[kind]
    return f"{kind:14}{counted[kind]:5} runs, at most {seconds:5.1f} CPU s and {size / 1e6:5.0f} MB above a good run"


def show(outcome: Outcome) -> None:
    """Print a run that is not well."""
    command = " ".join(repr(word) if not word.isprintable() else word for word in outcome.command)
    said = (
        outcome.said if len(outcome.said) <= SHOWN else f"{outcome.said[: SHOWN // 2]} … {outcome.said[-SHOWN // 2 :]}"
    )
    print(
        f"NOT WELL ({outcome.kind}): dcasearch {command[:300]}\n  exit code {outcome.code}: {outcome.fault}\n{said}\n"
    )


if __name__ == "__main__":
    main()
