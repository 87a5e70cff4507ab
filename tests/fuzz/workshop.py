"""One folder with every kind of file that a command reads, all of them good, made by the commands themselves."""

from __future__ import annotations

import csv
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from dcasearch.data.shapes_coco import write_coco
from dcasearch.processes import child_environment
from tests.data.support import write_folder
from tests.replay.support import write_table

PICTURE = "photos/train/cat/00.jpg"
ANNOTATIONS = "boxes/annotations/instances_train2017.json"
SMALL = {"backbone": {"name": "mobilenet_v2", "width": 0.25, "stem": "small"}, "attention": {"name": "se"}}
NARROW: dict[str, Any] = {"backbone": {"name": "resnet18", "width": 0.125}}
RECIPE = {"base": "small", "batch_size": 16, "lr": 0.02}
LEVEL = {"name": "proxy", "trials": 2, "resolution": 16, "epochs": 1, "recipe": RECIPE}
EXPORTED = {"best": 1, "seen": 0, "finder": 0}
"""The trial of each exported network; that of `best` has connections."""
DETECTOR = {"name": "retinanet", "channels": 16, "convolutions": 1, "anchor": 16, "detections": 20}


def study(name: str, data: dict[str, Any], weights: str | None = None, **changes: Any) -> dict[str, Any]:
    """Return a study of two trainings, which take a second each, or one that starts from an exported network."""
    return {
        "name": name,
        "space": {**SMALL, "connections": {"dimensions": {"channel": [True, False]}, "function": "direct"}},
        "data": {**data, "workers": 0},
        "objectives": {"top1": "maximize"},
        "sampler": {"name": "random", "seed": 0},
        "fidelities": [LEVEL if weights is None else {**LEVEL, "initialize": {"weights": weights}}],
        "executor": {"max_concurrent": 1},  # else memory depends on how many train at one moment
        "storage": f"sqlite:///{name}.db",
        "artifacts": f"{name}_artifacts",
        **changes,
    }


STUDIES = {
    "digits": study(
        "digits",
        {"name": "digits"},
        fidelities=[{**LEVEL, "train_fraction": 0.1}],
        final={"seeds": [1000]},
        baselines=True,
    ),
    "pictures": study("pictures", {"name": "imagefolder", "root": "photos", "protocol": "paper"}),
    "listed": study(
        "listed",
        {
            "name": "imagelist",
            "root": "photos",
            "file": "list.csv",
            "columns": {"path": "file", "label": "class", "split": "part"},
            "protocol": "paper",
        },
    ),
    "prepared": study("prepared", {"name": "imagefolder", "root": "prepared", "protocol": "paper"}),
    "started": study("started", {"name": "digits"}, weights="best.yaml"),
    "boxes": study(
        "boxes",
        {"name": "coco", "root": "boxes", "protocol": "paper"},
        space={"architectures": [{"label": "plain", **NARROW}, {"label": "SE", **NARROW, "attention": {"name": "se"}}]},
        task="detection",
        detector=DETECTOR,
        objectives={"ap": "maximize"},
        sampler={"name": "grid"},
        fidelities=[
            {
                "name": "proxy",
                "resolution": 64,
                "epochs": 1,
                "recipe": {"optimizer": "adamw", "lr": 0.001, "batch_size": 4, "augmentation": {"crop": "none"}},
            }
        ],
    ),
}


def make_workshop(folder: Path) -> None:
    """Fill a folder: images, a list, annotations, a table, studies that have ended, exported networks."""
    write_folder(folder / "photos", images=6, size=(24, 24))
    for seed, part in enumerate(("train2017", "val2017")):
        write_coco(folder / "boxes", part, 6, seed=seed, side=64)
    write_table(folder / "table.jsonl")
    with (folder / "list.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "class", "part"))
        for path in sorted((folder / "photos").rglob("*.jpg")):
            rows.writerow((path.relative_to(folder / "photos"), path.parent.name, path.parts[-3]))
    for name, content in STUDIES.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    for name, spec in (("digits", "best"), ("pictures", "seen"), ("boxes", "finder")):
        run_good(folder, "run", f"{name}.yaml")
        number = ("--trial", str(EXPORTED[spec]))
        run_good(
            folder,
            *("export", name, "--storage", f"sqlite:///{name}.db", *number, "--out", f"{spec}.yaml"),
            *("--weights", f"{spec}.safetensors"),
        )
        leave_no_log(folder / f"{name}.db")
    run_good(folder, "data", "prepare", "photos", "--out", "prepared", "--size", "16")
    shutil.rmtree(folder / "state")


def run_good(folder: Path, *arguments: str) -> None:
    """Run a command that must work."""
    done = subprocess.run(
        [sys.executable, "-m", "dcasearch", *arguments],
        cwd=folder,
        env=child_environment(XDG_STATE_HOME=str(folder / "state")),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def leave_no_log(file: Path) -> None:
    """Put what lies in SQLite's log into the database itself, so that one file can be copied and damaged."""
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
