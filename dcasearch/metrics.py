"""The table of metrics: every number that a network is judged by, and which task measures which of them.

Objectives, constraints, pruners, races, power, views and SQL read this table. A new metric is one entry here, and the
code that measures it. This module imports no torch.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from dcasearch.registry import Registry

Direction = Literal["maximize", "minimize"]
Known = Literal["before training", "each epoch", "without training"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number by which networks are compared."""

    name: str
    """In YAML, JSON and SQL."""
    label: str
    """In sentences and tables."""
    known: Known
    """`before training`: a cost, of the architecture alone; `each epoch`: measured on the evaluation images;
    `without training`: the score of a zero-cost fidelity."""
    direction: Direction | None = None
    """Which values are better; None: a study may want either."""
    unit: str = ""
    lowest: float = -math.inf
    highest: float = math.inf
    digits: str = ".4g"
    """Format of a value in a view."""
    beside_headline: bool = False
    """Whether views show it in a column beside the headline metric of its task."""
    share: bool = False
    """Whether it is the percentage of evaluation images that are right: then its sampling noise is binomial."""
    computed_by: str = ""
    """Of a cost: `module:function`. The function takes an architecture, pixels per side and number of classes, and
    returns values by metric."""
    of_device: bool = False
    """Of a cost: whether the value holds for one kind of device alone, so that it is stored with the device's name."""

    @property
    def is_cost(self) -> bool:
        """Whether the value is known before any training."""
        return self.known == "before training"

    @property
    def heading(self) -> str:
        """Head of a table's column, e.g. `top-1 %`."""
        return f"{self.label} {self.unit}".rstrip()

    @property
    def axis(self) -> str:
        """Label of a figure's axis, e.g. `top-1 (%)`."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def unit_of_differences(self) -> str:
        """Unit of the difference of two values: percentages differ by points."""
        return "points" if self.unit == "%" else self.unit

    @property
    def sign(self) -> float:
        """Factor that makes more of this metric better."""
        return -1.0 if self.direction == "minimize" else 1.0

    def shown(self, value: float) -> str:
        """Return a value with its label and unit, e.g. `top-1 43.10%`."""
        return f"{self.label} {value:{self.digits}}{'' if self.unit == '%' or not self.unit else ' '}{self.unit}"

    def amount(self, value: float) -> str:
        """Return the size of a difference with its unit, e.g. `1.20 points`."""
        return f"{value:{self.digits}} {self.unit_of_differences}".rstrip()

    def holds(self, value: float) -> bool:
        """Return whether a measured value can be one of this metric."""
        slack = 1e-3 if self.share else 0.0  # fp32 shares may be above 100% by a rounding error
        return math.isfinite(value) and self.lowest - slack <= value <= self.highest + slack


METRICS: Registry[Metric] = Registry("a metric")


def register_metric(metric: Metric) -> Metric:
    """Enter a metric under its name; a name taken twice is a bug."""
    return METRICS.register(metric.name)(metric)


_COUNTED = "dcasearch.models.cost:counted"


def _share(name: str, label: str) -> Metric:
    """Return a percentage of evaluation images."""
    return Metric(
        name=name,
        label=label,
        known="each epoch",
        direction="maximize",
        unit="%",
        lowest=0,
        highest=100,
        digits=".2f",
        beside_headline=True,
        share=True,
    )


def _percentage(name: str, label: str, *, beside_headline: bool = False) -> Metric:
    """Return a percentage that is no share of the evaluation images, so its noise is not binomial."""
    return dataclasses.replace(_share(name, label), share=False, beside_headline=beside_headline)


for _metric in (
    _share("top1", "top-1"),
    _share("top5", "top-5"),
    Metric(name="loss", label="loss", known="each epoch", direction="minimize", digits=".4f"),
    _percentage("balanced_accuracy", "balanced accuracy", beside_headline=True),
    _percentage("macro_f1", "macro F1", beside_headline=True),
    _percentage("auroc", "AUROC", beside_headline=True),
    dataclasses.replace(
        _percentage("calibration_error", "calibration error", beside_headline=True), direction="minimize"
    ),
    Metric(name="params", label="parameters", known="before training", lowest=0, computed_by=_COUNTED),
    Metric(name="macs", label="multiply-adds", known="before training", lowest=0, computed_by=_COUNTED),
    Metric(name="score", label="score", known="without training", direction="maximize", digits=".6g"),
    _percentage("ap", "AP"),
    _percentage("ap50", "AP50", beside_headline=True),
    _percentage("ap75", "AP75", beside_headline=True),
    _percentage("ap_small", "AP small"),
    _percentage("ap_medium", "AP medium"),
    _percentage("ap_large", "AP large"),
    _percentage("ar1", "AR1"),
    _percentage("ar10", "AR10"),
    _percentage("ar100", "AR100"),
    _percentage("ar_small", "AR small"),
    _percentage("ar_medium", "AR medium"),
    _percentage("ar_large", "AR large"),
):
    register_metric(_metric)

SCORE = METRICS["score"]
"""The one metric of a zero-cost fidelity."""


@dataclass(frozen=True, kw_only=True)
class TaskMetrics:
    """What a task measures after each epoch, and where its code is."""

    name: str
    """In YAML: `task: classification`."""
    metrics: tuple[str, ...]
    """The first is the headline: what views compare, and what chooses the best epoch."""
    implementation: str
    """`module:class`, a `dcasearch.training.tasks.LearningTask`; imported when something is trained."""
    further: tuple[str, ...] = ()
    """What the task measures only where a study asks for it: each takes time, and older records lack it."""
    outputs: int | None = None
    """Outputs of the network; None: one per class."""
    finds_boxes: bool = False
    """Whether it learns from images with boxes, so that a study names a detector; else from images with a label."""

    @property
    def headline(self) -> Metric:
        """The metric that views compare."""
        return METRICS[self.metrics[0]]

    @property
    def others(self) -> tuple[Metric, ...]:
        """The metrics that are always measured beside the headline metric."""
        return tuple(METRICS[name] for name in self.metrics[1:])

    @property
    def measurable(self) -> tuple[str, ...]:
        """Names of all metrics that a study of the task may ask for."""
        return (*self.metrics, *self.further)

    def asked_for(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return which of some metrics are measured only because they are asked for, in the table's order."""
        asked = set(names)
        return tuple(name for name in self.further if name in asked)

    def width(self, classes: int) -> int:
        """Return the number of the network's outputs for data of so many classes."""
        return classes if self.outputs is None else self.outputs

    @property
    def objective(self) -> dict[str, Direction]:
        """The objective of a study that names none."""
        return {self.headline.name: self.headline.direction or "maximize"}


TASKS: Registry[TaskMetrics] = Registry("a task")


def register_task(task: TaskMetrics) -> TaskMetrics:
    """Enter a task under its name; a name taken twice is a bug."""
    return TASKS.register(task.name)(task)


CLASSIFICATION = register_task(
    TaskMetrics(
        name="classification",
        metrics=("top1", "top5", "loss"),
        further=("balanced_accuracy", "macro_f1", "auroc", "calibration_error"),
        implementation="dcasearch.training.tasks.classification:Classification",
    )
)


DETECTION = register_task(
    TaskMetrics(
        name="detection",
        metrics=(
            *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
            *("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"),
        ),
        implementation="dcasearch.training.tasks.detection:Detection",
        finds_boxes=True,
    )
)
"""COCO's twelve numbers, in COCO's order. A number over objects of one size is there where such objects are."""


def headline_of(names: Iterable[str]) -> Metric:
    """Return the headline among the metrics of one record or event: its task's first metric, or the score.

    An event of a study that is led by a further metric of its task has that one alone.
    """
    known = set(names)
    for task in TASKS.values():
        if task.metrics[0] in known:
            return task.headline
    if SCORE.name in known:
        return SCORE
    for task in TASKS.values():
        for name in task.asked_for(known):
            return METRICS[name]
    raise ValueError(f"no task measures {', '.join(sorted(known)) or 'nothing'}")


def costs() -> tuple[str, ...]:
    """Return the names of the metrics that are known before any training."""
    return tuple(name for name, metric in METRICS.items() if metric.is_cost)


def is_cost(name: str) -> bool:
    """Return whether a metric is known before any training."""
    return METRICS[name].is_cost


def imported(place: str) -> Any:
    """Return what `module:name` names."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def cost_function(name: str) -> Callable[..., Mapping[str, float]]:
    """Return the function that computes a cost."""
    function: Callable[..., Mapping[str, float]] = imported(METRICS[name].computed_by)
    return function
