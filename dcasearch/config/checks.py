"""What the parts of a study must say to each other; each part by itself is checked by its type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import get_args

from dcasearch.config.data_set import SHAPES_WITH_BOXES
from dcasearch.config.document import KeyPath, Report
from dcasearch.config.initialization import Initialization
from dcasearch.config.recipe import KEEPS
from dcasearch.config.study import Fidelity, Final, Promotion, Race, Resources, ScoreName, Study
from dcasearch.errors import nearest
from dcasearch.masking import holds_secret, masked_url
from dcasearch.metrics import CLASSIFICATION, METRICS, SCORE, TASKS, TaskMetrics, is_cost

WITH_BOXES = ("coco", SHAPES_WITH_BOXES)
"""Data sets whose images have boxes; those of all others have one label."""
DATA_SETS = ("digits", "shapes", "cifar10", "imagefolder", "imagelist", "imagenet", *WITH_BOXES)
"""Registered in `dcasearch.data`; a test holds the two equal."""
WITHOUT_ROOT = ("digits", "shapes", SHAPES_WITH_BOXES)
"""Data sets that need no folder."""


def check_study(study: Study, report: Report) -> None:
    """Report every way in which a study's parts do not fit together."""
    parts = (_places, _data, _task, _goals, _fidelities, _final, _execution)
    for path, message in [found for part in parts for found in part(study)]:
        report(path, message)


def _places(study: Study) -> Iterator[tuple[KeyPath, str]]:
    """Yield credentials in a URL that is stored, and shown on pages."""
    if holds_secret(study.artifacts):
        yield (
            ("artifacts",),
            f"{masked_url(study.artifacts)} holds a password or a key, and a study is stored and shown; keep it where "
            "its file system looks for it, e.g. AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials",
        )


def _data(study: Study) -> Iterator[tuple[KeyPath, str]]:
    name = study.data.name
    if name not in DATA_SETS:
        yield ("data", "name"), f"'{name}' is not a data set; {nearest(name, DATA_SETS)}"
    elif name not in WITHOUT_ROOT and study.data.root is None:
        yield ("data",), f"{name} needs a root: the folder that holds it"
    classes = study.data.classes if isinstance(study.data.classes, tuple) else ()
    for n, wanted in enumerate(classes):
        if wanted in classes[:n]:
            yield ("data", "classes", n), f"'{wanted}' stands twice"


def _task(study: Study) -> Iterator[tuple[KeyPath, str]]:
    """Yield what belongs to another task."""
    task, known = TASKS[study.task], study.data.name in DATA_SETS
    if task.finds_boxes:
        yield from _of_detection(study)
    elif study.detector is not None:
        yield ("detector",), f"belongs to task: detection, not to {task.name}"
    if known and (study.data.name in WITH_BOXES) != task.finds_boxes:
        names = [name for name in DATA_SETS if (name in WITH_BOXES) == task.finds_boxes]
        shown = ", ".join("shapes" if name == SHAPES_WITH_BOXES else name for name in names)
        yield ("data", "name"), f"'{study.data.name}' is not for task {task.name}; write one of {shown}"


def _of_detection(study: Study) -> Iterator[tuple[KeyPath, str]]:
    detector = study.detector
    if detector is None:
        yield ("task",), "detection needs a `detector`, e.g. detector: {name: retinanet}"
    if study.data.classes is not None:
        yield ("data", "classes"), "chooses among images with one label; leave it out"
    if study.data.preprocessing is not None:
        yield ("data", "preprocessing"), "a detector prepares its images by itself; leave it out"
    for n, fidelity in enumerate(study.fidelities):
        path = ("fidelities", n)
        for name, default in _NOT_OF_DETECTION.items():
            if fidelity.kind == "training" and getattr(fidelity.recipe, name) != default:
                yield (*path, "recipe", name), "is for images with one label, not for task detection; leave it out"
        for name, wanted in _OF_DETECTOR.items():
            if fidelity.kind == "training" and name in fidelity.recipe.model_dump(exclude_defaults=True):
                yield (*path, "recipe", name), f"is the detector's affair; write {wanted} under `detector`"
        if fidelity.kind == "training" and fidelity.recipe.augmentation.crop != "none":
            message = "images with boxes are not cropped; write augmentation: {crop: none}"
            yield (*path, "recipe", "augmentation", "crop"), message
        shared = study.executor.resources.get(fidelity.name, Resources())
        if detector is not None and detector.bn == "sync" and (study.executor.name != "ray" or shared.gpu < 1):
            message = f"sync needs GPUs (executor ray, resources.{fidelity.name}.gpu), PyTorch has it for no CPU"
            yield ("detector", "bn"), message


_NOT_OF_DETECTION = {
    "label_smoothing": 0.0,
    "mixup": 0.0,
    "cutmix": 0.0,
    "class_weights": "none",
    "sampling": "uniform",
    "compile": False,
    "dropout": None,
}
"""Fields of a recipe that a detector makes no use of, with their defaults."""
_OF_DETECTOR = {"freeze": "frozen_stages: 1", "batchnorm": "bn: eval"}
"""Fields of a recipe for which a detector has its own, each with an example of that."""


def _goals(study: Study) -> Iterator[tuple[KeyPath, str]]:
    for metric, direction in study.objectives.items():
        better = METRICS[metric].direction or direction
        if better != direction:
            yield ("objectives", metric), f"{direction} would look for the worst; write {metric}: {better}"
    if SCORE.name in study.objectives:
        message = "is what a zero_cost fidelity maximizes by itself; name what a training measures"
        yield ("objectives", SCORE.name), message
    task = TASKS[study.task]
    for metric in study.objectives:
        if METRICS[metric].known == "each epoch" and metric not in task.measurable:
            yield ("objectives", metric), _not_measured(metric, task)
    for n, metric in enumerate(study.metrics):
        if metric not in task.measurable:
            yield ("metrics", n), _not_measured(metric, task)
    if all(is_cost(metric) or metric == SCORE.name for metric in study.objectives):
        *some, last = task.measurable
        known = f"{', '.join(some)} or {last}" if some else last
        yield ("objectives",), f"need at least one measured metric: {known}"
    for n, fidelity in enumerate(study.fidelities):
        if fidelity.pruner.name != "none" and fidelity.pruner.metric not in task.measurable:
            yield ("fidelities", n, "pruner", "metric"), _not_measured(fidelity.pruner.metric, task)
    for metric, bound in study.constraints.items():
        if bound.min is None and bound.max is None:
            yield ("constraints", metric), "needs min, max or both"
        elif bound.min is not None and bound.max is not None and bound.min > bound.max:
            yield ("constraints", metric), f"min {bound.min:g} is above max {bound.max:g}: nothing is feasible"


def _not_measured(metric: str, task: TaskMetrics) -> str:
    return f"is not measured by task {task.name}; {nearest(metric, task.measurable)}"


_LARGEST_SEED = 2**63 - 1


def _fidelities(study: Study) -> Iterator[tuple[KeyPath, str]]:
    names = [fidelity.name for fidelity in study.fidelities]
    for n, fidelity in enumerate(study.fidelities):
        path = ("fidelities", n)
        if names.index(fidelity.name) != n:
            yield (*path, "name"), f"'{fidelity.name}' is the name of two fidelities"
        yield from _first(study, fidelity, path) if n == 0 else _later(study, fidelity, path)
        is_score = fidelity.kind == "zero_cost"
        yield from _score(study, fidelity, path) if is_score else _training(study, fidelity, path)
        if len(set(fidelity.seeds)) < len(fidelity.seeds):
            yield (*path, "seeds"), "hold a seed twice: that is one training, not two"
        if max(fidelity.all_seeds) > _LARGEST_SEED:
            yield (*path, "seeds"), f"a race takes the next integers too, and the largest seed is {_LARGEST_SEED}"


def _first(study: Study, fidelity: Fidelity, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if fidelity.promote is not None:
        yield (*path, "promote"), "the first fidelity has nothing to promote from; give it `trials`"
    if fidelity.trials is None and study.sampler.name != "grid":
        yield path, "the first fidelity needs `trials` (only sampler grid ends by itself)"
    if len(fidelity.seeds) > 1 and (study.sampler.name != "grid" or fidelity.trials is not None):
        yield (
            (*path, "seeds"),
            "a sampled trial is one training: give later fidelities more seeds, not the first; "
            "or take sampler grid without `trials`, which trains every network with each",
        )


def _later(study: Study, fidelity: Fidelity, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if fidelity.promote is None:
        yield path, "needs `promote`: which trials of the fidelity before it are trained here"
    elif fidelity.promote.top + fidelity.promote.random == 0:
        yield (*path, "promote"), "promotes nothing"
    if fidelity.trials is not None:
        yield (*path, "trials"), "belongs to the first fidelity; here `promote` says how many"
    before = _before(study, fidelity)[-1:]
    if fidelity.promote is not None and fidelity.promote.asynchronous and before and before[0].race is not None:
        message = f"'{before[0].name}' races: who goes on is known at its end; leave out one of the two"
        yield (*path, "promote", "asynchronous"), message
    if fidelity.promote is not None and fidelity.promote.race is not None:
        yield from _race(study, fidelity, fidelity.promote, fidelity.promote.race, path)


def _before(study: Study, fidelity: Fidelity) -> tuple[Fidelity, ...]:
    return study.fidelities[: [other.name for other in study.fidelities].index(fidelity.name)]


def _race(
    study: Study, fidelity: Fidelity, promote: Promotion, race: Race, path: KeyPath
) -> Iterator[tuple[KeyPath, str]]:
    if race.max_seeds <= len(fidelity.seeds):
        yield (
            (*path, "promote", "race"),
            f"has no seed to give: max_seeds {race.max_seeds} with {len(fidelity.seeds)} `seeds` for all",
        )
    chosen_with = {s: before.name for before in _before(study, fidelity) for s in before.all_seeds}
    for seed in sorted(chosen_with.keys() & set(fidelity.all_seeds))[:1]:
        where, fresh = chosen_with[seed], max(chosen_with) + 1
        message = f"{seed} helped to choose the candidates, in '{where}'; a race needs fresh ones, e.g. [{fresh}]"
        yield (*path, "seeds"), message
    if promote.top + promote.random == 1:
        yield (*path, "promote", "race"), "needs two that are promoted; one alone has no rival"
    if promote.asynchronous:
        yield (
            (*path, "promote", "asynchronous"),
            "a race begins when all its candidates are known; leave out one of the two",
        )
    if fidelity.pruner.name != "none":
        yield (*path, "pruner"), "a race compares whole trainings, pruned ones have no end; leave out one of the two"
    measured = [metric for metric in study.objectives if not is_cost(metric)]
    if promote.by == "pareto" and len(measured) > 1:
        yield (
            (*path, "promote", "race"),
            f"by: pareto is on one measured objective beside costs, not on {' and '.join(measured)}; "
            "keep one of them, or promote by: value",
        )
    if promote.by == "value" and is_cost(next(iter(study.objectives))):
        yield (
            (*path, "promote", "race"),
            f"by: value is on the first objective, and {next(iter(study.objectives))} has no seeds; "
            "name what is measured first, or promote by: pareto",
        )


def _score(study: Study, fidelity: Fidelity, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if fidelity.name != study.fidelities[0].name or len(study.fidelities) == 1:
        yield (*path, "kind"), "a zero_cost fidelity stands first, before one that trains"
    if study.task != CLASSIFICATION.name:
        yield (*path, "kind"), f"scores are of classifiers, not of task {study.task}; leave this fidelity out"
    if fidelity.score is None:
        yield path, f"zero_cost needs `score`. Known: {', '.join(sorted(get_args(ScoreName)))}."
    if fidelity.score == "zico" and fidelity.batches < 2:
        yield (*path, "batches"), "zico compares the gradients of several batches; give it two or more"
    if fidelity.score == "synflow" and fidelity.batches > 1:
        yield (*path, "batches"), "synflow looks at no image; leave it out"
    if fidelity.epochs != 1:
        yield (*path, "epochs"), "nothing is trained here; leave it out"
    if fidelity.pruner.name != "none":
        yield (*path, "pruner"), "nothing is trained here; leave it out"
    if fidelity.initialize.name != "scratch":
        yield (*path, "initialize"), "a score is of a network as it is drawn; leave it out"
    if study.executor.resources.get(fidelity.name, Resources()).world > 1:
        yield ("executor", "resources", fidelity.name), "a score is computed by one process; ranks: 1"


def _training(study: Study, fidelity: Fidelity, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if fidelity.pruner.name != "none" and fidelity.pruner.min_epochs >= fidelity.epochs:
        yield (*path, "pruner"), f"has no rung: min_epochs {fidelity.pruner.min_epochs} of {fidelity.epochs} epochs"
    for name in ("score", "batches"):
        if getattr(fidelity, name) not in (None, 1):
            yield (*path, name), "belongs to `kind: zero_cost`"
    if fidelity.initialize.weights is not None and TASKS[study.task].finds_boxes:
        yield (*path, "initialize"), "weights are for classifiers; a detector starts from exported specs: exported"
    if fidelity.initialize.name == "exported" and not TASKS[study.task].finds_boxes:
        yield (*path, "initialize"), "exported gives a detector its network; it belongs to task: detection"
    yield from _started(fidelity, path)


def _started(fidelity: Fidelity, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Yield where a recipe keeps something of a network that has learned nothing."""
    scratch, parent = Initialization(), fidelity.parent
    if fidelity.recipe.needs_start and fidelity.initialize == scratch:
        yield (*path, "recipe"), f"{KEEPS}; give the fidelity `initialize`, or leave them out"
    if parent is not None and parent.recipe.needs_start and parent.initialize == scratch:
        yield (*path, "initialize"), f"{KEEPS}; the vanilla parents begin with them: write a `recipe` of theirs here"


def _final(study: Study) -> Iterator[tuple[KeyPath, str]]:
    if study.final is None:
        return
    if len(set(study.final.seeds)) < len(study.final.seeds):
        yield ("final", "seeds"), "hold a seed twice: that is one training, not two"
    for seed in sorted({seed for fidelity in study.fidelities for seed in fidelity.all_seeds} & set(study.final.seeds)):
        yield ("final", "seeds"), f"must be fresh, but {seed} is a seed of the search"
    if study.final.splits > 1:
        yield from _splits(study, study.final)


def _splits(study: Study, final: Final) -> Iterator[tuple[KeyPath, str]]:
    """Yield why a study's data cannot be divided anew for its final trainings."""
    if study.data.split is None:
        message = (
            f"{final.splits} splits need data that `data.split` divides (imagefolder or imagelist, without parts of "
            "their own); here the test images are fixed. Leave it out: more `seeds` show the noise of training"
        )
        yield ("final", "splits"), message
    if isinstance(study.data.classes, int):
        message = "each split would draw other classes; write the names of the classes under data.classes"
        yield ("final", "splits"), message
    if len(final.seeds) % final.splits:
        message = (
            f"are {len(final.seeds)} for {final.splits} splits; each split needs equally many. Leave them out, or give "
            f"{final.splits} or a multiple"
        )
        yield ("final", "seeds"), message


def _execution(study: Study) -> Iterator[tuple[KeyPath, str]]:
    names = [fidelity.name for fidelity in study.fidelities]
    for name in study.executor.resources:
        if name not in names:
            yield ("executor", "resources", name), f"'{name}' is not a fidelity; {nearest(name, names)}"
    for name in study.throughput if isinstance(study.throughput, Mapping) else ():
        if name not in names:
            yield ("throughput", name), f"'{name}' is not a fidelity; {nearest(name, names)}"
    if study.stop.deadline is not None:
        try:
            datetime.fromisoformat(study.stop.deadline)
        except ValueError:
            yield ("stop", "deadline"), f"'{study.stop.deadline}' is no ISO time, e.g. 2026-12-01T08:00"
