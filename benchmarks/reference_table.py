"""Train a reference table: every architecture of a small space at every fidelity that a replayed search may ask for.

One line is appended for each training that ended, so the same command goes on after any interruption (a training that
was cut off begins anew). Seconds are those of the one processor core that a training computes on, so that they compare
whatever else the machine does. The truth's seeds are added until its reliability is 0.9, or there are `--most-seeds`.

    CIFAR10_ROOT=... python benchmarks/reference_table.py --table dev --out tables [--processes 2] [--hours 12]
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from dcasearch.architecture import Architecture, vanilla_of
from dcasearch.artifacts import Place
from dcasearch.config.study import Fidelity, ScoreName, Study
from dcasearch.data import DataInfo, describe
from dcasearch.evaluation import Epoch
from dcasearch.executors.worker import end_with_parent
from dcasearch.models import cost
from dcasearch.replay.table import Head, Member, Row, Table, append, read_table, reliability
from dcasearch.search.assignments import assignment_of
from dcasearch.space import load_study
from dcasearch.study import check_variables
from dcasearch.training import Assignment, discard, evaluate, sha256_of, weights_path

FOLDER = Path(__file__).parent / "tables"
SCORES: tuple[ScoreName, ...] = ("synflow", "naswot", "grad_norm", "snip", "zico")
REPLAYED = (0, 1, 2)
TRUTH_FROM = 100
FIRST_TRUTH = 3
"""Seeds of the truth before its reliability is asked for."""
AIM = 0.9


@dataclass(frozen=True)
class Wanted:
    """One line that the table shall have."""

    assignment: Assignment
    of: str
    fidelity: str
    seed: int

    @property
    def key(self) -> tuple[str, str, int]:
        return self.of, self.fidelity, self.seed


def train(wanted: Wanted, artifacts: Place) -> Row:
    """Train, or score, anew from the first epoch, and return the line; runs in a worker."""
    assignment, marks = wanted.assignment, [time.process_time()]
    discard(assignment.key, artifacts)  # seconds of epochs before an interruption would be another process's
    if assignment.parent is not None:
        weights = weights_path(artifacts, assignment.parent.key.id)
        assignment = replace(assignment, parent_sha256=sha256_of(weights))

    def report(epoch: Epoch) -> bool:
        marks.append(time.process_time())
        return True

    done = evaluate(assignment, artifacts=artifacts, report=report, threads=1, device="cpu")
    discard(assignment.key, artifacts)
    is_parent = wanted.fidelity.endswith(".parent")
    if done.weights is not None and not is_parent:
        (artifacts / done.weights).unlink()
    scored = assignment.fidelity.kind == "zero_cost"
    return Row(
        of=wanted.of,
        fidelity=wanted.fidelity,
        seed=wanted.seed,
        values=tuple(e.values["score"] if scored else round(e.values["top1"], 4) for e in done.history),
        losses=() if scored else tuple(round(e.values["loss"], 5) for e in done.history),
        seconds=tuple(round(after - before, 3) for before, after in pairwise(marks)),
        weights_sha256=done.weights_sha256 if is_parent else None,
    )


class Plan:
    """What a table holds, in the order in which it is trained."""

    def __init__(self, study: Study, members: tuple[Member, ...], data: DataInfo) -> None:
        self._study, self._data = study, data
        self._architectures = {m.architecture: Architecture.parse(m.spec) for m in members}
        self._level = {fidelity.name: fidelity for fidelity in study.fidelities}

    def phases(self) -> Iterator[list[Wanted]]:
        """Yield lists whose lines may be trained in any order, each after those before it."""
        for number, seed in enumerate(REPLAYED):
            yield self._all(self._level["proxy"], seed)
            yield self.parents(seed)
            yield self._all(self._level["warm"], seed)
            yield self._all(self._level["long"], seed)
            yield self.truth(number)
            yield [line for score in SCORES for line in self._all(self._score(score), seed)]
        for number in range(len(REPLAYED), FIRST_TRUTH):
            yield self.truth(number)

    def truth(self, number: int) -> list[Wanted]:
        return self._all(self._level["long"], TRUTH_FROM + number)

    def parents(self, seed: int) -> list[Wanted]:
        assignments = [line.assignment.parent for line in self._all(self._level["warm"], seed)]
        distinct = {assignment.architecture.id: assignment for assignment in assignments if assignment is not None}
        return [Wanted(assignment, id, "warm.parent", seed) for id, assignment in distinct.items()]

    def _all(self, fidelity: Fidelity, seed: int) -> list[Wanted]:
        return [
            Wanted(
                assignment_of(self._study, fidelity, architecture, seed, data_fingerprint=self._data.fingerprint),
                id,
                fidelity.name,
                seed,
            )
            for id, architecture in self._architectures.items()
        ]

    def _score(self, score: ScoreName) -> Fidelity:
        proxy = self._level["proxy"]
        changes = {"name": score, "kind": "zero_cost", "score": score, "batches": 2, "epochs": 1}
        return proxy.model_copy(update=changes)


def begun(path: Path, study: Study, members: tuple[Member, ...], data: DataInfo) -> Table:
    """Return what the file holds; it is begun where there is none."""
    head = Head(
        name=study.name,
        study=study.model_dump(mode="json", exclude_defaults=True, exclude={"data": {"root"}, "storage": True}),
        classes=data.classes,
        data=data.fingerprint,
        truth="long",
        truth_from=TRUTH_FROM,
    )
    if not path.exists():
        append(path, [head, *members])
    table = read_table(path)
    if table.head != head or table.members != members:
        raise SystemExit(f"{path} was begun for another space, data or recipe; choose another --out")
    return table


def work(path: Path, lines: list[Wanted], pool: ProcessPoolExecutor, artifacts: Path, until: float) -> bool:
    """Train the lines that are missing; False where the time is over before all are there."""
    rows = read_table(path).rows
    missing = [line for line in lines if line.key not in rows or not _kept(line, artifacts)]
    running: set[Future[Row]] = set()
    began, done = time.monotonic(), 0
    for line in missing:
        if time.monotonic() > until:
            break
        running.add(pool.submit(train, line, artifacts))
        if len(running) > 2:
            running = _record(path, running)
    while running:
        running = _record(path, running)
    rows = read_table(path).rows
    done = sum(line.key in rows for line in missing)
    if missing:
        label = f"{lines[0].fidelity} seed {lines[0].seed}"
        print(f"{label}: {done}/{len(missing)} in {time.monotonic() - began:.0f} s", flush=True)
    return done == len(missing)


def _kept(line: Wanted, artifacts: Path) -> bool:
    """Whether a parent's weights, which its children need, are still there."""
    return not line.fidelity.endswith(".parent") or weights_path(artifacts, line.assignment.key.id).exists()


def _record(path: Path, running: set[Future[Row]]) -> set[Future[Row]]:
    ended, rest = wait(running, return_when=FIRST_COMPLETED)
    append(path, [future.result() for future in ended])
    return rest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", choices=("dev", "test"), required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the table and of what it needs on the way")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--hours", type=float, default=12.0)
    parser.add_argument("--most-seeds", type=int, default=10, help="of the truth")
    options = parser.parse_args()
    until = time.monotonic() + 3600 * options.hours
    loaded = load_study(FOLDER / f"{options.table}.yaml")
    check_variables(loaded)
    study, data = loaded.study, describe(loaded.study.data)
    points = {point.architecture.id: point.architecture for point in loaded.space.enumerate()}
    resolution = study.fidelities[-1].resolution
    costs = {id: cost(architecture, resolution, data.classes) for id, architecture in points.items()}
    members = tuple(
        Member(
            architecture=id,
            spec=architecture.to_dict(),
            params=costs[id].params,
            macs=costs[id].macs,
            parent=vanilla_of(architecture).id,
        )
        for id, architecture in points.items()
    )
    artifacts = options.out / f"{options.table}-artifacts"
    artifacts.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{options.table}.jsonl"
    begun(path, study, members, data)
    plan = Plan(study, members, data)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, context, end_with_parent) as pool:
        for lines in plan.phases():
            if not work(path, lines, pool, artifacts, until):
                raise SystemExit("out of time; the same command goes on")
        for number in range(FIRST_TRUTH, options.most_seeds):
            known = reliability(read_table(path).judged)
            print(f"reliability of {number} seeds: {known}", flush=True)
            if known is not None and known >= AIM:
                break
            if not work(path, plan.truth(number), pool, artifacts, until):
                raise SystemExit("out of time; the same command goes on")
    judged = read_table(path).judged
    print(f"{len(members)} architectures; reliability of {judged.shape[1]} seeds: {reliability(judged)}")


if __name__ == "__main__":
    main()
