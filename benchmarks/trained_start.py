"""What a trained start is worth on few photographs, and what attention adds to it: paired splits, equal compute.

First a search chooses a network (`tables/trained_start.yaml`) on 20 photographs a class that nothing else sees. Then
each split draws ten other photographs a class to train on; two more a class are watched, the rest is measured. Every
network of a split trains on equal images with one seed, for equal epochs, from the trained weights with the recipe
`finetune` (BatchNorm's statistics are kept) and from scratch. The parent's own answers to the measured photographs,
by ImageNet's classes, stand beside it. One line is appended for each training that ended; the same command goes on.

    python benchmarks/trained_parent.py FOLDER                                    # makes the weights file
    python benchmarks/trained_start.py --photos PHOTOS --weights FOLDER/efficientnet_lite0.safetensors [--splits 10]
    python benchmarks/trained_start.py --show                                     # the table of what is there

PHOTOS has a folder each of birds, dogs, food, reptiles and vehicles. Intervals are Student's 95%, paired by split: they
count which photographs are drawn, not which photographs there are in the world.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from dcasearch.analysis.paired import Error
from dcasearch.analysis.starts import store_starts
from dcasearch.architecture import Architecture
from dcasearch.config import load_recipe
from dcasearch.config.initialization import Initialization
from dcasearch.config.study import Fidelity
from dcasearch.data import describe
from dcasearch.executors.worker import end_with_parent
from dcasearch.results import load_results
from dcasearch.search.assignments import assignment_of
from dcasearch.space import LoadedStudy, load_study
from dcasearch.store import Store
from dcasearch.training import evaluate

HERE = Path(__file__).parent / "tables"
STUDY, TABLE = HERE / "trained_start.yaml", HERE / "trained_start.jsonl"
BACKBONE = {"name": "timm/tf_efficientnet_lite0"}
SEARCHED, TRAINED, WATCHED = 20, 10, 2
"""Photographs a class. The search has one more, since a list needs a test part; it is never read."""
SE: dict[str, Any] = {"attention": {"name": "se"}, "attention_init": "identity"}
USUAL = "SE, usual start"
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "SE": SE,
    "connected SE": {**SE, "connections": {}},
    USUAL: {"attention": {"name": "se"}},
    "connected SE, attention's rate × 10": {**SE, "connections": {}},
    "connected SE, attention's rate × 50": {**SE, "connections": {}},
}
FASTER: Mapping[str, float] = {f"connected SE, attention's rate × {times}": float(times) for times in (10, 50)}
"""Networks whose attention, its scalars and connections learn at a multiple of the recipe's rate."""
CHOSEN = "the search's choice"
STARTS = ("trained", "scratch")
ZERO_SHOT, AS_IT_IS = "the parent", "no training"
IMAGENET: Mapping[str, Sequence[range]] = {
    "birds": [range(7, 25), range(80, 101), range(127, 147)],
    "dogs": [range(151, 269)],
    "food": [range(924, 970), range(987, 989)],
    "reptiles": [range(33, 69)],
    "vehicles": [
        range(n, n + 1)
        for n in (
            *(403, 404, 405, 407, 436, 444, 468, 472, 511, 547, 555, 561, 565, 569, 573, 575, 576, 586, 595, 603, 609),
            *(612, 625, 627, 628, 654, 656, 661, 665, 670, 671, 675, 705, 717, 724, 734, 751, 757, 779, 780, 802, 803),
            *(812, 814, 817, 820, 829, 833, 847, 856, 864, 866, 867, 870, 871, 874, 880, 895, 914),
        )
    ],
}
"""Indices of ImageNet's classes (2012, alphabetical by WordNet id) that are of each of the five."""
Line: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Photos:
    """The photographs, and which of them the search has."""

    root: Path

    def shuffled(self, seed: int) -> dict[str, list[str]]:
        """Return each class's files in an order drawn from a seed."""
        classes = {folder.name: sorted(folder.iterdir()) for folder in sorted(self.root.iterdir()) if folder.is_dir()}
        drawn = random.Random(seed)
        return {
            name: [str(file.relative_to(self.root)) for file in drawn.sample(files, len(files))]
            for name, files in classes.items()
        }

    def of_search(self) -> dict[str, list[str]]:
        """Return each class's files that the search has."""
        return {name: files[: SEARCHED + 1] for name, files in self.shuffled(-1).items()}

    def write_search(self, file: Path) -> None:
        """Write the search's list; the study draws its validation images from it."""
        files = self.of_search().items()
        parts = ["train"] * SEARCHED + ["test"]
        _write(file, ((path, name, part) for name, paths in files for path, part in zip(paths, parts, strict=True)))

    def write_split(self, file: Path, split: int) -> None:
        """Write a split's list: what is trained on and watched, and the rest."""
        taken = {path for files in self.of_search().values() for path in files}
        rows = []
        for name, files in self.shuffled(split).items():
            left = [path for path in files if path not in taken]
            rows += [(path, name, "train" if n < TRAINED + WATCHED else "test") for n, path in enumerate(left)]
        _write(file, rows)


def _write(file: Path, rows: Any) -> None:
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(("path", "label", "split"))
        writer.writerows(rows)


def variables(photos: Path, weights: Path, file: Path, folder: Path) -> dict[str, str]:
    """Return what the study's YAML asks its environment for."""
    return {"PHOTOS": str(photos), "WEIGHTS": str(weights), "LIST": str(file), "FOLDER": str(folder)}


def loaded(photos: Path, weights: Path, file: Path, folder: Path) -> LoadedStudy:
    """Return the study over a list."""
    return load_study(STUDY, {**os.environ, **variables(photos, weights, file, folder)})


def search(photos: Photos, weights: Path, folder: Path) -> Line:
    """Run the search as a user would, and return its choice."""
    photos.write_search(folder / "search.csv")
    said = variables(photos.root, weights, folder / "search.csv", folder)
    command = [sys.executable, "-m", "dcasearch", "run", str(STUDY)]
    subprocess.run(command, env={**os.environ, **said}, check=True)
    storage = f"sqlite:///{folder}/study.db"
    with load_results("trained_start", storage) as results, Store.open(storage) as store:
        chosen = results.story.chosen
        assert chosen is not None
        written = store.get_architecture(chosen.architecture_id).written_out()
        answers = [f"{question}: {answer}" for question, answer in results.story.lines]
    return {"choice": written, "answers": answers}


def fidelity_of(study: LoadedStudy, name: str, start: str, epochs: int) -> Fidelity:
    """Return how a network is trained from a start; from scratch statistics are trained and all rates are one."""
    (tuned,) = study.study.fidelities
    changes: dict[str, Any] = {"epochs": epochs, "seeds": (0,)}
    if start == "scratch":
        recipe = load_recipe("finetune").recipe.model_dump(mode="json", exclude={"rates", "batchnorm"})
        changes["recipe"] = tuned.recipe.model_validate({**recipe, "batch_size": tuned.recipe.batch_size})
        changes["initialize"] = Initialization()
    elif name in FASTER:
        rates = tuned.recipe.rates.model_copy(update={"attention": FASTER[name]})
        changes["recipe"] = tuned.recipe.model_copy(update={"rates": rates})
    return tuned.model_copy(update=changes)


def train(photos: Photos, weights: Path, key: tuple[str, str, int], spec: Mapping[str, Any], epochs: int) -> Line:
    """Train one network on one split and return its line; runs in a worker."""
    name, start, split = key
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        photos.write_split(folder / "split.csv", split)
        study = loaded(photos.root, weights, folder / "split.csv", folder)
        share = WATCHED / (TRAINED + WATCHED)
        data = study.study.data.model_copy(update={"validation_fraction": share})
        store_starts(study, folder)
        assignment = assignment_of(
            study.study,
            fidelity_of(study, name, start, epochs),
            Architecture.parse(spec),
            split,
            data_fingerprint=describe(data).fingerprint,
            protocol="test",
            data=data,
        )
        worked = time.process_time()
        done = evaluate(assignment, artifacts=folder, report=lambda epoch: True, threads=1, device="cpu")
    return {
        "key": key,
        "balanced_accuracy": round(done.last.values["balanced_accuracy"], 3),
        "top1": round(done.last.values["top1"], 3),
        "train_loss": round(done.last.train_loss, 4),
        "epochs": epochs,
        "seconds": round(time.process_time() - worked, 1),
    }


def zero_shot(photos: Photos, weights: Path, split: int) -> Line:
    """Return how well the parent tells the five classes apart by its thousand, on a split's measured photographs."""
    import torch
    from PIL import Image
    from safetensors.torch import load_file
    from torchvision.transforms import v2

    from dcasearch.architecture.backbone import Backbone
    from dcasearch.models.trained import network_of
    from dcasearch.models.weight_files import WeightsFile

    network = network_of(Backbone(**BACKBONE), WeightsFile("parent", load_file(weights), None, ())).eval()
    bicubic = v2.InterpolationMode.BICUBIC
    steps = [v2.Resize(146, bicubic), v2.CenterCrop(128), v2.ToTensor(), v2.Normalize([0.5] * 3, [0.5] * 3)]
    prepared = v2.Compose(steps)
    names = list(IMAGENET)
    group = {index: name for name, parts in IMAGENET.items() for part in parts for index in part}
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "split.csv"
        photos.write_split(file, split)
        rows = [row for row in csv.DictReader(file.open(encoding="utf-8")) if row["split"] == "test"]
    right: dict[str, list[bool]] = {name: [] for name in names}
    with torch.inference_mode():
        for row in rows:
            image = Image.open(photos.root / row["path"]).convert("RGB")
            said = int(network(prepared(image)[None]).argmax())
            right[row["label"]].append(group.get(said) == row["label"])
    recalls = [statistics.fmean(answers) for answers in right.values() if answers]
    return {"key": (ZERO_SHOT, AS_IT_IS, split), "balanced_accuracy": round(100 * statistics.fmean(recalls), 3)}


def read(path: Path) -> list[Line]:
    """Return the lines that are there; one that was cut off is passed over."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def append(path: Path, line: Line) -> None:
    with path.open("a", encoding="utf-8") as opened:
        opened.write(f"{json.dumps(line)}\n")


def values(lines: Sequence[Line]) -> dict[tuple[str, str], dict[int, float]]:
    """Return balanced accuracies by network and start, then by split."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for line in lines:
        if "key" in line:
            name, start, split = line["key"]
            found.setdefault((name, start), {})[split] = line["balanced_accuracy"]
    return found


def rows(lines: Sequence[Line]) -> Iterator[str]:
    """Yield the table: means over splits, and differences from the plain network with the trained start."""
    found = values(lines)
    reference = found.get(("plain", "trained"), {})
    yield "| network | start | splits | balanced accuracy (SD) | minus plain, trained | found in 80% from |"
    yield "|---|---|---|---|---|---|"
    for (name, start), by_split in found.items():
        mean, spread = statistics.fmean(by_split.values()), ""
        if len(by_split) > 1:
            spread = f" ({statistics.stdev(by_split.values()):.1f})"
        pairs = [value - reference[split] for split, value in by_split.items() if split in reference]
        difference, least = "", ""
        if len(pairs) > 1 and (name, start) != ("plain", "trained"):
            error = Error(statistics.variance(pairs) / len(pairs), len(pairs) - 1)
            difference = f"{statistics.fmean(pairs):+.1f} ± {error.margin():.1f}"
            least = f"{error.detectable(len(pairs)):.1f}"
        yield f"| {name} | {start} | {len(by_split)} | {mean:.1f}{spread} | {difference} | {least} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("trained_start"), help="of the search's study")
    parser.add_argument("--out", type=Path, default=TABLE)
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    if not given.show:
        if given.photos is None or given.weights is None:
            sys.exit("--photos and --weights say what is trained on, and from where")
        photos, weights = Photos(given.photos.resolve()), given.weights.resolve()
        given.folder.mkdir(parents=True, exist_ok=True)
        if not any("choice" in line for line in read(given.out)):
            append(given.out, search(photos, weights, given.folder.resolve()))
        (choice,) = (line["choice"] for line in read(given.out) if "choice" in line)
        fill(given.out, photos, weights, choice, splits=given.splits, epochs=given.epochs, processes=given.processes)
    for line in read(given.out):
        if "choice" in line:
            print("The search's answers:", *line["answers"], sep="\n  ", end="\n\n")
    print(*rows(read(given.out)), sep="\n")


def fill(
    out: Path, photos: Photos, weights: Path, choice: Mapping[str, Any], *, splits: int, epochs: int, processes: int
) -> None:
    """Train what is missing, split by split, so that pairs are whole early."""
    written = {name: {"backbone": BACKBONE, **spec} for name, spec in NETWORKS.items()} | {CHOSEN: dict(choice)}
    there = {tuple(line["key"]) for line in read(out) if "key" in line}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=end_with_parent) as pool:
        futures = []
        for split in range(splits):
            if (ZERO_SHOT, AS_IT_IS, split) not in there:
                futures.append(pool.submit(zero_shot, photos, weights, split))
            for start in STARTS:
                for name, spec in written.items():
                    if (name, start, split) in there or (start == "scratch" and name in {USUAL, *FASTER}):
                        continue  # from scratch all attention starts as usual, and all rates are one
                    said = {k: v for k, v in spec.items() if start == "trained" or k != "attention_init"}
                    futures.append(pool.submit(train, photos, weights, (name, start, split), said, epochs))
        for future in futures:
            append(out, future.result())


if __name__ == "__main__":
    main()
