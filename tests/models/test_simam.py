"""SimAM by itself; what every kind must do is tested where all kinds are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dcasearch.architecture import Architecture
from dcasearch.errors import ArchitectureError
from dcasearch.models import build_model
from tests.models.samples import added, attended, block_of


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 64, 5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def printed(x: Tensor, e_lambda: float) -> tuple[Tensor, Tensor]:
    """Return Eq. 5 and Eq. 6 value by value: the output, and 1/E."""
    inverse = torch.zeros_like(x)
    for image, result in zip(x, inverse, strict=True):
        for channel, found in zip(image, result, strict=True):
            values = channel.flatten()
            mu = values.sum() / len(values)
            variance = ((values - mu) ** 2).sum() / len(values)
            for i in range(channel.shape[0]):
                for j in range(channel.shape[1]):
                    t = channel[i, j]
                    energy = 4 * (variance + e_lambda) / ((t - mu) ** 2 + 2 * variance + 2 * e_lambda)
                    found[i, j] = 1 / energy
    return x / (1 + torch.exp(-inverse)), inverse


@pytest.mark.parametrize("e_lambda", [1e-4, 0.3])
def test_it_is_the_papers_equations(e_lambda: float, x: Tensor) -> None:
    block = block_of({"name": "simam", "e_lambda": e_lambda})
    expected, inverse = printed(x, e_lambda)
    y, messages = attended(block, x)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(messages["neuron"], (torch.sigmoid(inverse) * inverse,))


def test_the_mean_of_a_channels_inverse_energies_says_nothing_of_the_channel(x: Tensor) -> None:
    scaled = x * torch.linspace(0.5, 5, 64)[:, None, None] + 3
    (g,) = block_of({"name": "simam"}).neuron.extract(scaled)
    torch.testing.assert_close(g.mean((2, 3)), torch.full((2, 64), 0.75).double(), rtol=0, atol=1e-3)


def test_a_map_of_one_pixel_has_finite_gates_and_gradients() -> None:
    part = block_of({"name": "simam"}).neuron
    x = torch.randn(2, 64, 1, 1, dtype=torch.float64, requires_grad=True)
    part.fuse(x, part.transform(part.extract(x))).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.sigmoid(torch.full_like(x, 0.5)))


def test_it_costs_no_parameters_and_no_products() -> None:
    assert added({"name": "simam"}) == dict.fromkeys((256, 512, 1024, 2048), (0, 0))
    assert not list(
        build_model({"backbone": {"name": "resnet18"}, "attention": {"name": "simam"}}).attention.parameters()
    )


def test_lambda_is_a_number_above_zero_and_in_the_id() -> None:
    ids = [
        Architecture.parse({"backbone": {"name": "resnet18"}, "attention": {"name": "simam", "e_lambda": value}}).id
        for value in (1e-4, 1e-3, 1)
    ]
    assert len(set(ids)) == 3
    with pytest.raises(ArchitectureError, match="e_lambda"):
        Architecture.parse({"backbone": {"name": "resnet18"}, "attention": {"name": "simam", "e_lambda": 0}})
