"""Connected against vanilla attention: SE, GE and CBAM on a small ResNet and a small MnasNet, paired by seed.

Every pair trains with equal seeds: equal initial parameters where names are equal, and equal batches. The difference of
top-1 (and of the loss) has Student's interval over the seeds, for one comparison, and for the six at once (Bonferroni).
One line is appended for each training that ended, so the same command goes on after any interruption.

    python benchmarks/connected_against_vanilla.py --root CIFAR10 --out connected.jsonl [--seeds 3] [--processes 2]
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import statistics
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from dcasearch.architecture import Architecture
from dcasearch.config import load_recipe
from dcasearch.config.study import Data, Fidelity
from dcasearch.data import describe
from dcasearch.executors.worker import end_with_parent
from dcasearch.training import Assignment, evaluate

BACKBONES: dict[str, dict[str, Any]] = {
    "ResNet-18, width 1/4": {"name": "resnet18", "width": 0.25, "stem": "small"},
    "MnasNet 0.5": {"name": "mnasnet0_5", "stem": "small"},
}
RECIPES: dict[str, dict[str, Any]] = {
    "ResNet-18, width 1/4": {"batch_size": 64, "lr": 0.05, "label_smoothing": 0.0},
    "MnasNet 0.5": {"batch_size": 32, "lr": 0.01, "label_smoothing": 0.0},
}
"""Departures from the recipe `small`; a MnasNet at these budgets learns nothing from fewer or larger steps."""
ATTENTIONS: dict[str, dict[str, Any]] = {
    "SE": {"name": "se", "reduction": 8},
    "GE-θ": {"name": "ge_theta", "extent": 8},
    "CBAM": {"name": "cbam", "reduction": 8},
}
KINDS = ("vanilla", "connected")
TRAINED, HELD_OUT = 3000, 2000
RESOLUTION, EPOCHS = 16, 6

Key = tuple[str, str, str, int]


def architecture(backbone: str, attention: str, kind: str) -> Architecture:
    """Return a network; connected is the paper's chain in every dimension that the attention has."""
    written: dict[str, Any] = {"backbone": BACKBONES[backbone], "attention": ATTENTIONS[attention]}
    return Architecture.parse(written if kind == "vanilla" else {**written, "connections": {}})


def train(key: Key, data: Data, fingerprint: str) -> dict[str, Any]:
    """Train one network and return its line; runs in a worker."""
    backbone, attention, kind, seed = key
    recipe = load_recipe("small").recipe.model_copy(update=RECIPES[backbone])
    fidelity = Fidelity(
        name="long",
        resolution=RESOLUTION,
        epochs=EPOCHS,
        train_fraction=TRAINED / (50_000 - HELD_OUT),
        recipe=recipe,
    )
    assignment = Assignment(
        architecture=architecture(backbone, attention, kind),
        fidelity=fidelity,
        data=data,
        data_fingerprint=fingerprint,
        protocol="search",
        seed=seed,
    )
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        done = evaluate(assignment, artifacts=Path(folder), report=lambda epoch: True, threads=1, device="cpu")
    curve = [round(epoch.values["top1"], 3) for epoch in done.history]
    return {
        "key": key,
        "top1": curve,
        "loss": done.last.values["loss"],
        "seconds": round(time.process_time() - began, 1),
    }


def read(path: Path) -> dict[Key, dict[str, Any]]:
    """Return what was trained, by key; a line that was cut off is passed over."""
    text = path.read_text() if path.exists() else ""
    lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    return {(str(b), str(a), str(k), int(s)): line for line in lines for b, a, k, s in [line["key"]]}


def interval(differences: list[float], comparisons: int) -> float:
    """Return the half-width of the 95% interval of the mean."""
    n = len(differences)
    return float(stats.t.isf(0.025 / comparisons, n - 1) * statistics.stdev(differences) / math.sqrt(n))


def show(found: dict[Key, dict[str, Any]]) -> None:
    """Print one line per backbone and attention."""
    seeds: dict[tuple[str, str], list[int]] = defaultdict(list)
    for backbone, attention, kind, seed in sorted(found):
        if kind == "vanilla" and (backbone, attention, "connected", seed) in found:
            seeds[backbone, attention].append(seed)
    print(
        f"{'backbone':22}{'attention':10}{'seeds':>6}{'vanilla':>9}{'connected':>11}{'difference':>12}"
        f"{'± 95%':>8}{'± all six':>11}{'loss':>9}{'± 95%':>8}"
    )
    for (backbone, attention), common in seeds.items():
        lines = {kind: [found[backbone, attention, kind, seed] for seed in common] for kind in KINDS}
        means = {kind: statistics.fmean(line["top1"][-1] for line in lines[kind]) for kind in KINDS}
        pairs = list(zip(lines["connected"], lines["vanilla"], strict=True))
        top1 = [float(a["top1"][-1] - b["top1"][-1]) for a, b in pairs]
        loss = [float(a["loss"] - b["loss"]) for a, b in pairs]
        six = len(BACKBONES) * len(ATTENTIONS)
        print(
            f"{backbone:22}{attention:10}{len(common):6}{means['vanilla']:9.2f}{means['connected']:11.2f}"
            f"{np.mean(top1):+12.2f}{interval(top1, 1):8.2f}{interval(top1, six):11.2f}"
            f"{np.mean(loss):+9.3f}{interval(loss, 1):8.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder of CIFAR-10")
    parser.add_argument("--out", type=Path, required=True, help="file of finished trainings, appended to")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    decoded = options.out.with_suffix(".images")
    data = Data(name="cifar10", root=options.root, validation_fraction=HELD_OUT / 50_000, scratch=str(decoded))
    fingerprint = describe(data).fingerprint
    found = read(options.out)
    wanted = [
        (backbone, attention, kind, seed)
        for seed in range(options.seeds)
        for backbone in BACKBONES
        for attention in ATTENTIONS
        for kind in KINDS
    ]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, context, end_with_parent) as pool, options.out.open("a") as file:
        running = [pool.submit(train, key, data, fingerprint) for key in wanted if key not in found]
        for n, future in enumerate(as_completed(running), start=1):
            print(json.dumps(future.result()), file=file, flush=True)
            print(f"{n}/{len(running)} trained", flush=True)
    show(read(options.out))


if __name__ == "__main__":
    main()
