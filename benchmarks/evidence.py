"""Plain, vanilla, connected and placebo networks on CIFAR-10, paired by seed; goes on over many short visits.

A pair trains with equal seeds on one kind of device: equal initial parameters where names are equal, and equal batches.
One line is appended for each training that ended. The same command goes on with what is missing, seed by seed, begins
no training that --minutes leaves no time for, and stops by itself at the table's number of seeds. It prints for each
comparison the difference with Student's 95% interval, for one comparison and for all of the table at once (Bonferroni),
and the smallest true difference that so many seeds find in 80% of cases.

    python benchmarks/evidence.py TABLE --root CIFAR10 [--minutes 8] [--device auto] [--processes 1] [--out FILE]
    python benchmarks/evidence.py TABLE --show

TABLE is `small` (images of 16 pixels, a part of them, minutes of a CPU) or `cifar10` (all of CIFAR-10, for a GPU).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dcasearch.analysis.paired import Error
from dcasearch.architecture import Architecture
from dcasearch.config import load_recipe
from dcasearch.config.data_set import Data
from dcasearch.config.study import Fidelity
from dcasearch.data import describe
from dcasearch.executors.worker import end_with_parent
from dcasearch.training import Assignment, evaluate

FOLDER = Path(__file__).parent / "tables"
CONNECTIONS: Mapping[str, Mapping[str, Any]] = {"connected": {}, "placebo": {"message": "own"}}
"""The paper's chain in every dimension that the attention has; the same where each block's message is its own G."""
KINDS = ("plain", "vanilla", *CONNECTIONS)
"""Without attention; with it; with it connected; connected without a message, at equal parameters and multiply-adds."""
COMPARISONS = (("connected", "vanilla"), ("vanilla", "plain"), ("connected", "placebo"))
FIRST_GUESS = 120.0
"""Seconds of a training of which none has ended yet."""

Key = tuple[str, str, str, int]
"""Backbone, attention, kind and seed; a plain network's attention is empty."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """What is trained, and how."""

    file: str
    backbones: Mapping[str, Mapping[str, Any]]
    attentions: Mapping[str, Mapping[str, Any]]
    kinds: tuple[str, ...]
    seeds: int
    """Where it stops."""
    trained: int
    """Images."""
    held_out: int
    """Of CIFAR-10's 50,000 training images, what is measured on."""
    resolution: int
    epochs: int
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Departures from the recipe `small`, by backbone."""


TABLES = {
    "small": Table(
        file="connected.jsonl",
        backbones={
            "ResNet-18, width 1/4": {"name": "resnet18", "width": 0.25, "stem": "small"},
            "MnasNet 0.5": {"name": "mnasnet0_5", "stem": "small"},
        },
        attentions={
            "SE": {"name": "se", "reduction": 8},
            "GE-θ": {"name": "ge_theta", "extent": 8},
            "CBAM": {"name": "cbam", "reduction": 8},
        },
        kinds=("vanilla", "connected"),
        seeds=3,
        trained=3000,
        held_out=2000,
        resolution=16,
        epochs=6,
        # A MnasNet at these budgets learns nothing from fewer or larger steps.
        recipes={
            "ResNet-18, width 1/4": {"batch_size": 64, "lr": 0.05, "label_smoothing": 0.0},
            "MnasNet 0.5": {"batch_size": 32, "lr": 0.01, "label_smoothing": 0.0},
        },
    ),
    "cifar10": Table(
        file="cifar10.jsonl",
        backbones={
            "ResNet-18": {"name": "resnet18", "stem": "small"},
            "MnasNet 1.0": {"name": "mnasnet1_0", "stem": "small"},
        },
        attentions={"SE": {"name": "se", "reduction": 8}},
        kinds=KINDS,
        seeds=20,
        trained=45_000,
        held_out=5000,
        resolution=32,
        epochs=15,
        recipes={
            "ResNet-18": {"batch_size": 256, "lr": 0.2, "precision": "bf16"},
            "MnasNet 1.0": {"batch_size": 128, "lr": 0.05, "precision": "bf16"},
        },
    ),
}


def architecture(table: Table, key: Key) -> Architecture:
    """Return the network of a key."""
    backbone, attention, kind, _ = key
    written: dict[str, Any] = {"backbone": table.backbones[backbone]}
    if kind != "plain":
        written["attention"] = table.attentions[attention]
    if kind in CONNECTIONS:
        written["connections"] = CONNECTIONS[kind]
    return Architecture.parse(written)


def wanted(table: Table) -> Iterator[Key]:
    """Yield every training, seed by seed, so that pairs are whole early."""
    for seed in range(table.seeds):
        for backbone in table.backbones:
            if "plain" in table.kinds:
                yield backbone, "", "plain", seed
            for attention in table.attentions:
                yield from ((backbone, attention, kind, seed) for kind in table.kinds if kind != "plain")


def train(table: Table, key: Key, data: Data, fingerprint: str, device: str) -> dict[str, Any]:
    """Train one network and return its line; runs in a worker."""
    recipe = load_recipe("small").recipe.model_copy(update=dict(table.recipes.get(key[0], {})))
    fidelity = Fidelity(
        name="long",
        resolution=table.resolution,
        epochs=table.epochs,
        train_fraction=table.trained / (50_000 - table.held_out),
        recipe=recipe,
    )
    assignment = Assignment(
        architecture=architecture(table, key),
        fidelity=fidelity,
        data=data,
        data_fingerprint=fingerprint,
        protocol="search",
        seed=key[3],
    )
    began, worked = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        done = evaluate(assignment, artifacts=Path(folder), report=lambda epoch: True, threads=1, device=device)
    curve = [round(epoch.values["top1"], 3) for epoch in done.history]
    return {
        "key": key,
        "top1": curve,
        "loss": done.last.values["loss"],
        # Of the CPU where that trains, so that what runs beside it does not count; else of the clock.
        "seconds": round((time.process_time() - worked) if done.device == "cpu" else (time.perf_counter() - began), 1),
        "device": done.device,
    }


def read(path: Path) -> dict[Key, dict[str, Any]]:
    """Return what was trained, by key; a line that was cut off is passed over."""
    text = path.read_text() if path.exists() else ""
    lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    return {(str(b), str(a), str(k), int(s)): line for line in lines for b, a, k, s in [line["key"]]}


@dataclass(frozen=True)
class Row:
    """One comparison."""

    backbone: str
    attention: str
    kind: str
    other: str
    means: tuple[float, float]
    """Top-1 of `kind` and of `other`, over the seeds of both."""
    top1: tuple[float, ...]
    """Differences, seed by seed."""
    loss: tuple[float, ...]

    def error(self, differences: tuple[float, ...]) -> Error | None:
        """Return the standard error of a mean; None of one seed."""
        n = len(differences)
        return Error(statistics.variance(differences) / n, n - 1) if n > 1 else None


def rows(table: Table, found: Mapping[Key, Mapping[str, Any]]) -> Iterator[Row]:
    """Yield the comparisons that have a pair; a pair ran on one model of device."""

    def line(backbone: str, attention: str, kind: str, seed: int) -> Mapping[str, Any] | None:
        return found.get((backbone, "" if kind == "plain" else attention, kind, seed))

    for backbone in table.backbones:
        for attention in table.attentions:
            for kind, other in COMPARISONS:
                both = [(line(backbone, attention, kind, s), line(backbone, attention, other, s)) for s in range(99)]
                pairs = [(a, b) for a, b in both if a and b and a.get("device", "cpu") == b.get("device", "cpu")]
                if pairs:
                    last = [(float(a["top1"][-1]), float(b["top1"][-1])) for a, b in pairs]
                    yield Row(
                        backbone,
                        attention,
                        kind,
                        other,
                        (statistics.fmean(a for a, _ in last), statistics.fmean(b for _, b in last)),
                        tuple(a - b for a, b in last),
                        tuple(float(a["loss"] - b["loss"]) for a, b in pairs),
                    )


def shown(table: Table, found: Mapping[Key, Mapping[str, Any]]) -> str:
    """Return the table as Markdown."""
    compared = list(rows(table, found))
    head = ("backbone", "attention", "compared", "seeds", "top-1", "difference", "± 95%", f"± 95%, all {len(compared)}")
    lines = [
        " | ".join(("", *head, "smallest found in 80%", "loss", "± 95%", "")).strip(),
        "|" + "---|" * (len(head) + 3),
    ]
    for row in compared:
        error, of_loss = row.error(row.top1), row.error(row.loss)
        cells = [
            row.backbone,
            row.attention,
            f"{row.kind} − {row.other}",
            str(len(row.top1)),
            f"{row.means[0]:.2f} − {row.means[1]:.2f}",
            _signed(statistics.fmean(row.top1), 2),
            f"{error.margin():.2f}" if error else "?",
            f"{error.margin(len(compared)):.2f}" if error else "?",
            f"{error.detectable(len(row.top1)):.2f}" if error else "?",
            _signed(statistics.fmean(row.loss), 3),
            f"{of_loss.margin():.3f}" if of_loss else "?",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def go_on(table: Table, out: Path, root: str, device: str, processes: int, ends: float) -> None:
    """Train what is missing until the time is over."""
    scratch = str(Path(tempfile.gettempdir()) / "dcasearch-evidence-images")
    data = Data(name="cifar10", root=root, validation_fraction=table.held_out / 50_000, scratch=scratch)
    fingerprint, found = describe(data).fingerprint, read(out)
    missing = [key for key in wanted(table) if key not in found]
    took = {key[0]: float(line["seconds"]) for key, line in found.items()}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, end_with_parent) as pool, out.open("a") as file:
        running: dict[Future[dict[str, Any]], Key] = {}
        while missing or running:
            while missing and len(running) < processes:
                if time.monotonic() + took.get(missing[0][0], FIRST_GUESS) > ends:
                    missing.clear()
                    break
                key = missing.pop(0)
                running[pool.submit(train, table, key, data, fingerprint, device)] = key
            for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                key, line = running.pop(future), future.result()
                took[key[0]] = line["seconds"]
                print(json.dumps(line), file=file, flush=True)
                print(
                    f"{', '.join(map(str, key))}: top-1 {line['top1'][-1]:.2f} in {line['seconds']:.0f} s", flush=True
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=sorted(TABLES))
    parser.add_argument("--root", help="folder of CIFAR-10")
    parser.add_argument("--out", type=Path, help="file of finished trainings, appended to; else in benchmarks/tables")
    parser.add_argument("--minutes", type=float, default=1e6, help="no training is begun that would end later")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="train nothing, print the table as Markdown")
    options = parser.parse_args()
    table = TABLES[options.table]
    out = options.out or FOLDER / table.file
    if not options.show:
        if options.root is None:
            parser.error("--root is needed, or --show")
        ends = time.monotonic() + 60 * options.minutes
        go_on(table, out, options.root, options.device, options.processes, ends)
    found = read(out)
    trained = sum(key in found for key in wanted(table))
    print(f"{trained} of {sum(1 for _ in wanted(table))} trainings")
    print(shown(table, found))


if __name__ == "__main__":
    main()
