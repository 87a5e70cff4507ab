"""Each score against a slow reference that is written from its definition, on networks of a few dozen weights."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.config.study import ScoreName
from dcasearch.models import build_model
from dcasearch.scores import SCORES, Batches
from dcasearch.scores.base import gradients, layers, scored_mode
from tests.training.support import CONNECTED, VANILLA


class Tiny(nn.Module):
    """Two convolutions with BatchNorm, dropout and a classifier; images (B, 3, 6, 6) -> (B, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.conv2, self.norm2 = nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2)
        self.relu, self.dropout = nn.ReLU(inplace=True), nn.Dropout(0.5)
        self.fc = nn.Linear(2, 3)

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu(self.norm1(self.conv1(images)))
        x = self.relu(self.norm2(self.conv2(x)))
        classified: Tensor = self.fc(self.dropout(x.mean((2, 3))))
        return classified


def tiny(seed: int = 0) -> Tiny:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Tiny()


def some_batches(count: int, images: int = 5, resolution: int = 6, classes: int = 3) -> Batches:
    generator = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(images, 3, resolution, resolution, generator=generator),
            torch.randint(0, classes, (images,), generator=generator),
        )
        for _ in range(count)
    ]


def loss_at(network: Tiny, batches: Batches, weight: Tensor, index: tuple[int, ...], value: float) -> float:
    """The mean loss, in double, with one weight set to a value."""
    with torch.no_grad():
        before = weight[index].item()
        weight[index] = value
        with scored_mode(network):
            losses = [F.cross_entropy(network(images.double()), labels).item() for images, labels in batches]
        weight[index] = before
    return sum(losses) / len(losses)


def slopes(network: Tiny, batches: Batches) -> list[tuple[float, float]]:
    """(weight, ∂L/∂weight) of every weight by central differences."""
    network = copy.deepcopy(network).double()
    found = []
    for layer in (network.conv1, network.conv2, network.fc):
        for index in itertools.product(*map(range, layer.weight.shape)):
            value, step = layer.weight[index].item(), 1e-6
            up = loss_at(network, batches, layer.weight, index, value + step)
            down = loss_at(network, batches, layer.weight, index, value - step)
            found.append((value, (up - down) / (2 * step)))
    return found


SIZES = (4 * 3 * 9, 2 * 4 * 9, 3 * 2)
"""Weights of each layer of `Tiny`, in order."""


def by_layer(values: list[float]) -> list[np.ndarray[Any, Any]]:
    ends = np.cumsum(SIZES)[:-1]
    return list(np.split(np.array(values), ends))


def test_the_scores_that_a_study_may_name_are_those_there_are() -> None:
    assert set(get_args(ScoreName)) == set(SCORES)


@pytest.mark.parametrize("batches", [1, 2])
def test_grad_norm_is_the_sum_over_layers_of_the_norms_of_their_gradients(batches: int) -> None:
    seen = some_batches(batches)
    expected = sum(np.linalg.norm(g) for g in by_layer([slope for _, slope in slopes(tiny(), seen)]))
    assert SCORES["grad_norm"](tiny(), seen) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("batches", [1, 2])
def test_snip_is_the_sum_of_how_much_the_loss_depends_on_each_weight_being_there(batches: int) -> None:
    seen = some_batches(batches)
    expected = sum(abs(weight * slope) for weight, slope in slopes(tiny(), seen))
    assert SCORES["snip"](tiny(), seen) == pytest.approx(expected, rel=1e-4)


def test_zico_is_the_sum_over_layers_of_the_log_of_mean_over_deviation_of_gradients() -> None:
    seen = some_batches(3)
    each = [by_layer([slope for _, slope in slopes(tiny(), [batch])]) for batch in seen]
    expected = 0.0
    for of_batches in zip(*each, strict=True):
        g_NW = np.stack(of_batches)
        expected += math.log(np.sum(np.abs(g_NW).mean(0) / g_NW.std(0)))
    assert SCORES["zico"](tiny(), seen) == pytest.approx(expected, rel=1e-4)


def test_zico_leaves_out_what_never_varies_and_wants_two_batches() -> None:
    batch = some_batches(1)
    assert SCORES["zico"](tiny(), batch * 2) == 0.0
    with pytest.raises(ValueError, match="several batches"):
        SCORES["zico"](tiny(), batch)


def test_naswot_counts_the_units_that_two_images_switch_alike() -> None:
    [(images, labels)] = some_batches(1, images=4)
    network = tiny().train()
    with torch.no_grad():
        first = network.norm1(network.conv1(images))
        second = network.norm2(network.conv2(first.relu()))
    codes = [[*(first[n] > 0).flatten().tolist(), *(second[n] > 0).flatten().tolist()] for n in range(4)]
    alike = [[sum(a == b for a, b in zip(codes[i], codes[j], strict=True)) for j in range(4)] for i in range(4)]
    expected = math.log(abs(np.linalg.det(np.array(alike, dtype=np.float64))))
    assert SCORES["naswot"](tiny(), [(images, labels)]) == pytest.approx(expected)


def test_naswot_is_the_mean_over_batches_and_minus_infinity_where_images_are_alike() -> None:
    one, two = some_batches(2)
    each = [SCORES["naswot"](tiny(), [batch]) for batch in (one, two)]
    assert SCORES["naswot"](tiny(), [one, two]) == pytest.approx(sum(each) / 2)
    twins = one[0][:1].repeat(2, 1, 1, 1)
    assert SCORES["naswot"](tiny(), [(twins, one[1][:2])]) == -math.inf


def test_synflow_of_a_chain_of_layers_is_the_sum_over_paths_times_the_layers() -> None:
    # Without norms, gates and biases R is linear in each layer's |W|, so each contributes R itself.
    network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 3, False))
    convolution, linear = network[0].weight.abs(), network[3].weight.abs()
    paths = (linear @ convolution.sum((1, 2, 3))).sum().item()
    scored = SCORES["synflow"](copy.deepcopy(network), some_batches(1, images=1, resolution=3))
    assert scored == pytest.approx(math.log10(2 * paths))


def test_synflow_is_the_slope_of_the_logits_of_an_image_of_ones_by_absolute_weights() -> None:
    network = copy.deepcopy(tiny()).double().eval()
    network.norm1, network.norm2 = nn.Identity(), nn.Identity()  # type: ignore[assignment]  # passed by
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    ones, total = torch.ones(1, 3, 6, 6, dtype=torch.float64), 0.0
    for layer in (network.conv1, network.conv2, network.fc):
        for index in itertools.product(*map(range, layer.weight.shape)):
            with torch.no_grad():
                before, step = layer.weight[index].item(), 1e-4
                layer.weight[index] = before + step
                up = network(ones).sum().item()
                layer.weight[index] = before - step
                down = network(ones).sum().item()
                layer.weight[index] = before
            total += abs(before * (up - down) / (2 * step))
    assert SCORES["synflow"](tiny(), some_batches(1)) == pytest.approx(math.log10(total), rel=1e-6)


@pytest.mark.parametrize("name", sorted(SCORES))
@pytest.mark.parametrize("architecture", [VANILLA, CONNECTED], ids=["vanilla", "connected"])
def test_every_score_is_finite_and_the_same_to_the_last_bit_when_computed_again(
    name: str, architecture: dict[str, Any]
) -> None:
    seen = some_batches(2, resolution=32, classes=10)
    scores = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = build_model(architecture, 10)
        scores.append(SCORES[name](network, seen))
    assert math.isfinite(scores[0])
    assert scores[0] == scores[1]


@pytest.mark.parametrize("name", sorted(SCORES))
def test_a_connection_that_starts_at_alpha_0_is_seen_by_no_score(name: str) -> None:
    """Only α itself has a gradient there, and α is no weight of a layer."""
    seen = some_batches(2, resolution=32, classes=10)
    silent = {**CONNECTED, "connections": {"alpha": {"init": 0.0}}}
    assert SCORES[name](build_model(silent, 10), seen) == SCORES[name](build_model(VANILLA, 10), seen)


@pytest.mark.parametrize("name", sorted(set(SCORES) - {"synflow"}))
def test_connections_between_gates_change_every_score_but_synflow(name: str) -> None:
    seen = some_batches(2, resolution=32, classes=10)
    assert SCORES[name](build_model(CONNECTED, 10), seen) != SCORES[name](build_model(VANILLA, 10), seen)


def test_synflow_sees_no_gate_of_a_resnet_since_all_of_them_saturate() -> None:
    seen = some_batches(1, resolution=32, classes=10)
    plain: dict[str, Any] = {"backbone": {"name": "resnet18", "stem": "small"}}
    gated: dict[str, Any] = {**plain, "attention": {"name": "se"}}
    scores = [
        SCORES["synflow"](build_model(architecture, 10), seen)
        for architecture in (plain, gated, {**gated, "connections": {}})
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-9)
    assert scores[1] == pytest.approx(scores[2], abs=1e-9)


def test_dropout_is_off_and_batch_norm_on_the_batch_while_a_network_is_scored() -> None:
    network = tiny().eval()
    with scored_mode(network):
        assert (network.training, network.norm1.training, network.dropout.training) == (True, True, False)
    assert not network.training


def test_a_layer_that_nothing_reaches_has_a_gradient_of_zero() -> None:
    network = tiny()
    network.unused = nn.Linear(2, 2)
    found = gradients(network, some_batches(1))
    assert len(found) == len(layers(network)) == 4
    assert not found[-1].any()
