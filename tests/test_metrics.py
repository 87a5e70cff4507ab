from __future__ import annotations

import ast
import math
import re
from pathlib import Path

import pytest

from dcasearch.metrics import METRICS, SCORE, TASKS, Metric, cost_function, costs, headline_of, register_metric
from dcasearch.training.tasks import LearningTask, learning_task
from tests.config.support import written

ROOT = Path(__file__).parents[1]


def test_the_docs_table_is_the_table_of_metrics() -> None:
    section = (ROOT / "docs" / "yaml.md").read_text(encoding="utf-8").split("### Metrics")[1]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| (\w+) \|$", section.split("\n\n")[0], re.MULTILINE)
    expected = []
    for metric in METRICS.values():
        label = f"{metric.label}, {metric.unit}" if metric.unit else metric.label
        expected.append((metric.name, label, metric.known, metric.direction or "either"))
    assert rows == expected


def test_few_files_of_the_package_know_a_metric_by_name() -> None:
    """A further metric must not need a search through the package."""
    knowing = set()
    for path in (ROOT / "dcasearch").rglob("*.py"):
        if "migrations" in path.parts or "paper" in (path.stem, path.parent.name):  # the paper prints these two
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (isinstance(node, ast.Constant) and node.value in ("top1", "top5")) or (
                isinstance(node, ast.Attribute) and node.attr in ("top1", "top5")
            ):
                knowing.add(str(path.relative_to(ROOT / "dcasearch")))
    assert knowing == {"metrics.py", "training/tasks/classification.py", "replay/table.py"}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_measures_what_its_entry_says(task: str) -> None:
    from dcasearch.config.recipe import Recipe

    assert isinstance(learning_task(task, Recipe()), LearningTask)
    assert all(METRICS[name].known == "each epoch" for name in TASKS[task].measurable)
    assert TASKS[task].objective == {TASKS[task].metrics[0]: TASKS[task].headline.direction}


@pytest.mark.parametrize("name", costs())
def test_a_cost_is_computed_by_the_function_that_its_entry_names(name: str) -> None:
    from dcasearch.architecture import Architecture

    architecture = Architecture.parse({"backbone": {"name": "resnet18", "stem": "small"}})
    found = cost_function(name)(architecture, 32, 10)
    assert METRICS[name].holds(found[name])


def test_the_headline_is_the_first_metric_of_the_task_whose_it_is() -> None:
    assert headline_of(["loss", "top5", "top1"]) is METRICS["top1"]
    assert headline_of(["macro_f1", "top1"]) is METRICS["top1"]
    assert headline_of(["macro_f1", "params"]) is METRICS["macro_f1"]
    assert headline_of(["score"]) is SCORE
    with pytest.raises(ValueError, match="no task measures something"):
        headline_of(["something"])


@pytest.mark.parametrize(("value", "holds"), [(0.0, True), (100.0005, True), (101.0, False), (math.nan, False)])
def test_a_value_outside_of_its_range_is_none_of_the_metric(value: float, holds: bool) -> None:
    assert METRICS["top1"].holds(value) is holds


def test_a_value_is_shown_with_its_label_and_unit() -> None:
    assert METRICS["top1"].shown(43.1) == "top-1 43.10%"
    assert METRICS["loss"].shown(0.5) == "loss 0.5000"
    assert (
        Metric(name="t", label="latency", known="before training", unit="ms", digits=".2f").shown(3)
        == "latency 3.00 ms"
    )
    assert METRICS["top1"].amount(1.5) == "1.50 points"


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        register_metric(METRICS["top1"])


def test_a_metric_that_is_registered_later_may_stand_in_a_study(monkeypatch: pytest.MonkeyPatch) -> None:
    from dcasearch.config.study import Study
    from dcasearch.config.study_schema import study_schema

    later = Metric(name="latency", label="latency", known="before training", of_device=True)
    monkeypatch.setitem(METRICS._entries, "latency", later)
    wished = written(objectives={"top1": "maximize", "latency": "minimize"}, constraints={"latency": {"max": 20}})
    study = Study.model_validate(wished)
    assert list(study.objectives) == ["top1", "latency"]
    assert "latency" in str(study_schema()["properties"]["objectives"])
