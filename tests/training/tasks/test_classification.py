import math

import pytest
import torch
from torch import nn

from dcasearch.config.recipe import Recipe
from dcasearch.training.tasks import learning_task, measure
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
