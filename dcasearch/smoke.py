"""Any study taken through every stage in about a minute: a few made-up images, two trials, one promotion, the end.

Networks, resolutions, recipes, space and stages are the study's. Data, trials, epochs, batches and the machine are not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from dcasearch.artifacts import open_artifacts
from dcasearch.config.data_set import Data
from dcasearch.config.initialization import OF_FILES, Initialization
from dcasearch.config.recipe import Recipe
from dcasearch.config.starts import origin_of
from dcasearch.config.study import Executor, Fidelity, Final, Promotion, Pruner, Stop, Study
from dcasearch.errors import StudyFailed
from dcasearch.metrics import TASKS
from dcasearch.search.work import Observer
from dcasearch.space import LoadedStudy
from dcasearch.store import Store

CLASSES, IMAGES = 2, 8
"""Made-up classes, and images of each in train; half as many are in test."""
BATCH = 2
TRIALS = 2
_RATE = 1e-4
"""Learning rate at most: BatchNorm over two images lets a network diverge at the rate of its real batch."""
NOT_TESTED = (
    "your data and its number of classes",
    "batches and learning rates of your size, and memory",
    "epochs beyond one: pruning, races, stop rules",
    "several trials at a time, GPUs, Ray",
    "your database",
)
"""What a smoke run says nothing of."""
Stage = Callable[[str, float], None]


def smoke(loaded: LoadedStudy, *, stage: Stage, observe: Observer = lambda event: None) -> None:
    """Take a study through every stage: baselines, trials, promotion, final trainings, export, verify.

    Nothing is written but into a temporary folder, which is removed.

    Args:
        loaded: The study; its YAML has no mistakes. Its data need not be there.
        stage: Is told the name of each stage that has passed, and its seconds.
        observe: Is told what happens.

    Raises:
        StudyFailed: a stage did what it should not, e.g. the exported model differs from its spec.
        UserError: as `dcasearch.study.run`.
    """
    from dcasearch import study as study_room
    from dcasearch.executors.inline import InlineExecutor
    from dcasearch.export import export_winner, verify

    with TemporaryDirectory(prefix="dcasearch-smoke-") as folder:
        clock = _Clock(stage)
        small = replace(loaded, study=shrunk(loaded.study, Path(folder)), missing_variables=frozenset(), document=None)
        clock.passed("made-up data")
        with Store.open(f"sqlite:///{folder}/smoke.db", create=True) as store:
            executor = InlineExecutor(open_artifacts(small.study.artifacts), threads=1)
            study_room.run(small, store, executor, observe)
            clock.passed("baselines, trials, promotion, final trainings")
            spec = Path(folder) / "best.yaml"
            export_winner(store, small.study.name, spec)
        clock.passed("export")
        wrong = [check.name for check in verify(spec, data_root=small.study.data.root) if check.ok is False]
        if wrong:
            raise StudyFailed(f"the exported model is not what its spec says: {', '.join(wrong)}")
        clock.passed("verify")


class _Clock:
    def __init__(self, stage: Stage) -> None:
        self._stage, self._began = stage, time.perf_counter()

    def passed(self, name: str) -> None:
        now = time.perf_counter()
        self._stage(name, now - self._began)
        self._began = now


def shrunk(study: Study, folder: Path) -> Study:
    """Return a study of the same stages that ends in seconds, on made-up data that is written into a folder."""
    first, *later = study.fidelities
    levels = [_level(first, trials=TRIALS, promote=None)]
    levels += [_level(level, trials=None, promote=Promotion(top=1)) for level in later]
    changes: dict[str, Any] = {
        "data": _data(study, folder),
        "fidelities": tuple(levels),
        "final": None if study.final is None else Final(seeds=study.final.seeds[:1]),  # the made-up data is not divided
        "executor": Executor(),
        "stop": Stop(),
        "constraints": {},
        "enqueue": (),
        "artifacts": str(folder / "artifacts"),
        "storage": f"sqlite:///{folder}/smoke.db",
        "disk": None,
    }
    return study.model_copy(update=changes)


def _level(level: Fidelity, *, trials: int | None, promote: Promotion | None) -> Fidelity:
    start = level.initialize
    if is_missing(start):
        without: dict[str, Any] = dict.fromkeys(OF_FILES)
        start = start.model_copy(update={**without, "name": "scratch" if start.name == "weights" else start.name})
    if start.name == "vanilla":  # a recipe of the parents' own stays: they begin with random parameters
        recipe = None if start.recipe is None else _recipe(start.recipe)
        start = start.model_copy(update={"epochs": 1, "recipe": recipe})
    changes = {
        "trials": trials,
        "promote": promote,
        "epochs": 1,
        "train_fraction": 1.0,
        "recipe": _recipe(level.recipe),
        "pruner": Pruner(metric=level.pruner.metric),
        "seeds": level.seeds[:1],
        "initialize": start,
    }
    return level.model_copy(update=changes)


def _recipe(recipe: Recipe) -> Recipe:
    return recipe.model_copy(
        update={
            "batch_size": BATCH,
            "lr": min(recipe.lr, _RATE),
            "accumulate": 1,
            "compile": False,
            "cuda_graphs": False,
            "sync_batchnorm": False,
        }
    )


def is_missing(start: Initialization) -> bool:
    """Return whether a weights file is not on this machine: then nothing can be tried with it."""
    return start.weights is not None and origin_of(start).file is None


def untested(study: Study) -> tuple[str, ...]:
    """Return what a smoke run of a study says nothing of."""
    missing = [level.initialize.weights for level in study.fidelities if is_missing(level.initialize)]
    starts = (f"the start from {weights}, which is not on this machine" for weights in dict.fromkeys(missing))
    return (*NOT_TESTED, *starts)


def _data(study: Study, folder: Path) -> Data:
    """Write made-up images and return the data set that they are; they are prepared as the study's."""
    root = folder / "data"
    if TASKS[study.task].finds_boxes:
        from dcasearch.data.shapes_coco import write_coco

        for seed, (part, images) in enumerate((("train2017", CLASSES * IMAGES), ("val2017", CLASSES * IMAGES // 2))):
            write_coco(root, part, images, seed=seed, side=128)
        return Data(name="coco", root=str(root), validation_fraction=0.25, workers=0)
    side = max(level.resolution for level in study.fidelities)
    for part, images in (("train", IMAGES), ("test", IMAGES // 2)):
        for label in range(CLASSES):
            for n in range(images):
                _write(root / part / f"class{label}" / f"{n}.png", 1000 * label + n, side)
    how = study.data.preprocessing
    return Data(name="imagefolder", root=str(root), validation_fraction=0.25, workers=0, reading=2, preprocessing=how)


def _write(path: Path, seed: int, side: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.RandomState(seed).randint(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST).save(path)
