import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dcasearch.config.data_set import Data
from dcasearch.config.recipe import Recipe
from dcasearch.data import Loaders
from dcasearch.training.tasks import LearningTask, learning_task, measure
from dcasearch.training.tasks.classification import ClassificationMeter as Meter

CPU = torch.device("cpu")
TASK = learning_task("classification", Recipe())


def ranked(*best_first: int, classes: int = 8) -> list[float]:
    """Logits that rank the classes as given, the others last."""
    order = [*best_first, *(k for k in range(classes) if k not in best_first)]
    return [float(-order.index(k)) for k in range(classes)]


def test_top1_and_top5_are_exact_whatever_the_batches() -> None:
    logits = torch.tensor([ranked(3), ranked(0, 1, 2, 4, 3), ranked(0, 1, 2, 4, 5, 3), ranked(6), ranked(7)])
    labels = torch.tensor([3, 3, 3, 0, 7])
    meter = Meter(8, CPU)
    for chosen in (slice(0, 4), slice(4, 5)):
        meter.update(logits[chosen], labels[chosen])
    metrics = meter.compute()
    assert (metrics["top1"], metrics["top5"]) == (40.0, 80.0)


def test_the_loss_is_the_mean_cross_entropy_over_images_not_batches() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0], [1.0, 3.0]])
    meter = Meter(2, CPU)
    meter.update(logits[:2], torch.tensor([0, 1]))
    meter.update(logits[2:], torch.tensor([0]))
    expected = (math.log(1 + math.exp(-2)) + math.log(2) + math.log(1 + math.exp(2))) / 3
    assert meter.compute()["loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("classes", [2, 5])
def test_five_classes_or_fewer_are_always_in_the_top_five(classes: int) -> None:
    meter = Meter(classes, CPU)
    meter.update(torch.zeros(1, classes), torch.tensor([classes - 1]))
    assert meter.compute()["top5"] == 100.0


def test_percentages_have_no_noise_of_single_precision() -> None:
    meter = Meter(2, CPU)
    meter.update(torch.tensor([[1.0, 0.0]] * 3), torch.tensor([0, 1, 1]))
    assert meter.compute()["top1"] == 33.3333


def test_a_loss_that_is_not_a_number_stays_one() -> None:
    meter = Meter(2, CPU)
    meter.update(torch.tensor([[float("nan"), 0.0]]), torch.tensor([0]))
    assert math.isnan(meter.compute()["loss"])


def test_measuring_is_in_evaluation_mode_and_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3), nn.Linear(3, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batches = [(torch.randn(4, 3, 1, 1), torch.tensor([0, 1, 0, 1]))] * 2
    metrics = measure(TASK, model, batches, classes=2, device=CPU)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert metrics == measure(TASK, model, batches[:1], classes=2, device=CPU)


SKEWED = {"lr": 0.05, "batch_size": 16, "class_weights": "balanced"}


def opened(**recipe: Any) -> tuple[LearningTask, Loaders]:
    """Return a task whose loaders are open: 65 digits, whose classes have different numbers of images."""
    task = learning_task("classification", Recipe.model_validate({**SKEWED, **recipe}))
    loaders = task.open(
        Data(name="digits"), "search", resolution=8, train_fraction=0.05, seed=0, artifacts=None, device=CPU
    )
    return task, loaders


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_weights_are_those_of_the_images_that_are_trained_on(smoothing: float) -> None:
    task, loaders = opened(label_smoothing=smoothing)
    assert loaders.class_images is not None
    assert loaders.class_images.sum() == 65
    assert len(set(loaders.class_images)) > 1
    weights = torch.tensor(65 / (10 * loaders.class_images), dtype=torch.float32)
    logits, labels = torch.randn(40, 10, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 10
    each = F.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(task.loss(logits, labels), each.mean())


def test_weighted_losses_of_micro_batches_add_up_to_that_of_the_batch() -> None:
    task, _ = opened()
    logits, labels = torch.randn(12, 10, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 5
    parts = [(logits[:5], labels[:5]), (logits[5:], labels[5:])]
    torch.testing.assert_close(sum(task.loss(*part) * len(part[1]) for part in parts) / 12, task.loss(logits, labels))


def test_the_measured_loss_is_not_weighted() -> None:
    task, loaders = opened()
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 10))
    plain = measure(TASK, model, loaders.each.epoch(0), classes=10, device=CPU)
    assert measure(task, model, loaders.each.epoch(0), classes=10, device=CPU) == plain


def test_class_weights_without_images_are_refused() -> None:
    with pytest.raises(ValueError, match="open the loaders first"):
        learning_task("classification", Recipe.model_validate(SKEWED)).loss(torch.zeros(1, 2), torch.tensor([0]))
