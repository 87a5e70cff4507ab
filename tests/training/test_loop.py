from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.config.recipe import Recipe
from dcasearch.data import Batch
from dcasearch.errors import TrialFailure
from dcasearch.training.average import MovingAverage
from dcasearch.training.loop import Trained, epoch_random_state, train_epoch
from dcasearch.training.network import TrainedNetwork
from dcasearch.training.optimizer import make_optimizer
from tests.training.support import learning

CPU = torch.device("cpu")
PLAIN: dict[str, Any] = {"momentum": 0, "weight_decay": 0}


def network(ema: float | None = None, precision: str = "fp32") -> TrainedNetwork:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    with torch.no_grad():
        model[1].weight.copy_(torch.arange(12.0).view(3, 4) / 10)
        model[1].bias.zero_()
    average = None if ema is None else MovingAverage(model, ema)
    return TrainedNetwork(model=model, forward=model, ema=average, device=CPU, precision=precision)


def batches(*sizes: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(size, 1, 2, 2, generator=generator), torch.randint(0, 3, (size,), generator=generator))
        for size in sizes
    ]


def train(
    made: TrainedNetwork, data: list[Batch], rate: Callable[[int], float] = lambda step: 0.1, **recipe: Any
) -> Trained:
    checked = Recipe.model_validate({**PLAIN, **recipe})
    return train_epoch(made, make_optimizer(made.model, checked), data, rate, learning(checked))


def weight(made: TrainedNetwork) -> Tensor:
    return made.model.get_parameter("1.weight").detach()


def gradient(made: TrainedNetwork, batch: Batch, smoothing: float = 0.0) -> Tensor:
    loss = F.cross_entropy(made.model(batch[0]), batch[1], label_smoothing=smoothing)
    return torch.autograd.grad(loss, list(made.model.parameters()))[0]


def test_a_step_goes_down_the_gradient_at_the_steps_own_rate() -> None:
    made, [first, second] = network(), batches(5, 5)
    expected = weight(made) - 0.1 * gradient(made, first)
    train(made, [first])
    torch.testing.assert_close(weight(made), expected)
    expected = weight(made) - 0.4 * gradient(made, second)
    train(made, [second], rate=lambda step: 0.4)
    torch.testing.assert_close(weight(made), expected)


def test_each_step_asks_for_its_rate() -> None:
    asked: list[int] = []

    def rate(step: int) -> float:
        asked.append(step)
        return 0.1

    train(network(), batches(2, 2, 2), rate)
    assert asked == [0, 1, 2]


def test_the_training_loss_is_the_mean_over_images() -> None:
    made, data = network(), batches(6, 2)
    losses = [F.cross_entropy(made.model(images), labels).item() for images, labels in data]
    trained = train(made, data, rate=lambda step: 0.0)
    assert trained.images == 8
    assert trained.loss == pytest.approx((6 * losses[0] + 2 * losses[1]) / 8, rel=1e-6)


@pytest.mark.parametrize("changes", [{}, {"clip_norm": 0.01}, {"label_smoothing": 0.2, "momentum": 0.9}])
@pytest.mark.parametrize("accumulate", [2, 3, 5, 99])
def test_micro_batches_make_the_step_of_the_whole_batch(accumulate: int, changes: dict[str, Any]) -> None:
    whole, apart, data = network(ema=0.5), network(ema=0.5), batches(5, 7)
    one = train(whole, data, **changes)
    other = train(apart, data, accumulate=accumulate, **changes)
    torch.testing.assert_close(weight(apart), weight(whole), rtol=1e-5, atol=1e-7)
    assert whole.ema is not None
    assert apart.ema is not None
    torch.testing.assert_close(
        apart.ema.module.get_parameter("1.weight"), whole.ema.module.get_parameter("1.weight"), rtol=1e-5, atol=1e-7
    )
    assert other.loss == pytest.approx(one.loss, rel=1e-5)
    assert other.images == one.images


def test_a_batch_is_one_step_whatever_its_micro_batches() -> None:
    sizes: list[int] = []
    made, asked = network(), []

    def forward(images: Tensor) -> Tensor:
        sizes.append(len(images))
        return made.model(images)

    train(replace(made, forward=forward), batches(5), lambda step: asked.append(step) or 0.1, accumulate=2)
    assert (sizes, asked) == ([3, 2], [0])


def test_batches_are_mixed_before_they_are_divided() -> None:
    def shift(step: int, batch: Batch) -> Batch:
        return batch[0] + step + 1, F.one_hot(batch[1], 3).float()

    made, [first] = network(), batches(5)
    recipe = Recipe.model_validate({**PLAIN, "accumulate": 2})
    expected = weight(made) - 0.1 * gradient(made, (first[0] + 1, first[1]))
    train_epoch(made, make_optimizer(made.model, recipe), [first], lambda step: 0.1, learning(recipe), mix=shift)
    torch.testing.assert_close(weight(made), expected)


def test_label_smoothing_changes_what_is_minimised() -> None:
    made, [batch] = network(), batches(5)
    expected = weight(made) - 0.1 * gradient(made, batch, smoothing=0.2)
    train(made, [batch], label_smoothing=0.2)
    torch.testing.assert_close(weight(made), expected)


def test_clipping_bounds_the_norm_of_the_whole_gradient() -> None:
    made, [batch] = network(), batches(5)
    before = {name: p.detach().clone() for name, p in made.model.named_parameters()}
    train(made, [batch], rate=lambda step: 1.0, clip_norm=0.01)
    moved = torch.cat([(p - before[name]).flatten() for name, p in made.model.named_parameters()])
    assert moved.norm().item() == pytest.approx(0.01, rel=1e-3)


def test_the_average_follows_the_weights_by_its_decay() -> None:
    made, data = network(ema=0.75), batches(4, 4)
    train(made, data[:1])
    first = weight(made).clone()
    train(made, data[1:])
    assert made.ema is not None
    torch.testing.assert_close(made.ema.module.get_parameter("1.weight"), 0.75 * first + 0.25 * weight(made))


def test_bf16_trains_on_the_cpu() -> None:
    exact, rough, data = network(), network(precision="bf16"), batches(5)
    train(exact, data)
    train(rough, data)
    assert weight(rough).dtype == torch.float32
    assert not torch.equal(weight(rough), weight(exact))
    torch.testing.assert_close(weight(rough), weight(exact), atol=0.01, rtol=0.05)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_fails_at_its_step(value: float) -> None:
    data = batches(2, 2, 2)
    data[1][0][0] = value
    with pytest.raises(TrialFailure, match="by step 2 of the epoch") as failure:
        train(network(), data)
    assert failure.value.kind == "nan"


def test_an_epochs_random_numbers_depend_on_seed_and_epoch_alone() -> None:
    def draw(seed: int, epoch: int) -> list[float]:
        with epoch_random_state(seed, epoch, CPU):
            return torch.rand(3).tolist()

    first = draw(0, 1)
    torch.manual_seed(9)
    assert draw(0, 1) == first
    assert first != draw(0, 2)
    assert first != draw(1, 1)


def test_an_epoch_leaves_the_global_generator_as_it_was() -> None:
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    with epoch_random_state(0, 1, CPU):
        torch.rand(5)
    assert torch.equal(torch.rand(3), expected)
