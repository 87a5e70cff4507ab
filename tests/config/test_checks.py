from __future__ import annotations

from typing import Any

import pytest

from dcasearch.config.checks import DATA_SETS
from dcasearch.data.sets import DATASETS
from tests.config.support import FIRST, LATER, good, mistakes


def test_the_data_sets_that_a_study_may_name_are_those_that_exist() -> None:
    import dcasearch.data  # noqa: F401  # registers them

    assert set(DATA_SETS) == set(DATASETS)


ZERO: dict[str, Any] = {"name": "zero", "kind": "zero_cost", "score": "naswot", "trials": 9, "resolution": 16}


def racing(promote: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Two fidelities, with a race at the second."""
    later = {**LATER, **changes, "promote": {"top": 2, "race": {"max_seeds": 4}, **(promote or {})}}
    return {"fidelities": [FIRST, later]}


NO_CROP: dict[str, Any] = {"augmentation": {"crop": "none"}}


def detecting(recipe: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A study of detectors."""
    parts = {"task": "detection", "data": {"name": "shapes"}, "detector": {"name": "retinanet"}}
    return {**parts, "fidelities": [{**FIRST, "recipe": {**NO_CROP, **(recipe or {})}}], **changes}


DIVIDED: dict[str, Any] = {"name": "imagefolder", "root": "photos", "split": {"validation": 0.2, "test": 0.2}}
"""Images in one folder, without parts of their own."""
KEPT: dict[str, Any] = {**FIRST, "recipe": {"batchnorm": "kept"}}
EXPORTED: dict[str, Any] = {**FIRST, "initialize": {"name": "exported", "specs": ["a.yaml"]}}
MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "kept statistics of random parameters": (
        {"fidelities": [KEPT]},
        "fidelities.0.recipe: freeze, batchnorm: kept and a backbone rate of 0 keep what is there",
    ),
    "frozen stages of vanilla parents from scratch": (
        {"fidelities": [{**FIRST, "recipe": {"freeze": ["stem"]}, "initialize": "vanilla"}]},
        "fidelities.0.initialize: freeze, batchnorm: kept and a backbone rate of 0 keep what is there",
    ),
    "frozen stages of a detector's recipe": (
        detecting(fidelities=[{**EXPORTED, "recipe": {**NO_CROP, "freeze": ["stem", 1]}}]),
        "fidelities.0.recipe.freeze: is the detector's affair; write frozen_stages: 1 under `detector`",
    ),
    "kept statistics of a detector's recipe": (
        detecting(fidelities=[{**EXPORTED, "recipe": {**NO_CROP, "batchnorm": "kept"}}]),
        "fidelities.0.recipe.batchnorm: is the detector's affair; write bn: eval under `detector`",
    ),
    "detection without a detector": (
        detecting(detector=None),
        "task: detection needs a `detector`, e.g. detector: {name: retinanet}",
    ),
    "a detector of a classifier": (
        {"detector": {"name": "retinanet"}},
        "detector: belongs to task: detection, not to classification",
    ),
    "a key of another detector": (
        detecting(detector={"name": "cascade_rcnn", "convolutions": 2}),
        "detector.convolutions: 'convolutions' is not a known key; Known: anchor, bn, chan",
    ),
    "an unknown detector": (
        detecting(detector={"name": "yolo"}),
        "detector: input tag 'yolo' found using 'name' does not match any of the expected tags: 'retinanet', 'cascade",
    ),
    "images with a label for a detector": (
        detecting(data={"name": "digits"}),
        "data.name: 'digits' is not for task detection; write one of coco, shapes",
    ),
    "images with boxes for a classifier": (
        {"data": {"name": "coco", "root": "x"}},
        "data.name: 'coco' is not for task classification; write one of digits, shapes, cifar10, imagefolder, imagel",
    ),
    "coco without a root": (detecting(data={"name": "coco"}), "data: coco needs a root: the folder that holds it"),
    "classes of boxes": (
        detecting(data={"name": "shapes", "classes": 2}),
        "data.classes: chooses among images with one label; leave it out",
    ),
    "mixup of images with boxes": (
        detecting({"mixup": 0.2}),
        "fidelities.0.recipe.mixup: is for images with one label, not for task detection; leave it out",
    ),
    "cropped images with boxes": (
        detecting({"augmentation": {"crop": "pad"}}),
        "fidelities.0.recipe.augmentation.crop: images with boxes are not cropped; write augmentation: {crop: none}",
    ),
    "statistics over GPUs without any": (
        detecting(detector={"name": "retinanet", "bn": "sync"}),
        "detector.bn: sync needs GPUs (executor ray, resources.proxy.gpu), PyTorch has it for no CPU",
    ),
    "top-1 of a detector": (
        detecting(objectives={"top1": "maximize"}),
        "objectives.top1: is not measured by task detection; Known: ap, ap50",
    ),
    "a score of a detector": (
        detecting(fidelities=[ZERO, {**LATER, "recipe": NO_CROP}]),
        "fidelities.0.kind: scores are of classifiers, not of task detection; leave this fidelity out",
    ),
    "an exported start of a classifier": (
        {"fidelities": [{**FIRST, "initialize": {"name": "exported", "specs": ["a.yaml"]}}]},
        "fidelities.0.initialize: exported gives a detector its network; it belongs to task: detection",
    ),
    "an exported start without specs": (
        detecting(fidelities=[{**FIRST, "recipe": NO_CROP, "initialize": "exported"}]),
        "fidelities.0.initialize: value error, exported needs `specs`: the paths of exported specs, one of each",
    ),
    "epochs of an exported start": (
        detecting(
            fidelities=[
                {**FIRST, "recipe": NO_CROP, "initialize": {"name": "exported", "specs": ["a.yaml"], "epochs": 2}}
            ]
        ),
        "fidelities.0.initialize: value error, exported has no option epochs",
    ),
    "preprocessing of a detector's images": (
        detecting(data={"name": "shapes", "preprocessing": {"interpolation": "bicubic"}}),
        "data.preprocessing: a detector prepares its images by itself; leave it out",
    ),
    "weights of a detector": (
        detecting(fidelities=[{**FIRST, "recipe": NO_CROP, "initialize": {"weights": "w.pth"}}]),
        "fidelities.0.initialize: weights are for classifiers; a detector starts from exported specs: exported",
    ),
    "weights without a file": (
        {"fidelities": [{**FIRST, "initialize": "weights"}]},
        "fidelities.0.initialize: value error, `weights` is missing: a file, an exported spec, or the name of",
    ),
    "a mean without a file": (
        {"fidelities": [{**FIRST, "initialize": {"name": "vanilla", "mean": [0.5, 0.5, 0.5]}}]},
        "fidelities.0.initialize: value error, `weights` is missing: a file, an exported spec, or the name of",
    ),
    "epochs of a weights file": (
        {"fidelities": [{**FIRST, "initialize": {"weights": "w.pth", "epochs": 2}}]},
        "fidelities.0.initialize: value error, weights has no option epochs",
    ),
    "a mean without a deviation": (
        {"data": {"name": "digits", "preprocessing": {"mean": [0.5, 0.5, 0.5]}}},
        "data.preprocessing: value error, mean and std belong together: give both",
    ),
    "a deviation of zero": (
        {"data": {"name": "digits", "preprocessing": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0]}}},
        "data.preprocessing: value error, std must be positive",
    ),
    "a race and a pruner": (
        racing(pruner={"name": "median"}),
        "fidelities.1.pruner: a race compares whole trainings, pruned ones have no end",
    ),
    "a race with the seed that chose its candidates": (
        racing(seeds=[3, 0]),
        "fidelities.1.seeds: 0 helped to choose the candidates, in 'proxy'; a race needs fresh ones, e.g. [1]",
    ),
    "a race without seeds to give": (
        racing(seeds=[4, 1, 2, 3]),
        "fidelities.1.promote.race: has no seed to give: max_seeds 4 with 4 `seeds` for all",
    ),
    "a race of one": (racing({"top": 1}), "fidelities.1.promote.race: needs two that are promoted"),
    "a race that begins before all are known": (
        racing({"asynchronous": True}),
        "fidelities.1.promote.asynchronous: a race begins when all its candidates are known",
    ),
    "promotion from a race that still runs": (
        {"fidelities": [*racing()["fidelities"], {**LATER, "name": "last", "promote": {"asynchronous": True}}]},
        "fidelities.2.promote.asynchronous: 'full' races: who goes on is known at its end",
    ),
    "a race for a front of two noisy objectives": (
        {"objectives": {"top1": "maximize", "loss": "minimize"}, **racing({"by": "pareto"})},
        "fidelities.1.promote.race: by: pareto is on one measured objective beside costs, not on top1 and loss",
    ),
    "a race for a cost": (
        {"objectives": {"macs": "minimize", "top1": "maximize"}, **racing()},
        "fidelities.1.promote.race: by: value is on the first objective, and macs has no seeds",
    ),
    "last seeds that a race may use": (
        {**racing(), "final": {"seeds": [3, 1000]}},
        "final.seeds: must be fresh, but 3 is a seed of the search",
    ),
    "data set": ({"data": {"name": "cifar"}}, "data.name: 'cifar' is not a data set; did you mean 'cifar10'?"),
    "no root": ({"data": {"name": "imagenet"}}, "data: imagenet needs a root"),
    "a class twice": ({"data": {"name": "digits", "classes": ["1", "2", "1"]}}, "data.classes.2: '1' stands twice"),
    "one class": ({"data": {"name": "digits", "classes": 1}}, "data.classes: must be how many classes, at least 2"),
    "classes that are numbers": (
        {"data": {"name": "digits", "classes": [3, 4]}},
        "data.classes: must be how many classes, at least 2, or a list of names, in quotes if numbers; got [3, 4]",
    ),
    "costs alone": ({"objectives": {"params": "minimize"}}, "objectives: need at least one measured metric"),
    "the worst accuracy": (
        {"objectives": {"top1": "minimize"}},
        "objectives.top1: minimize would look for the worst; write top1: maximize",
    ),
    "the worst loss": (
        {"objectives": {"top1": "maximize", "loss": "maximize"}},
        "objectives.loss: maximize would look for the worst; write loss: minimize",
    ),
    "seeds": (
        {"fidelities": [FIRST, {**LATER, "seeds": [1, 2, 1]}]},
        "fidelities.1.seeds: hold a seed twice: that is one training, not two",
    ),
    "splits of data with a test part": (
        {"final": {"splits": 3}},
        "final.splits: 3 splits need data that `data.split` divides (imagefolder or imagelist, without parts of their",
    ),
    "splits of classes that are drawn": (
        {"data": {**DIVIDED, "classes": 3}, "final": {"splits": 3}},
        "final.splits: each split would draw other classes; write the names of the classes under data.classes",
    ),
    "splits with unequally many seeds": (
        {"data": DIVIDED, "final": {"splits": 3, "seeds": [5, 6, 7, 8]}},
        "final.seeds: are 4 for 3 splits; each split needs equally many. Leave them out, or give 3 or a multiple",
    ),
    "no split": ({"data": DIVIDED, "final": {"splits": 0}}, "final.splits: input should be greater than 0"),
    "last seeds": ({"final": {"seeds": [7, 7]}}, "final.seeds: hold a seed twice"),
    "last seeds that are not fresh": (
        {"fidelities": [FIRST, {**LATER, "seeds": [1, 2]}], "final": {"seeds": [2, 1000]}},
        "final.seeds: must be fresh, but 2 is a seed of the search",
    ),
    "a score as an objective": (
        {"objectives": {"score": "maximize", "top1": "maximize"}},
        "objectives.score: is what a zero_cost fidelity maximizes by itself",
    ),
    "a score alone": ({"fidelities": [ZERO]}, "fidelities.0.kind: a zero_cost fidelity stands first, before one that"),
    "a score after a training": (
        {"fidelities": [FIRST, {**ZERO, "trials": None, "promote": {"top": 1}}, {**LATER, "name": "third"}]},
        "fidelities.1.kind: a zero_cost fidelity stands first, before one that trains",
    ),
    "no score": ({"fidelities": [{**ZERO, "score": None}, LATER]}, "fidelities.0: zero_cost needs `score`. Known: gra"),
    "zico of one batch": (
        {"fidelities": [{**ZERO, "score": "zico"}, LATER]},
        "fidelities.0.batches: zico compares the gradients of several batches",
    ),
    "synflow of batches": (
        {"fidelities": [{**ZERO, "score": "synflow", "batches": 2}, LATER]},
        "fidelities.0.batches: synflow looks at no image",
    ),
    "epochs of a score": (
        {"fidelities": [{**ZERO, "epochs": 3}, LATER]},
        "fidelities.0.epochs: nothing is trained here; leave it out",
    ),
    "a pruner of scores": (
        {"fidelities": [{**ZERO, "pruner": {"name": "median"}}, LATER]},
        "fidelities.0.pruner: nothing is trained here; leave it out",
    ),
    "ranks of a score": (
        {
            "fidelities": [ZERO, LATER],
            "executor": {"name": "ray", "resources": {"zero": {"cpu": 2, "ranks": 2}}},
        },
        "executor.resources.zero: a score is computed by one process; ranks: 1",
    ),
    "the score of a training": (
        {"fidelities": [{**FIRST, "score": "snip"}]},
        "fidelities.0.score: belongs to `kind: zero_cost`",
    ),
    "no epochs": (
        {"fidelities": [{name: value for name, value in FIRST.items() if name != "epochs"}]},
        "fidelities.0.epochs: is missing",
    ),
    "empty bound": ({"constraints": {"params": {}}}, "constraints.params: needs min, max or both"),
    "bounds crossed": (
        {"constraints": {"macs": {"min": "2G", "max": "1G"}}},
        "constraints.macs: min 2e+09 is above max 1e+09: nothing is feasible",
    ),
    "same name": (
        {"fidelities": [FIRST, {**LATER, "name": "proxy"}]},
        "fidelities.1.name: 'proxy' is the name of two fidelities",
    ),
    "no rung": (
        {"fidelities": [{**FIRST, "pruner": {"name": "median", "min_epochs": 4}}]},
        "fidelities.0.pruner: has no rung: min_epochs 4 of 4 epochs",
    ),
    "promotes from nothing": (
        {"fidelities": [{**FIRST, "promote": {"top": 1}}]},
        "fidelities.0.promote: the first fidelity has nothing to promote from",
    ),
    "no trials": (
        {"fidelities": [{**FIRST, "trials": None}]},
        "fidelities.0: the first fidelity needs `trials`",
    ),
    "seeds of the first": (
        {"fidelities": [{**FIRST, "seeds": [0, 1]}]},
        "fidelities.0.seeds: a sampled trial is one training",
    ),
    "seeds and trials of a grid": (
        {"fidelities": [{**FIRST, "seeds": [0, 1]}], "sampler": {"name": "grid"}},
        "or take sampler grid without `trials`, which trains every network with each",
    ),
    "no promotion": ({"fidelities": [FIRST, {**LATER, "promote": None}]}, "fidelities.1: needs `promote`"),
    "promotes nothing": (
        {"fidelities": [FIRST, {**LATER, "promote": {"top": 0}}]},
        "fidelities.1.promote: promotes nothing",
    ),
    "trials of a later one": (
        {"fidelities": [FIRST, {**LATER, "trials": 3}]},
        "fidelities.1.trials: belongs to the first fidelity",
    ),
    "resources": (
        {"executor": {"resources": {"prxy": {"cpu": 2}}}},
        "executor.resources.prxy: 'prxy' is not a fidelity; did you mean 'proxy'?",
    ),
    "balanced twice": (
        {"fidelities": [{**FIRST, "recipe": {"class_weights": "balanced", "sampling": "balanced"}}]},
        "class_weights and sampling both balance the classes; leave out one of them",
    ),
    "class weights of a detector": (
        detecting({"class_weights": "balanced"}),
        "fidelities.0.recipe.class_weights: is for images with one label, not for task detection; leave it out",
    ),
    "balanced sampling of images with boxes": (
        detecting({"sampling": "balanced"}),
        "fidelities.0.recipe.sampling: is for images with one label, not for task detection; leave it out",
    ),
    "a further metric of another task as an objective": (
        detecting(objectives={"macro_f1": "maximize"}),
        "objectives.macro_f1: is not measured by task detection; Known: ",
    ),
    "a further metric of another task": (
        detecting(metrics=["ap", "auroc"]),
        "metrics.1: is not measured by task detection; Known: ",
    ),
    "a further metric with a mistake": (
        {"metrics": ["macro_f1", "makro_f1"]},
        "metrics.1: 'makro_f1' is not allowed; did you mean 'macro_f1'?",
    ),
    "a cost among the metrics": ({"metrics": ["params"]}, "metrics.0: 'params' is not allowed; Known: "),
    "the worst calibration": (
        {"objectives": {"calibration_error": "maximize"}},
        "objectives.calibration_error: maximize would look for the worst; write calibration_error: minimize",
    ),
    "a pruner's metric of another task": (
        detecting(fidelities=[{**FIRST, "recipe": NO_CROP, "pruner": {"name": "median", "metric": "auroc"}}]),
        "fidelities.0.pruner.metric: is not measured by task detection; Known: ",
    ),
    "deadline": ({"stop": {"deadline": "tomorrow"}}, "stop.deadline: 'tomorrow' is no ISO time"),
}


@pytest.mark.parametrize(("changes", "message"), MISTAKES.values(), ids=MISTAKES)
def test_parts_that_do_not_fit_together_are_a_mistake(changes: dict[str, Any], message: str) -> None:
    [said] = mistakes(**changes)
    assert message in said


@pytest.mark.parametrize(
    "changes",
    [
        {"sampler": {"name": "grid"}, "fidelities": [{**FIRST, "trials": None}]},
        {"fidelities": [FIRST, {**LATER, "seeds": [0, 1, 2]}]},
        {"fidelities": [FIRST, {**LATER, "promote": {"top": 0, "random": 2}}]},
        {"fidelities": [{**FIRST, "pruner": {"name": "none", "min_epochs": 9}}]},
        {"fidelities": [{**FIRST, "pruner": {"name": "successive_halving", "min_epochs": 3}}]},
        {"constraints": {"params": {"max": "5.0M"}, "macs": {"min": 1}}},
        {"objectives": {"top1": "maximize", "macs": "minimize"}},
        {"final": {"seeds": [1000, 1001]}},
        {"data": DIVIDED, "final": {"splits": 3, "seeds": [7, 8, 9, 10, 11, 12]}},
        {"data": {**DIVIDED, "classes": ["cat", "dog"]}, "final": {"splits": 3}},
        {"data": {"name": "imagefolder", "root": "images"}},
        {"stop": {"deadline": "2026-12-01T08:00:00", "wall_hours": 1, "no_improvement": 9}},
        {"executor": {"resources": {"proxy": {"cpu": 2, "gpu": 1}}}},
        {"fidelities": [ZERO, LATER]},
        {**racing(), "final": {"seeds": [5]}},
        racing(seeds=[7, 1]),
        {**racing({"by": "pareto"}), "objectives": {"macs": "minimize", "top1": "maximize"}},
        {**racing(), "objectives": {"loss": "minimize", "top1": "maximize"}},
        {"fidelities": [FIRST, {**LATER, "promote": {"race": {}}}]},
        {"fidelities": [{**ZERO, "score": "zico", "batches": 2}, LATER]},
    ],
)
def test_parts_that_fit_together_are_none(changes: dict[str, Any]) -> None:
    good(**changes)


def test_splits_without_seeds_have_one_each_from_1000_on() -> None:
    final = good(data=DIVIDED, final={"splits": 3}).final
    assert final is not None
    assert final.seeds == (1000, 1001, 1002)
    assert [final.split_of(seed) for seed in (1000, 1001, 1002, 5)] == [0, 1, 2, 0]
    once = good(final={}).final
    assert once is not None
    assert (once.seeds, once.splits) == ((1000,), 1)


def test_a_race_that_names_no_seeds_has_the_first_ones_after_those_that_chose_its_candidates() -> None:
    middle = {**LATER, "name": "middle", "seeds": [2, 4]}
    study = good(fidelities=[FIRST, middle, racing()["fidelities"][1], {**LATER, "name": "last"}])
    assert [fidelity.all_seeds for fidelity in study.fidelities] == [(0,), (2, 4), (5, 6, 7, 8), (0,)]


def test_shapes_with_boxes_have_a_name_of_their_own_and_the_objective_is_average_precision() -> None:
    study = good(**detecting())
    assert (study.data.name, study.objectives) == ("shapes_boxes", {"ap": "maximize"})
    assert good(**detecting(data={"name": "shapes_boxes"})) == study
    assert good(data={"name": "shapes"}).data.name == "shapes"


@pytest.mark.parametrize(
    ("changes", "further"),
    [
        ({}, ()),
        ({"metrics": ["top1", "auroc", "macro_f1"]}, ("macro_f1", "auroc")),
        ({"objectives": {"balanced_accuracy": "maximize"}, "metrics": ["macro_f1"]}, ("balanced_accuracy", "macro_f1")),
        ({"fidelities": [{**FIRST, "pruner": {"name": "median", "metric": "auroc"}}]}, ("auroc",)),
        ({"fidelities": [{**FIRST, "pruner": {"name": "none", "metric": "auroc"}}]}, ()),
    ],
)
def test_what_a_study_measures_beside_its_task_is_what_it_names_anywhere(
    changes: dict[str, Any], further: tuple[str, ...]
) -> None:
    assert good(**changes).further_metrics == further


def test_a_detectors_name_alone_is_the_detector_as_torchvision_has_it() -> None:
    assert good(**detecting(detector="retinanet")) == good(**detecting())


def test_statistics_over_the_gpus_of_a_cluster_are_fine() -> None:
    executor = {"name": "ray", "resources": {"proxy": {"cpu": 4, "gpu": 2}}}
    assert good(**detecting(detector={"name": "retinanet", "bn": "sync"}, executor=executor)).detector is not None


def test_a_fine_tuned_fidelity_whose_vanilla_parents_have_a_recipe_of_their_own_is_sound() -> None:
    start = {"name": "vanilla", "recipe": "small"}
    study = good(fidelities=[{**KEPT, "recipe": "finetune", "initialize": start}])
    assert study.fidelities[0].recipe.needs_start


def test_rates_are_for_detectors_too() -> None:
    study = good(**detecting({"rates": {"backbone": 0.1}}))
    assert study.fidelities[0].recipe.rates.backbone == 0.1
